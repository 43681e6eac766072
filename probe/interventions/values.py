"""Interventions as values: where (`at`), and what the value there becomes (`change`). `intervene` runs them.

What each is in the literature: zero and mean ablation, (activation) patching, steering, attention knockout (Geva et al. 2023),
and splicing a dictionary in the place of what it was trained on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput, OpenworkError, brief
from probe.interventions.attention_blocked import without_attention
from probe.interventions.forward import per_token
from probe.interventions.places import Place, place, unit_at, where_name
from probe.model.sites import Site, parse_site, site_named
from probe.model.unit_names import UnitName, head_of
from probe.plain_values import Settings, look_at_config
from probe.show.record import Record
from probe.show.values import gist


class Intervention(Protocol):
    """What `intervene` needs: where, and what the value there becomes."""

    at: "Site | str | UnitName | Place"

    def change(self, value: Tensor) -> Tensor | float: ...


class _Change(Settings, Record):
    """What an intervention is asked when it is made, whatever the model: whether its place and numbers can be such. And what it
    prints: where it is, and its numbers by their shape."""

    at: "Site | str | UnitName | Place"

    def __post_init__(self) -> None:
        if isinstance(self.at, UnitName):
            object.__setattr__(self, "at", str(self.at))
        if not isinstance(self.at, Place | Site) and unit_at(self.at) is None:
            site_named(self.at)
        look_at_config(self)
        for name in ("mean", "value", "direction"):
            if name in vars(self) and not (type(self) is Steer and self.direction is None):
                _require_numbers(type(self).__name__, name, getattr(self, name))

    def __repr__(self) -> str:
        values = [f"{name} {gist(value)}" for name, value in vars(self).items() if name != "at"]
        return f"{type(self).__name__}({', '.join([where_name(self.at), *values])})"  # type: ignore[attr-defined]


def _require_numbers(what: str, name: str, value: Any) -> None:
    """BadInput unless torch makes numbers of it."""
    try:
        fits = not isinstance(value, bool) and not torch.as_tensor(value).is_complex()
    except (TypeError, ValueError, RuntimeError):
        fits = False
    if not fits:
        raise BadInput(f"{what}: {name} is {brief(value)}; a number or a tensor was wanted.")


@dataclass(frozen=True)
class Zero(_Change):
    """Zero ablation.

    >>> ow.edited_run(model, "When Mary and John went to", [ow.Zero("L1H0"), ow.Zero("mlp_out.2")]).edits
    ['ablate L1H0', 'ablate mlp_out.2']
    """

    at: "Site | str | UnitName | Place"

    def change(self, value: Tensor) -> Tensor:
        return torch.zeros_like(value)


@dataclass(frozen=True, eq=False)
class Mean(_Change):
    """Mean ablation: `mean` has the place's trailing axes.

    >>> mean = ow.capture(model, ids, "z.1")["z.1"][0, :, 0].mean(0)
    >>> ow.edited_run(model, "When Mary and John went to", [ow.Mean("L1H0", mean)]).edits
    ['mean L1H0']
    """

    at: "Site | str | UnitName | Place"
    mean: Tensor | float

    def change(self, value: Tensor) -> Tensor:
        return like(self.mean, value)


@dataclass(frozen=True, eq=False)
class Patch(_Change):
    """Replace by activations of another run.

    >>> donor = ow.capture(model, "When John and Mary went to", "z.1")["z.1"][:, -1:, 0]
    >>> ow.edited_run(model, "When Mary and John went to", [ow.Patch("L1H0@-1", donor)]).edits
    ['patch L1H0@-1']
    """

    at: "Site | str | UnitName | Place"
    value: Tensor | float

    def change(self, value: Tensor) -> Tensor:
        return like(self.value, value)


@dataclass(frozen=True, eq=False)
class Freeze(_Change):
    """Hold a site at recorded values of exactly its shape; another shape is an error, never broadcast.

    >>> value = ow.capture(model, ids, "resid_post.1")["resid_post.1"]
    >>> float(ow.edited_run(model, ids, [ow.Freeze("resid_post.1", value)]).kl.max())  # its own values: nothing changes
    0.0
    """

    at: "Site | str | UnitName | Place"
    value: Tensor

    def change(self, value: Tensor) -> Tensor:
        if self.value.shape != value.shape:
            raise BadInput(
                f"Freeze at {place(self.at).site.short} holds {tuple(self.value.shape)}, but the run has {tuple(value.shape)}. "
                "Record the values from a prompt of the same length."
            )
        return self.value.to(value)


@dataclass(frozen=True, eq=False)
class Steer(_Change):
    """Add `scale * direction`. A single neuron or latent needs no direction: `scale` is added to its activation.

    >>> ow.edited_run(model, "When Mary and John went to", [ow.Steer("resid_post.1", torch.ones(64), scale=2.0)]).edits
    ['add resid_post.1']
    """

    at: "Site | str | UnitName | Place"
    direction: Float[Tensor, "..."] | float | None = None
    scale: float = 1.0

    def change(self, value: Tensor) -> Tensor:
        return value + self.scale * like(1.0 if self.direction is None else self.direction, value)


@dataclass(frozen=True)
class Scale(_Change):
    """Multiply by `factor`.

    >>> ow.edited_run(model, "When Mary and John went to", [ow.Scale("L1H0", 0.5)]).edits
    ['scale L1H0']
    """

    at: "Site | str | UnitName | Place"
    factor: float

    def change(self, value: Tensor) -> Tensor:
        return value * self.factor


@dataclass(frozen=True)
class Clamp(_Change):
    """Hold at one number.

    >>> ow.edited_run(model, "When Mary and John went to", [ow.Clamp("L2N5@-1", 3.0)]).edits
    ['clamp L2N5@-1']
    """

    at: "Site | str | UnitName | Place"
    level: float

    def change(self, value: Tensor) -> Tensor:
        return torch.full_like(value, self.level)


@dataclass(frozen=True)
class Knockout(Settings):
    """Forbid attention from `query` to `key` positions in a layer (all heads, or one): the rest is renormalised. One head by
    its name too: `Knockout("L5H3", 4, 1)`.

    The pattern is set to 0 there and divided by what remains: `probe.interventions.attention_blocked`.

    >>> ow.edited_run(model, "When Mary and John went to", [ow.Knockout("L1H0", query=4, key=1)]).edits
    ['knockout L1H0@4←1']
    """

    layer: int
    query: int
    key: int
    head: int | None = None

    if TYPE_CHECKING:

        def __init__(
            self, layer: int | str | UnitName | Place, query: int, key: int, head: int | None = None
        ) -> None: ...

    def __post_init__(self) -> None:
        if not isinstance(self.layer, int | float | None):
            for name, one in zip(("layer", "head"), head_of(self.layer, self.head), strict=True):
                object.__setattr__(self, name, one)
        look_at_config(self)

    @property
    def at(self) -> Place:
        return Place(Site("pattern", self.layer))

    def change(self, value: Tensor) -> Tensor:
        n_heads, length = value.shape[1], value.shape[2]
        if not 0 <= self.key <= self.query < length or not (self.head is None or 0 <= self.head < n_heads):
            raise BadInput(
                f"There is no attention from position {self.query} to {self.key} in head {self.head}: queries 0 to {length - 1} "
                f"attend to themselves and earlier keys, in heads 0 to {n_heads - 1}."
            )
        heads = slice(None) if self.head is None else slice(self.head, self.head + 1)
        blocked = torch.zeros(1, n_heads, length, value.shape[3], dtype=torch.bool, device=value.device)
        blocked[:, heads, self.query, self.key] = True
        return without_attention(value, blocked)


Ablate, Add = Zero, Steer
"""The field's words for the same."""


