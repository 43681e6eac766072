"""Where units come from: the latents of a dictionary, or the neurons of an MLP, read off the activations in a cache.

Both say the same things: which cached sites they read, what fires at each token, which direction each unit writes and which
it reads. The table never asks which it has.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries import CrossLayerTranscoder, Dictionary, Entries
from probe.dictionaries.codes import JoinedCode
from probe.errors import BadInput
from probe.norms import norm_parts
from probe.sites import Site, hook_name, parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.cache import Cache

AnyDictionary = Dictionary | CrossLayerTranscoder
RESIDUAL = ("embed", "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "mlp_write")
"Kinds of sites whose directions are directions of the residual stream (of what is added to it)."
ADDED = ("attn_out", "mlp_out", "mlp_write")


@dataclass(frozen=True, eq=False)
class Reads:
    """Units low to high - 1 read these sites, each with these weights, and add up what they read."""

    low: int
    high: int
    sites: tuple[tuple[Site, Float[Tensor, "unit width"]], ...]


@dataclass(frozen=True, eq=False)
class Units:
    """A dictionary's latents or a layer's neurons.

    sites: what is read of the cache, canonical names. layers: (first unit, layer) where a layer's units begin. writers: the
    direction each unit adds to the residual stream, None where it does not write there. decoder: the rows whose
    cosines say which units are near. signed: whether activations below 0 are kept apart from silence.
    """

    kind: str
    name: str
    n: int
    sites: tuple[str, ...]
    layers: tuple[tuple[int, int], ...]
    module: Any
    signed: bool
    identity: str
    writers: Float[Tensor, "unit d_model"] | None
    decoder: Float[Tensor, "unit d_out"]
    reads: tuple[Reads, ...]
    convention: dict[str, str] = field(default_factory=dict)

    @torch.no_grad()
    def fire(self, x: tuple[Tensor, ...]) -> Entries:
        """Which units are not 0 at each token, and how strong, from the activations of `sites`; ordered by token."""
        return self.module(*x)


def units_of(model: "TransformerBridge", what: "AnyDictionary | int", cache: "Cache") -> Units:
    """The latents of a dictionary or the neurons of the layer of that number. BadInput where the cache lacks what they read."""
    if isinstance(what, bool) or not isinstance(what, int | Dictionary | CrossLayerTranscoder):
        raise BadInput(f"Units are those of a dictionary or of a layer's number, not of a {type(what).__name__}.")
    return _neurons(model, what, cache) if isinstance(what, int) else _latents(model, what, cache)


def _latents(model: "TransformerBridge", dictionary: AnyDictionary, cache: "Cache") -> Units:
    sites = tuple(cache.site(s) for s in dictionary.sites_in)
    for site, width in zip(sites, dictionary.widths_in, strict=True):
        if cache.width(site) != width:
            raise BadInput(
                f"The dictionary reads {width} dimensions of {parse_site(site).short}, where {cache.folder} holds "
                f"{cache.width(site)}. Use a cache of the model it was trained on."
            )
    writers, said = _written(model, dictionary)
    parts = _parts(dictionary)
    return Units(
        kind="latent",
        name=dictionary.name or dictionary.kind,
        n=dictionary.d_dict,
        sites=sites,
        layers=tuple((first, parse_site(part.sites_in[0]).layer or 0) for first, part in parts),
        module=_Latents(dictionary),
        signed=False,
        identity=_fingerprint(dictionary),
        writers=writers,
        decoder=writers if len(parts) > 1 and writers is not None else parts[0][1].W_dec.detach(),
        reads=tuple(_reads(first, part) for first, part in parts),
        convention={"active": "the latent is above 0", "writes": said},
    )


class _Latents:
    """What fires in a dictionary: its encoder and sparsifier alone, as in `Dictionary.run`, without the reconstruction."""

    def __init__(self, dictionary: AnyDictionary):
        self.parts = [part for _, part in _parts(dictionary.eval())]

    def __call__(self, *x: Tensor) -> Entries:
        own = x if len(self.parts) > 1 else (torch.cat(x, -1),)
        pairs = zip(self.parts, own, strict=True)
        codes = [part.sparsifier.code(some.to(part.W_enc), part.W_enc, part.b_enc) for part, some in pairs]
        return JoinedCode(codes).entries() if len(codes) > 1 else codes[0].entries()


def _parts(dictionary: AnyDictionary) -> list[tuple[int, Dictionary]]:
    """The dictionaries it consists of, and the first latent of each."""
    parts = list(dictionary.parts) if isinstance(dictionary, CrossLayerTranscoder) else [dictionary]
    firsts = [sum(p.d_dict for p in parts[:i]) for i in range(len(parts))]  # type: ignore[misc]
    return list(zip(firsts, parts, strict=True))  # type: ignore[arg-type]


def _reads(first: int, part: Dictionary) -> Reads:
    weights = part.W_enc.detach().t().split(part.widths_in, 1)
    return Reads(
        first, first + part.d_dict, tuple((parse_site(s), w) for s, w in zip(part.sites_in, weights, strict=True))
    )


def _written(model: "TransformerBridge", dictionary: AnyDictionary) -> tuple[Tensor | None, str]:
    """The direction each latent adds to the residual stream, and the convention in words."""
    sites = [parse_site(s, model) for s in dictionary.sites_out]
    if any(s.kind not in RESIDUAL for s in sites):
        return None, f"{sites[-1].short} is not in the residual stream, so no tokens are promoted or suppressed by it"
    summed = len(sites) > 1 and all(s.kind in ADDED for s in sites)
    written = []
    for _, part in _parts(dictionary):
        pieces = [
            through_post_norm(model, parse_site(site), rows.detach().float())
            for site, rows in zip(part.sites_out, part.W_dec.split(part.widths_out, 1), strict=True)
        ]
        written.append(torch.stack(pieces).sum(0) if summed else pieces[-1])
    what = "decoder rows" if len(sites) == 1 else "decoder rows, summed over the sites written" if summed else ""
    what = what or f"decoder rows of the last site, {sites[-1].short}"
    post = any(_post_norm(model, s) for s in sites)
    return torch.cat(written), what + (" after the post-norm's weight (its divisor left out)" if post else "")


def _post_norm(model: "TransformerBridge", site: Site) -> Any:
    """The norm between what an MLP returns and what is added to the stream, where there is one."""
    there = site.kind == "mlp_out" and hook_name(Site("ln2_post_scale", site.layer), model)
    return model.blocks[site.layer].ln2_post if there else None


def through_post_norm(
    model: "TransformerBridge", site: Site, rows: Float[Tensor, "unit d_model"]
) -> Float[Tensor, "unit d_model"]:
    """Directions at a site as the stream gets them: centred and weighted by a post-norm, whose divisor only scales."""
    norm = _post_norm(model, site)
    return rows if norm is None else norm_parts(norm, rows).scaled(rows)


def _fingerprint(dictionary: AnyDictionary) -> str:
    """12 hex digits over kind, sites and weights."""
    said = [dictionary.kind, *dictionary.sites_in, *dictionary.sites_out, dictionary.sparsifier.config()]
    digest = hashlib.blake2b(json.dumps(said).encode(), digest_size=6)
    for name, weight in sorted(dictionary.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _neurons(model: "TransformerBridge", layer: int, cache: "Cache") -> Units:
    post, given = parse_site(Site("mlp_post", layer), model), Site("mlp_in", layer)
    if post.name not in cache.sites and given.name not in cache.sites:
        held = ", ".join(parse_site(s).short for s in cache.sites)
        raise BadInput(
            f"The neurons of layer {layer} are read from mlp_post.{layer} or mlp_in.{layer}, but {cache.folder} holds {held}. "
            f"Harvest mlp_post.{layer}."
        )
    mlp = model.blocks[layer].mlp
    stored = post.name in cache.sites
    gate = getattr(mlp, "W_gate", None)
    read = (mlp.W_in if gate is None else gate).detach().t()
    said = "the neuron's activation (mlp_post) is above 0; histogram and examples show those below 0 too"
    writers = through_post_norm(model, Site("mlp_out", layer), mlp.W_out.detach().float())
    return Units(
        kind="neuron",
        name=f"layer {layer}",
        n=mlp.W_out.shape[0],
        sites=(post.name if stored else given.name,),
        layers=((0, layer),),
        module=_Stored() if stored else _Run(model, layer),
        signed=True,
        identity=f"layer {layer}",
        writers=writers,
        decoder=mlp.W_out.detach(),
        reads=(Reads(0, mlp.W_out.shape[0], ((given, read),)),),
        convention={
            "active": said,
            "reads": "W_in" if gate is None else "W_gate (what the gate reads)",
            "writes": "rows of W_out"
            + (
                " after the post-norm's weight (its divisor left out)"
                if _post_norm(model, Site("mlp_out", layer))
                else ""
            ),
        },
    )


def dense_entries(values: Float[Tensor, "token unit"]) -> Entries:
    """All that is not 0."""
    rows, units = values.nonzero(as_tuple=True)
    return Entries(rows, units, values[rows, units])


class _Stored:
    """Neurons whose activations are cached."""

    def __call__(self, x: Tensor) -> Entries:
        return dense_entries(x.float())


class _Seen(Exception):
    """Raised once the neurons were seen: the rest of the MLP need not run."""


class _Run:
    """Neurons computed by running the model's own MLP on its cached input."""

    def __init__(self, model: "TransformerBridge", layer: int):
        self.model, self.mlp, self.site = model, model.blocks[layer].mlp, Site("mlp_post", layer)

    def __call__(self, x: Tensor) -> Entries:
        found: list[Tensor] = []

        def see(value: Tensor, hook: object) -> None:
            found.append(value)
            raise _Seen

        with suppress(_Seen), self.model.hooks(fwd_hooks=[(str(hook_name(self.site, self.model)), see)]):
            run_mlp(self.mlp, x.to(self.model.W_E), self.site)
        return dense_entries(found[0].reshape(len(x), -1).float())


def run_mlp(mlp: Any, x: Float[Tensor, "token d_model"], site: Site) -> Float[Tensor, "token d_model"]:
    """What an MLP returns for inputs side by side; BadInput where the model offers no MLP that can be run alone."""
    try:
        return mlp(x[None])[0]
    except RuntimeError as error:
        if "containerless" not in str(error):
            raise
        raise BadInput(
            f"This model's MLPs cannot be run alone, so harvest {site.short} instead of mlp_in.{site.layer}."
        ) from error
