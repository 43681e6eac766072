"""What a patching sweep found: a grid of runs, each with one piece of the other prompt's run in it. No model, no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.patching.cell import looked_into
from circuits.patching.choosing import COLOURS, STRONGEST, axes_of, looking, strongest
from circuits.patching.kinds import KINDS, Kind
from probe.errors import BadInput
from probe.model.unit_names import unit_name
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted, figures, signed

if TYPE_CHECKING:
    from circuits.patching.cell import PatchedCell
    from circuits.patching.sides import Pair, Side

Cell = tuple[int, ...]


@dataclass(frozen=True)
class Candidate:
    """A next token: its probability in the patched run, NaN where it is not among the likeliest that were kept."""

    token: str
    patched: float


@dataclass(frozen=True)
class Control(Record):
    """raw: the metric, by donor and cell; NaN where the real donor's cell was not run."""

    raw: Float[np.ndarray, "donor *grid"]

    @property
    def mean(self) -> Float[np.ndarray, "*grid"]:
        return self.raw.mean(0)

    @property
    def spread(self) -> Float[np.ndarray, "*grid"]:
        """Standard deviation over donors; NaN for a single one."""
        return self.raw.std(0, ddof=1) if len(self.raw) > 1 else np.full(self.raw.shape[1:], np.nan)


