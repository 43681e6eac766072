"""An intervention is a small value; running it is a `with`.

    with intervene(model, [Zero(head(9, 6)), Steer(resid_post(6), direction, scale=8.0)]):
        logits = model(tokens)

The list is applied in order at each site. It holds inside generation too, leaves nothing behind, and the empty list is an
exact no-op. An intervention that never fired raises when the `with` ends: silence would look like a result.

Positions count from the start of the prompt; in cached generation the offset of each new token is kept, so `pos=12` means
the twelfth token of the whole text. A forward pass over a single token is taken as the next one of a generation. In a batch of
unequal lengths those that count from the end do so from the end of each prompt.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from probe.errors import BadInput, OpenworkError
from probe.interventions.changes import interventions_of
from probe.interventions.places import Place, place, require_named_unit
from probe.interventions.values import Intervention, Splice
from probe.model.anatomy import Spot, require_stream, spot
from probe.model.padding import lengths_now
from probe.model.sites import Site, hook_name, parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


class Running:
    """One intervention in force: counts its firings and turns prompt positions into this pass's.

    seen: positions of the text that passes so far have covered. fired, applied: passes that came by, and those it changed. used:
    times that an attention pattern was used; late: whether it was before the change.
    """

    def __init__(self, entry: Intervention, where: Place, at: Spot, shape: list[int]):
        self.entry, self.where, self.at, self.shape, self.seen = entry, where, at, shape, 0
        self.fired, self.applied, self.used, self.late = 0, 0, 0, False

    def __call__(self, value: Tensor, hook: object) -> Tensor:
        self.fired += 1
        return self.at.change(value, self.shape[0], self._changed)

    def watch(self, value: Tensor, hook: object) -> None:
        """Hooked where an attention pattern is used: a change must have been made by then."""
        self.used += 1
        self.late |= self.fired < self.used

    def _changed(self, value: Tensor) -> Tensor:
        axes = self.where.site.axes
        index: list[Any] = [slice(None)] * value.ndim
        if "pos" in axes:
            start = self.seen if value.shape[1] == 1 and self.seen else 0
            self.seen = start + value.shape[1]
            lengths = lengths_now()
            if lengths is not None and _from_the_end(self.where.pos):
                index[:2] = _of_each_row(self.where.pos, lengths, value.device)
            elif (window := _window(self.where.pos, start, value.shape[1])) is not None:
                index[1] = window
            else:
                return value
        self.applied += 1
        if self.where.head is not None:
            index[axes.index("kv_head" if "kv_head" in axes else "head")] = self.where.head
        if self.where.unit is not None:
            index[-1] = self.where.unit
        if all(isinstance(i, slice) and i == slice(None) for i in index):
            return torch.as_tensor(self.entry.change(value)).to(value)
        changed = value.clone()
        changed[tuple(index)] = self.entry.change(value[tuple(index)])
        return changed


def _window(pos: int | slice | None, start: int, length: int) -> slice | None:
    """The part of `pos` (in prompt positions) inside a pass over positions start .. start + length, or None."""
    if pos is None:
        return slice(None)
    if isinstance(pos, int):
        pos = slice(pos, pos + 1 or None) if pos < 0 else slice(pos, pos + 1)
    first, last, _ = pos.indices(start + length)
    first, last = max(first - start, 0), last - start
    return slice(first, last) if last > first else None


def _from_the_end(pos: int | slice | None) -> bool:
    ends = [pos.start, pos.stop] if isinstance(pos, slice) else [pos]
    return any(isinstance(end, int) and end < 0 for end in ends)


def _of_each_row(pos: int | slice | None, lengths: list[int], device: torch.device) -> list[Tensor]:
    """Rows and positions of a place that counts from each prompt's end, as an index of both axes."""
    windows = [_window(pos, 0, n) or slice(0, 0) for n in lengths]
    sizes = {window.stop - window.start for window in windows}
    if len(sizes) > 1 or 0 in sizes:
        raise BadInput(
            f"Positions {pos} are not equally many in prompts of {', '.join(map(str, lengths[:8]))} tokens; run those prompts "
            "one by one, or name positions that each of them has."
        )
    columns = torch.tensor([list(range(window.start, window.stop)) for window in windows], device=device)
    return [torch.arange(len(lengths), device=device)[:, None].expand_as(columns), columns]


