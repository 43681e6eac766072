"""What a source of units says of itself, whether they are a dictionary's latents or an MLP's neurons; a table never asks which.

Which cached sites are read, what fires at each token, which direction each unit writes and which it reads.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries import Entries
from probe.model.norms import norm_parts
from probe.model.sites import Site
from probe.model.writes import norm_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


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
class Directions:
    """What units write and read according to the weights alone. Fields as in `Units`."""

    kind: str
    n: int
    layers: tuple[tuple[int, int], ...]
    writers: Float[Tensor, "unit d_model"] | None
    decoder: Float[Tensor, "unit d_out"]
    reads: tuple[Reads, ...]
    convention: dict[str, str] = field(default_factory=dict)

    def place(self, unit: int) -> tuple[int, int]:
        """The layer of a unit, and its number within that layer."""
        first, layer = max((f, at) for f, at in self.layers if f <= unit)
        return layer, unit - first


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
    module: Callable[..., Entries]
    signed: bool
    identity: str
    writers: Float[Tensor, "unit d_model"] | None
    decoder: Float[Tensor, "unit d_out"]
    reads: tuple[Reads, ...]
    convention: dict[str, str] = field(default_factory=dict)

    @property
    def cell_bytes(self) -> int:
        """Memory for one unit at one token of a block: every neuron is an entry, a latent hardly ever."""
        return 48 if self.signed else 4

    @torch.no_grad()
    def fire(self, x: tuple[Tensor, ...]) -> Entries:
        """Which units are not 0 at each token, and how strong, from the activations of `sites`; ordered by token."""
        return self.module(*x)


def post_norm(model: "TransformerBridge", site: Site) -> Any:
    """The norm between what an MLP returns and what is added to the stream, where there is one."""
    if site.kind != "mlp_out" or norm_of(model, "ln2_post", site.layer, model.W_E) is None:
        return None
    return model.blocks[site.layer].ln2_post


def through_post_norm(
    model: "TransformerBridge", site: Site, rows: Float[Tensor, "unit d_model"]
) -> Float[Tensor, "unit d_model"]:
    """Directions at a site as the stream gets them: centred and weighted by a post-norm, whose divisor only scales."""
    norm = post_norm(model, site)
    return rows if norm is None else norm_parts(norm, rows).scaled(rows)
