"""Units that are the neurons of an MLP, cached themselves or computed from what the MLP read."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries import Entries
from probe.errors import BadInput
from probe.features.measuring.sources import Directions, Reads, Units, post_norm, through_post_norm
from probe.model.sites import Site, hook_name, parse_site
from probe.model.writes import mlp_writes_through

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache


def neurons_of(model: "TransformerBridge", layer: int, cache: "Cache") -> Units:
    post, given = parse_site(Site("mlp_post", layer), model), Site("mlp_in", layer)
    if post.name not in cache.sites and given.name not in cache.sites:
        held = ", ".join(parse_site(s).short for s in cache.sites)
        raise BadInput(
            f"The neurons of layer {layer} are read from mlp_post.{layer} or mlp_in.{layer}, but {cache.folder} holds {held}. "
            f"Harvest mlp_post.{layer}."
        )
    stored = post.name in cache.sites
    told = neuron_directions(model, layer)
    said = "the neuron's activation (mlp_post) is above 0; histogram and examples show those below 0 too"
    return Units(
        kind=told.kind,
        name=f"layer {layer}",
        n=told.n,
        sites=(post.name if stored else given.name,),
        layers=told.layers,
        module=_Stored() if stored else _Run(model, layer),
        signed=True,
        identity=f"layer {layer}",
        writers=told.writers,
        decoder=told.decoder,
        reads=told.reads,
        convention={"active": said, **told.convention},
    )


def neuron_directions(model: "TransformerBridge", layer: int) -> Directions:
    """What a layer's neurons write and read. BadInput for a layer there is not."""
    given = parse_site(Site("mlp_in", layer), model)
    W_out, mlp = mlp_writes_through(model, layer)[0], model.blocks[layer].mlp
    gate = getattr(mlp, "W_gate", None)
    read = (mlp.W_in if gate is None else gate).detach().t()
    post = post_norm(model, Site("mlp_out", layer))
    after = " after the post-norm's weight (its divisor left out)" if post else ""
    return Directions(
        kind="neuron",
        n=W_out.shape[0],
        layers=((0, layer),),
        writers=through_post_norm(model, Site("mlp_out", layer), W_out.float()),
        decoder=mlp.W_out.detach(),
        reads=(Reads(0, W_out.shape[0], ((given, read),)),),
        convention={
            "reads": "W_in" if gate is None else "W_gate (what the gate reads)",
            "writes": f"rows of W_out{after}",
        },
    )


def dense_entries(values: Float[Tensor, "token unit"]) -> Entries:
    """All that is not 0. NumPy finds them in a quarter of torch's time."""
    flat = values.cpu().numpy().reshape(-1)
    there = np.flatnonzero(flat)
    rows, units = np.divmod(there, values.shape[1])
    return Entries(*(torch.from_numpy(part) for part in (rows, units, flat[there])))


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
    except (RuntimeError, TypeError) as error:
        if "containerless" not in str(error) and "residual" not in str(
            error
        ):  # Bloom's and MPT's ask for the stream too
            raise
        raise BadInput(
            f"This model's MLPs cannot be run alone, so harvest {site.short} instead of mlp_in.{site.layer}."
        ) from error
