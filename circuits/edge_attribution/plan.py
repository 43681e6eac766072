"""What scoring edges takes: pairs a pass, passes, time and memory, measured on a few pairs before it starts.

Memory is counted as tensors are made and freed (`probe.activations.peak_bytes`) by one pass of two pairs and one of three; each
more takes as much again. Refused, too, before it starts: pairs that fit neither each other nor the model, runs without number.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from weakref import WeakKeyDictionary

import numpy as np

from circuits.edge_attribution.components import Components, components
from circuits.edge_attribution.estimate import Estimate
from circuits.edge_attribution.refusals import require_pairs
from probe.activations.peak_bytes import Event, events_of, extrapolated, peak_of
from probe.doc import Doc
from probe.memory import require
from probe.plain_values import Settings, takes_fields
from probe.show.record import Record
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import Drawn, Pairs, pairs_of
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

MEMORY = 1_073_741_824
SLACK = 64 << 20
"Bytes of buffers that no operation tells of."
FEW = (2, 3)
"Pairs of the passes that are counted: one alone is another case, for which some copies are not made."


Measured = tuple[float, tuple[list[Event], list[Event]]]
_known: "WeakKeyDictionary[TransformerBridge, dict[tuple, Measured]]" = WeakKeyDictionary()


@dataclass(frozen=True)
class EdgeConfig(Settings):
    """How much is done at once; it changes the time and no result."""

    memory: Annotated[int, Doc(least=1)] = MEMORY
    "Bytes for the pairs of a pass."
    batch: Annotated[int | None, Doc(least=1)] = None
    "Pairs a pass; by default as many as fit into memory."


@dataclass(frozen=True, kw_only=True)
class EdgePlan(Record):
    """edges: to be scored. pairs: of the task. batch: pairs a pass, or edges where each is patched. passes: runs forward and
    back, or forward where edges are patched. seconds: from one that was measured. bytes: beside the model."""

    edges: int
    pairs: int
    batch: int
    passes: int
    seconds: float
    bytes: int
    patched: bool = False

    def summary(self) -> str:
        """One sentence."""
        way = "" if self.patched else " forward and back"
        runs = counted(self.passes, "run") + way if self.passes else "forward runs alone"
        together = f"{self.batch} {'edges' if self.patched else 'pairs'} together"
        return (
            f"{counted(self.edges, 'edge')} on {counted(self.pairs, 'pair')}: {runs}, {together}, about "
            f"{estimate(self.seconds)} and {size(self.bytes)} of memory beside the model."
        )


def plan_edges(model: "TransformerBridge", pairs: Pairs, how: Estimate, config: EdgeConfig) -> EdgePlan:
    """What an estimate takes. BadInput where it does not fit into memory, or for what `refusals` refuse."""
    require_pairs(model, pairs)
    made = components(model)
    how.check(model, made)
    seconds, few = _measured(model, made, pairs, how)
    one = peak_of(few[1]) - peak_of(few[0])
    room = config.memory - peak_of(few[0])
    batch = min(len(pairs), config.batch or max(1, FEW[0] + room // max(1, one)))
    edges, groups = int(made.layout.edges.sum()), pairs.groups(batch)
    total = SLACK + 4 * edges * len(pairs) + held_bytes(few, FEW, max(map(len, groups)))
    require(total, f"Edges of {counted(len(pairs), 'pair')}", model.W_E.device)
    layout = made.layout
    return EdgePlan(
        edges=edges,
        pairs=len(pairs),
        batch=batch,
        passes=len(groups) * how.passes(layout),
        seconds=seconds * len(pairs) * how.work(layout) / how.shortest().work(layout),
        bytes=total,
    )


def held_bytes(few: tuple[list[Event], list[Event]], sizes: tuple[int, int], size: int) -> int:
    """What a pass of this size holds at its peak, from the events of two smaller ones."""
    return peak_of(extrapolated(*few, (size - sizes[0]) / (sizes[1] - sizes[0])))


def _measured(model: "TransformerBridge", made: Components, pairs: Pairs, how: Estimate) -> Measured:
    """Seconds a pair, and what the longest pair makes and frees when it is there twice and three times; kept for the next."""
    longest = int(np.argmax([len(ids) for ids in pairs.clean]))
    known = _known.setdefault(model, {})
    asked = how.shortest(), len(pairs.clean[longest]), pairs.measure
    if asked not in known:
        known[asked] = _measure(model, made, pairs, how.shortest(), longest)
    return known[asked]


def _measure(model: "TransformerBridge", made: Components, pairs: Pairs, how: Estimate, longest: int) -> Measured:
    started = time.perf_counter()
    few = tuple(events_of(lambda k=k: how.scored(model, made, pairs, [longest] * k)) for k in FEW)
    return (time.perf_counter() - started) / sum(FEW), few  # type: ignore[return-value]


def plan_of(how: type[Estimate]) -> Callable[..., EdgePlan]:
    """The plan of a method of this estimate, which takes the method's own arguments."""

    @takes_fields("how", how)
    @takes_fields("drawn", Drawn)
    @takes_fields("config", EdgeConfig)
    def plan(
        model: "TransformerBridge",
        task: TaskName = "ioi",
        *,
        n: int = 32,
        how: Estimate = how(),
        drawn: Drawn = Drawn(),
        config: EdgeConfig = EdgeConfig(),
    ) -> EdgePlan:
        """What it takes."""
        return plan_edges(model, pairs_of(model, task, n, drawn), how, config)

    return plan
