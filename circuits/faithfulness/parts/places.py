"""Where parts of a layer stand in a run: read as `batch part pos width`, and changed there.

heads      z, what each gathers before W_O                 neurons    mlp_post, each by itself
mlps       what the whole MLP adds to the stream           latents    what a dictionary encodes; a change is added where it
                                                                      writes, times its decoder row (its error stays)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.dictionaries.owners import layer_read, owner_name
from probe.errors import BadInput
from probe.interventions.ablations import Values
from probe.interventions.forward import per_token
from probe.interventions.unit_edits import encoded
from probe.model.anatomy import require_stream
from probe.model.sites import Site, layers_with, parse_site, width
from probe.model.unit_names import unit_name

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

NodeKind = Literal["heads", "mlps", "components", "neurons", "latents"]
NODES: dict[str, str] = {
    "heads": "attention heads",
    "mlps": "whole MLPs",
    "components": "heads and MLPs",
    "neurons": "MLP neurons",
    "latents": "latents of dictionaries",
}


@dataclass(frozen=True, eq=False)
class PartsAt:
    """Parts of one layer. names: of each. reads: the site that tells what they are. writes: where they are changed. decoder: of
    latents what each writes; None where a part is what stands at the site."""

    names: tuple[str, ...]
    reads: Site
    writes: Site
    dictionary: Any = None

    def current(self, value: Tensor) -> Values:
        """What the parts are, of the value that stands where they are read."""
        if self.dictionary is not None:
            return encoded(self.dictionary, per_token(value)).transpose(1, 2)[..., None]
        if value.ndim == 4:
            return value.transpose(1, 2)
        return value[:, None] if len(self.names) == 1 else value.transpose(1, 2)[..., None]

    def changed(self, value: Tensor, current: Values, target: Values, removed: Bool[Tensor, "batch part"]) -> Tensor:
        """The value where they are changed, with those removed being `target`."""
        mask = removed[:, :, None, None]
        if self.dictionary is None:
            return self._back(torch.where(mask, target.to(current), current), value)
        move = torch.where(mask, target.to(current) - current, 0.0)[..., 0]
        added = torch.einsum("bup,ud->bpd", move, self.decoder.to(move))
        return value + added.to(value).reshape(value.shape)

    def received(self, gradient: Tensor) -> Values:
        """The gradient where they are changed, as that of each part."""
        if self.dictionary is None:
            return self.current(gradient)
        return torch.einsum("bpd,ud->bup", per_token(gradient), self.decoder.to(gradient))[..., None]

    @property
    def decoder(self) -> Float[Tensor, "latent d_out"]:
        """What each latent writes."""
        return self.dictionary.W_dec.detach()

    def _back(self, parts: Values, like: Tensor) -> Tensor:
        if like.ndim == 4:
            return parts.transpose(1, 2)
        return parts[:, 0] if len(self.names) == 1 else parts[..., 0].transpose(1, 2)


def places_of(model: "TransformerBridge", kind: str, dictionaries: Sequence[Any] = ()) -> list[PartsAt]:
    """All parts of a kind, layer by layer. BadInput for a kind there is not, and where the model lacks it."""
    if kind not in NODES:
        raise BadInput(f"There is no kind of parts '{kind}'; choose edges, {', '.join(NODES)}.")
    if (kind == "latents") != bool(dictionaries):
        raise BadInput(
            "Latents need the dictionaries that they are of, and no other parts do: give both, or neither "
            f"(kind is {kind}, {len(dictionaries)} dictionaries were given)."
        )
    if kind == "latents":
        return [_latents(model, one) for one in dictionaries]
    heads = [_heads(model, layer) for layer in layers_with("z", model)] if kind in ("heads", "components") else []
    mlps = [_mlp(layer) for layer in layers_with("mlp_write", model)] if kind in ("mlps", "components") else []
    neurons = [_neurons(model, layer) for layer in layers_with("mlp_post", model)] if kind == "neurons" else []
    found = [*heads, *mlps, *neurons]
    if not found:
        raise BadInput(f"This model has no {NODES[kind]} that can be told apart. Choose another kind of parts.")
    return sorted(found, key=lambda one: (one.writes.layer or 0, one.writes.kind != "z"))


def _heads(model: "TransformerBridge", layer: int) -> PartsAt:
    from probe.model.anatomy import spot

    n, site = spot(Site("z", layer), model).sizes["head"], Site("z", layer)
    return PartsAt(tuple(unit_name("head", layer, i) for i in range(n)), site, site)


def _mlp(layer: int) -> PartsAt:
    site = Site("mlp_write", layer)
    return PartsAt((f"L{layer}MLP",), site, site)


def _neurons(model: "TransformerBridge", layer: int) -> PartsAt:
    site = Site("mlp_post", layer)
    return PartsAt(tuple(unit_name("neuron", layer, i) for i in range(width(site, model))), site, site)


def _latents(model: "TransformerBridge", dictionary: Any) -> PartsAt:
    """BadInput for a dictionary that reads or writes several places: its latents stand nowhere alone."""
    several = [len(getattr(dictionary, f"sites_{side}", None) or (0,)) for side in ("in", "out")]
    if max(several) > 1 or hasattr(dictionary, "parts"):
        raise BadInput(
            f"{owner_name(dictionary)} reads or writes several places, so its latents are not parts of one layer. Give "
            "transcoders or autoencoders of single layers."
        )
    reads, writes = (parse_site(getattr(dictionary, f"site_{side}"), model) for side in ("in", "out"))
    if "resid_mid" in (writes.kind, reads.kind):
        require_stream(model)
    layer = layer_read(dictionary) or 0
    names = tuple(unit_name("latent", layer, i) for i in range(dictionary.W_dec.shape[0]))
    return PartsAt(names, reads, writes, dictionary)
