"""Where one model holds its sites, and why it lacks others: what an examination finds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

from torch import Tensor

from probe.model.site_kinds import Site


@dataclass(frozen=True)
class Spot:
    """Where a model holds a site. sizes: of the trailing axes, by name. heads_first: the tensor is (batch, head, pos, d_head).
    factor: what the hook's value is multiplied with to be the site's."""

    site: Site
    hook: str
    sizes: dict[str, int]
    heads_first: bool = False
    factor: float = 1.0

    def read(self, value: Tensor, batch: int) -> Tensor:
        """The hook's value on the glossary's axes."""
        axes = self.site.axes
        if self.heads_first:
            value = value.transpose(1, 2)
        elif value.ndim == len(axes) - 1:  # OPT runs its MLPs with batch and position in one axis
            value = value.reshape(batch, -1, *value.shape[1:])
        if "head" in axes[2:] or "kv_head" in axes[2:]:
            value = value.reshape(*value.shape[:2], *self.sizes.values())
        return value if self.factor == 1.0 else value * self.factor

    def put(self, changed: Tensor, value: Tensor) -> Tensor:
        """A site's new value in the layout of the hook's old one."""
        changed = changed if self.factor == 1.0 else changed / self.factor
        return (changed.transpose(1, 2) if self.heads_first else changed).reshape(value.shape).to(value)

    def change(self, value: Tensor, batch: int, function: Callable[[Tensor], Tensor]) -> Tensor:
        """What the hook returns so that the site becomes `function` of its value.

        `resid_mid` is hooked where the MLP's norm reads. The stream there is the very same tensor, which the block adds to later,
        so it is changed in place: what a hook returns would reach the MLP and not the stream (`require_stream` looks).
        """
        if self.site.kind != "resid_mid":
            return self.put(function(self.read(value, batch)), value)
        return value.copy_(self.put(function(self.read(value, batch).clone()), value))

    @property
    def width(self) -> int:
        """Numbers per token, all heads together."""
        return prod(self.sizes.values())


@dataclass
class Anatomy:
    """spots: the sites a model has. missing: why it lacks others. logit_factor: what W_U x is multiplied with to be a logit;
    linear_readout: whether it is one. factors: what attention and MLP return is multiplied with to be written (`attn_out`,
    `mlp_write`). act_fn: the nonlinearity of a layer's neurons, where it is one of `identities.ACTS` or the one the model
    names. shared_norm: layers whose attention and MLP read through one norm. stream_in_place: see `require_stream`."""

    spots: dict[Site, Spot] = field(default_factory=dict)
    missing: dict[Site, str] = field(default_factory=dict)
    logit_factor: float = 1.0
    linear_readout: bool = True
    factors: dict[Site, float] = field(default_factory=dict)
    shared_norm: set[int] = field(default_factory=set)
    act_fn: dict[int, str] = field(default_factory=dict)
    stream_in_place: bool = False
