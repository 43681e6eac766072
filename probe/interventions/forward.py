"""Read activations at chosen sites in one forward pass that stops as soon as the last of them was seen.

No logits are computed unless they were asked for. Values are the live tensors, not copies, unless an intervention
later in the same pass writes in place (ours never do).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import BadInput, OpenworkError
from probe.model.anatomy import spot
from probe.model.key_value_cache import keeps_nothing
from probe.model.padding import of_lengths, without_padding
from probe.model.sites import Site, parse_site, parse_sites
from probe.show.record import Record
from probe.show.values import arrays_of, gist
from probe.text.prompts import Prompts, read_batch

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def per_token(value: Float[Tensor, "batch pos *axes"]) -> Float[Tensor, "batch pos width"]:
    """All numbers of a token in one axis, heads beside each other: what a dictionary reads of a site."""
    return value.flatten(2)


def require_finite(value: Tensor) -> Tensor:
    """The value itself; OpenworkError where it overflowed, which float16 does in models that were trained in bfloat16."""
    if bool(value.isfinite().all()):
        return value
    name = str(value.dtype).removeprefix("torch.")
    cure = "Load the model with dtype bfloat16 or float32." if name == "float16" else "Check the model's weights."
    raise OpenworkError(
        f"Values became infinite or not a number in this model's {name} arithmetic, so nothing can be read. {cure}"
    )


class Activations(Record, dict[str, Tensor]):
    """Tensors by canonical site name, which answer to every spelling of a site: `found["resid_post.5"]`,
    `found["resid_post.-1"]`, `found[Site("resid_post", 5)]`. lengths: how many tokens each prompt has; where they differ,
    values behind a prompt's own are NaN, and `found.alone(0)` holds the first prompt's alone."""

    def __init__(self, found: Mapping[str, Tensor], model: "TransformerBridge", lengths: Sequence[int] = ()):
        super().__init__(found)
        self._model, self.lengths = model, list(lengths)

    def alone(self, row: int) -> "Activations":
        """What one prompt of a batch gave, without padding, as if it had been read alone."""
        if not -len(self.lengths) <= row < len(self.lengths):
            raise BadInput(f"{len(self.lengths)} prompts were read, 0 to {len(self.lengths) - 1}; there is no {row}.")
        at, n = row % len(self.lengths), self.lengths[row]
        return Activations({name: _cut(name, value[at : at + 1], n) for name, value in self.items()}, self._model, [n])

    def summary(self) -> str:
        """One sentence: how many sites, and the shapes of the first."""
        some = ", ".join(f"{row['site']} {row['values']}" for row in self.rows()[:4])
        return f"{len(self)} sites: {some}{', …' * (len(self) > 4)}."

    def rows(self) -> list[dict[str, Any]]:
        """One row a site: its short name, the type and shape of what was read, its axes."""
        sites = ((parse_site(name), value) for name, value in self.items())
        return [{"site": s.short, "values": gist(v), "axes": " ".join(s.axes)} for s, v in sites]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: what was read where, without the numbers."""
        return {"sites": self.rows()}

    def arrays(self) -> dict[str, np.ndarray]:
        """What was read, by the sites' canonical names."""
        return arrays_of(dict(self))

    def __missing__(self, site: Any) -> Tensor:
        name = parse_site(site, self._model).name
        if name not in self.keys():
            read = ", ".join(parse_site(s).short for s in self)
            raise BadInput(f"{parse_site(name).short} was not read; read were {read}. Name it among the sites.")
        return super().__getitem__(name)

    def __contains__(self, site: object) -> bool:
        try:
            return super().__contains__(site) or parse_site(site, self._model).name in self.keys()  # type: ignore[arg-type]
        except BadInput:
            return False

    def get(self, site: Any, default: Any = None) -> Any:
        """The tensor at a site, or the default where it was not read."""
        return self[site] if site in self else default  # noqa: SIM401 (this is `get`)


class _Enough(Exception):
    """Raised inside the forward pass once every wanted site was seen."""


def read_run(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], sites: Iterable[str | Site]
) -> tuple[Float[Tensor, "batch some d_vocab"], dict[str, Tensor]]:
    """The logits of one whole pass, as the model returns them (of the positions that hooks in force let through), and what it
    held at these sites."""
    found: dict[str, Tensor] = {}

    def reader(site: Site) -> Callable:
        at = spot(site, model)
        return lambda value, hook: found.__setitem__(site.name, at.read(value, tokens.shape[0]))

    with torch.no_grad(), model.hooks(fwd_hooks=[(spot(s, model).hook, reader(s)) for s in map(parse_site, sites)]):
        logits = model(tokens)
    return logits, found


def capture(
    model: "TransformerBridge", tokens: Prompts, sites: str | Site | Iterable[str | Site], *, stop: bool = True
) -> Activations:
    """Activations by site. With `stop`, the pass ends after the last needed site.

    tokens: a matrix of ids, or prompts of any lengths (see `probe.text.prompts`): each row is as if its prompt were read alone,
    with NaN behind it (`found.lengths`, `found.alone`). sites: `resid_post.5`, `resid_post.-1`, `resid_post.*` for every layer.
    Interventions in force apply. Raises BadInput for an unknown site and OpenworkError if one never fired.

    >>> found = ow.capture(model, "When Mary and John went to", ["resid_post.1", "resid_post.-1"])
    >>> found["resid_post.1"].shape  # batch, position, d_model
    torch.Size([1, 8, 64])
    >>> both = ow.capture(model, ["Mary went to", "When Mary and John went to"], "resid_post.1")
    >>> both.lengths, both.alone(0)["resid_post.1"].shape
    ([5, 8], torch.Size([1, 5, 64]))
    """
    wanted, (tokens, lengths) = parse_sites(sites, model), read_batch(model, tokens)
    found: dict[str, Tensor] = {}

    def reader(site: Site) -> Callable:
        at = spot(site, model)

        def read(value: Tensor, hook: object) -> None:
            found[site.name] = at.read(value, tokens.shape[0])
            if stop and len(found) == len(wanted):
                raise _Enough

        return read

    hooks = [(spot(site, model).hook, reader(site)) for site in wanted]
    with suppress(_Enough), torch.no_grad(), of_lengths(lengths), model.hooks(fwd_hooks=hooks):
        model(tokens, **keeps_nothing(model))
    missing = [s.short for s in wanted if s.name not in found]
    if missing:
        raise OpenworkError(f"{', '.join(missing)} did not fire in the forward pass, so nothing was read there.")
    values = {
        s.name: without_padding(found[s.name], lengths, axis) if (axis := _axis(s)) else found[s.name] for s in wanted
    }
    return Activations(values, model, lengths)


def _axis(site: Site) -> int | None:
    """The axis along which positions of the prompt run; of attention the queries'."""
    return next((site.axes.index(axis) for axis in ("pos", "q_pos") if axis in site.axes), None)


def _cut(name: str, value: Tensor, n: int) -> Tensor:
    """A value's first n positions, keys too."""
    for axis, of in enumerate(parse_site(name).axes):
        if of in ("pos", "q_pos", "k_pos"):
            value = value.narrow(axis, 0, min(n, value.shape[axis]))
    return value