@dataclass(frozen=True)
class PatchingSweep(Record, figure=True, page=True):
    """One sweep. raw: the metric of every patched run, by the axes of its kind. answer_probs, top_ids, top_probs: of the same
    runs. computed: cells that were run; the others cannot differ from the unpatched run. words: token texts of `top_ids`.
    control: the metric with unrelated donors, or None. convention: every choice that changes a number. positions: patched
    together, from a cell's own on."""

    pair: "Pair"
    over: str
    direction: str
    raw: Float[np.ndarray, "*grid"]
    answer_probs: Float[np.ndarray, "*grid answer"]
    top_ids: Int[np.ndarray, "*grid k"]
    top_probs: Float[np.ndarray, "*grid k"]
    computed: Bool[np.ndarray, "*grid"]
    words: dict[int, str]
    control: "Control | None" = None
    convention: dict[str, Any] = field(default_factory=dict)
    positions: int = 1

    @property
    def kind(self) -> Kind:
        return KINDS[self.over]

    @property
    def axes(self) -> tuple[str, ...]:
        return self.kind.axes

    @property
    def base(self) -> "Side":
        """The run that is patched."""
        return self.pair.corrupted if self.direction == "denoise" else self.pair.clean

    def normalised(self, raw: Any) -> Any:
        """The metric with the clean run at 1 and the corrupted run at 0."""
        low = self.pair.corrupted.value
        return (raw - low) / (self.pair.clean.value - low)

    @property
    def values(self) -> Float[np.ndarray, "*grid"]:
        """Normalised metric: 1 is the clean run, 0 the corrupted one."""
        return self.normalised(self.raw)

    @property
    def start(self) -> float:
        """The normalised metric of the unpatched run."""
        return 0.0 if self.direction == "denoise" else 1.0

    @property
    def effect(self) -> Float[np.ndarray, "*grid"]:
        """How far each patch moved the normalised metric: towards the clean run above 0, towards the corrupted one below."""
        return self.values - self.start

    @property
    def control_effect(self) -> Float[np.ndarray, "*grid"] | None:
        """Mean movement with unrelated donors."""
        return None if self.control is None else self.normalised(self.control.mean) - self.start

    @property
    def control_spread(self) -> Float[np.ndarray, "*grid"] | None:
        """Standard deviation of that over donors."""
        return (
            None
            if self.control is None
            else self.control.spread / abs(self.pair.clean.value - self.pair.corrupted.value)
        )

    def require_cell(self, cell: Cell) -> Cell:
        """The same cell, if the sweep has it."""
        shape = self.raw.shape
        if len(cell) != len(shape) or not all(0 <= c < n for c, n in zip(cell, shape, strict=True)):
            named = ", ".join(f"{a} 0 to {n - 1}" for a, n in zip(self.axes, shape, strict=True))
            raise BadInput(f"This sweep has no cell {cell}; it has {named}.")
        return cell

    def name(self, cell: Cell) -> str:
        """`resid_pre.5 at 3 ' Mary' / ' John'` (clean / corrupted where they differ), `L5H3`, `L5H3 at 7 ' to'`."""
        place = f"{self.over}.{cell[0]}"
        if self.kind.by_head:
            kind = "neuron" if "neuron" in self.axes else "head"
            place = f"L{cell[0]}KV{cell[1]}" if "kv_head" in self.axes else unit_name(kind, cell[0], cell[1])
        if not self.kind.by_pos:
            return place
        last = min(cell[-1] + self.positions, len(self.pair.clean.tokens)) - 1
        ends = cell[-1] if last == cell[-1] else f"{cell[-1]} to {last}"
        return f"{place} at {ends} {' / '.join(map(repr, self.tokens_at(cell[-1], last)))}"

    def tokens_at(self, pos: int, last: int | None = None) -> tuple[str, ...]:
        """The token at a position of both prompts (to the last); where they differ the clean one and the corrupted one."""
        span = slice(pos, (pos if last is None else last) + 1)
        clean, corrupted = ("".join(side.tokens[span]) for side in (self.pair.clean, self.pair.corrupted))
        return (clean,) if clean == corrupted else (clean, corrupted)

    def candidates(self, cell: Cell) -> list[Candidate]:
        """What is predicted with this one patch, likeliest first."""
        at = self.require_cell(cell)
        return [
            Candidate(self.words[int(i)], float(p)) for i, p in zip(self.top_ids[at], self.top_probs[at], strict=True)
        ]

    def cell(self, cell: Cell) -> dict[str, Any]:
        """Everything known of one cell, for a table or JSON. effect: how far the normalised metric moves (see `effect`)."""
        at = self.require_cell(cell)
        found = {**dict(zip(self.axes, at, strict=True)), "name": self.name(at)}
        if self.kind.by_pos:
            found["token"] = " / ".join(self.tokens_at(at[-1]))
        found |= {"effect": float(self.effect[at]), self.pair.metric: float(self.raw[at])}
        for token, p in zip(self.pair.answers, self.answer_probs[at], strict=True):
            found[f"p({token!r})"] = float(p)
        if (mean := self.control_effect) is not None and (spread := self.control_spread) is not None:
            found |= {"control": float(mean[at]), "control sd": float(spread[at])}
        return {**found, "run": bool(self.computed[at])}

    def order(self) -> list[Cell]:
        """All cells that were asked for, those that move the metric most first."""
        flat = np.argsort(-np.abs(self.effect), axis=None, kind="stable")[: int(np.isfinite(self.raw).sum())]
        return [tuple(int(i) for i in cell) for cell in np.array(np.unravel_index(flat, self.raw.shape)).T]

    def rows(self, k: int | None = None) -> list[dict[str, Any]]:
        """A row a cell, by the size of the effect."""
        return [self.cell(cell) for cell in self.order()[:k]]

    def look(self, cell: Cell) -> "PatchedCell":
        """One patch looked into: what it does to the metric, and what is predicted with it.

        The cell is by the axes of the sweep: layer and position, layer and head, or all three.
        """
        return looked_into(self, cell)

    def panels(self, k: int = STRONGEST) -> list[Panel]:
        """The two runs, the heat map, one patch to look into beside what each run predicts, the k strongest patches."""
        return [
            Sentence(self.summary()),
            Rows("The two runs before anything is patched", self.pair.rows()),
            Figure("What each patch moves", self.figure, axes=axes_of(self)),
            Sentence(COLOURS),
            looking(self),
            strongest(self, k),
        ]

    def chosen(self, selection: Mapping[str, Any] | None) -> Cell:
        """The cell that a reader has chosen, or the strongest."""
        return tuple(looking(self).places(selection).values())

    def title(self) -> str:
        """One sentence."""
        top = self.order()[0]
        over = self.kind.label[:1].upper() + self.kind.label[1:]
        verb = "restores" if self.direction == "denoise" else "breaks"
        return (
            f"{over}, {'denoising' if self.direction == 'denoise' else 'noising'}: {self.pair.measured} "
            f"{figures(self.pair.clean.value, 4)} clean, {figures(self.pair.corrupted.value, 4)} corrupted; "
            f"{self.name(top)} moves it most "
            f"({verb} {100 * abs(self.effect[top]):.0f} %)."
            if self.effect[top] * (1 - 2 * self.start) > 0
            else f"{over}: {self.name(top)} moves the {self.pair.measured} most ({signed(self.effect[top], 2)})."
        )

    def summary(self) -> str:
        """The same as `title`, and how many unrelated donors stand beside it."""
        donors = f" {counted(len(self.control.raw), 'unrelated donor')} beside it." if self.control is not None else ""
        return f"{self.title()}{donors}"

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: arrays as nested lists."""
        grids = {n: getattr(self, n).tolist() for n in ("raw", "values", "effect", "answer_probs", "computed")}
        found = {
            "over": self.over,
            "direction": self.direction,
            "axes": list(self.axes),
            "pair": asdict(self.pair),
            **grids,
            "convention": self.convention,
        }
        if (mean := self.control_effect) is not None and (spread := self.control_spread) is not None:
            found["control"] = {"effect": mean.tolist(), "sd": spread.tolist(), "donors": len(self.control.raw)}  # type: ignore[union-attr]
        return found