class Function:
    """Any change of a site by a function of its value; what `Splice` and the tests of circuits are made of."""

    def __init__(self, at: "Site | str | UnitName | Place", function: Callable[[Tensor], Tensor]):
        self.at, self.change = at, function


class Splice:
    """Put a dictionary in the place of what it was trained on: `site_out` becomes its reconstruction from `site_in`.

    keep: boolean mask (batch, pos) of the positions left untouched, usually the special tokens.

    >>> ow.edited_run(model, "When Mary and John went to", [ow.Splice(transcoder)]).kl.shape
    (8,)
    """

    def __init__(self, dictionary: Any, keep: Tensor | None = None):
        if not hasattr(dictionary, "site_out"):
            raise BadInput(f"Splice puts a dictionary in, of load_dictionary() or your own; {brief(dictionary)} came.")
        self.dictionary, self.keep = dictionary, keep
        self.at = parse_site(dictionary.site_out)
        self._input: Tensor | None = None

    def read(self, value: Tensor) -> None:
        """Remember the dictionary's input of this forward pass."""
        self._input = value

    def change(self, value: Tensor) -> Tensor:
        source = value if self.dictionary.site_in == self.dictionary.site_out else self._input
        if source is None:
            raise OpenworkError(f"{self.dictionary.site_in} did not fire before {self.dictionary.site_out}.")
        recons = self.dictionary(per_token(source).to(self.dictionary.W_enc)).recons.to(value).view_as(value)
        if self.keep is None:
            return recons
        keep = self.keep.to(value.device)
        return torch.where(keep.view(*keep.shape, *(1,) * (value.ndim - 2)), value, recons)


def like(given: Tensor | float, value: Tensor) -> Tensor:
    """`given` broadcast to `value`, or a sentence saying why it cannot be. Heads may lie beside each other in one axis."""
    tensor = torch.as_tensor(given).to(value)
    if value.ndim == 4 and tensor.ndim and tensor.shape[-1] == value.shape[2] * value.shape[3] != value.shape[3]:
        tensor = tensor.unflatten(-1, value.shape[2:])
    try:
        return tensor.expand_as(value)
    except RuntimeError as error:
        raise BadInput(
            f"A value of shape {tuple(tensor.shape)} does not fit activations of shape {tuple(value.shape)}."
        ) from error