def _check(where: Place, model: "TransformerBridge") -> Place:
    """Refuse heads and units the model does not have."""
    require_named_unit(where, model)
    site = parse_site(where.site, model)
    axes = site.axes
    if where.head is not None and "head" not in axes and "kv_head" not in axes:
        raise BadInput(f"'{site.short}' has no head {where.head}; it has none.")
    if where.unit is not None and not 0 <= where.unit < (n := spot(site, model).sizes.get(axes[-1], 0)):
        raise BadInput(
            f"'{site.short}' has no unit {where.unit}; {f'it has units 0 to {n - 1}' if n else 'it has none'}."
        )
    if site.kind == "resid_mid":
        require_stream(model)
    if where.pos is not None and "pos" not in axes:
        raise BadInput(
            f"'{site.short}' has axes {' '.join(axes)} and no single position; use Knockout, or patch it whole."
        )
    if isinstance(where.pos, slice) and where.pos.step not in (None, 1):
        raise BadInput(f"Positions {where.pos} have a step; give one place for each run of positions.")
    return where


@contextmanager
def intervene(
    model: "TransformerBridge", interventions: Sequence[Any], dictionaries: Sequence[Any] = ()
) -> Iterator[None]:
    """Apply interventions to every forward pass inside the `with`.

    interventions: those of `probe.interventions.values`, unit edits (`probe.interventions.unit_edits`), or text like
    `ablate:L9H6` (`probe.interventions.changes`). dictionaries: those that latents named there belong to. Raises BadInput for
    places the model lacks, and OpenworkError at the end for any intervention that never fired.

    >>> with ow.intervene(model, [ow.Zero("L1H0"), "scale=2:L2N5"]):
    ...     logits = model(ids)
    >>> logits.shape
    torch.Size([1, 5, 466])
    """
    interventions = interventions_of(model, interventions, dictionaries)
    shape: list[int] = [1]
    places = [_check(place(entry.at), model) for entry in interventions]
    running = [Running(e, w, spot(w.site, model), shape) for e, w in zip(interventions, places, strict=True)]
    hooks: list[tuple[str, Callable]] = [("embed.hook_in", _noter(shape))] if running else []
    for one in running:
        if isinstance(one.entry, Splice) and one.entry.dictionary.site_in != one.entry.dictionary.site_out:
            source = parse_site(one.entry.dictionary.site_in, model)
            hooks.append((str(hook_name(source, model)), _reader(one.entry, spot(source, model), shape)))
        if one.where.site.kind in ("pattern", "scores"):
            hooks.append((spot(Site("z", one.where.site.layer), model).hook, one.watch))
        hooks.append((str(hook_name(one.where.site, model)), one))
    with model.hooks(fwd_hooks=hooks):
        yield
    late = [r.where.site.short for r in running if r.late]
    if late:
        raise OpenworkError(
            f"{', '.join(late[:3])} cannot be changed: this model's attention reports it only after using it, "
            "so nothing was changed."
        )
    _raise_silent([r for r in running if not r.applied])


def _raise_silent(silent: list[Running]) -> None:
    """What changed nothing, and why: no pass came by, or none had the position."""
    if not silent:
        return
    one = silent[0]
    names = ", ".join(f"{type(r.entry).__name__} at {r.where.site.short}" for r in silent[:3])
    if one.fired:
        raise OpenworkError(f"{names} never fired: no pass had position {one.where.pos}, only {one.seen} positions.")
    raise OpenworkError(
        f"{names} never fired: no forward pass ran through it. Run the model inside the `with`, and beyond that layer."
    )


def _noter(shape: list[int]) -> Callable:
    """Keeps the batch size of the pass that runs, for models that flatten it away."""

    def note(value: Tensor, hook: object) -> None:
        shape[0] = value.shape[0]

    return note


def _reader(splice: Splice, at: Spot, shape: list[int]) -> Callable:
    def read(value: Tensor, hook: object) -> None:
        splice.read(at.read(value, shape[0]))

    return read
