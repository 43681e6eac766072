"""What scoring edges takes: pairs a pass, passes, time and memory, measured on a few pairs before it starts.

Memory is counted as tensors are made and freed (`probe.activations.peak_bytes`) by a pass of one pair; each more takes as much
again. Refused, too, before it starts: pairs that fit neither each other nor the model, runs without number.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from weakref import WeakKeyDictionary

import numpy as np

from circuits.edge_attribution.components import Components, components
from circuits.edge_attribution.estimate import Estimate
from probe.activations.peak_bytes import Event, events_of, peak_of, process_bytes
from probe.doc import Doc
from probe.memory import SMALL, require
from probe.plain_values import Settings, takes_fields
from probe.show.record import Record
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import Drawn, Pairs, pairs_of
from probe.tasks.refusals import require_pairs
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

MEMORY = 1_073_741_824
SLACK = 8 << 20
"Bytes of buffers that no operation tells of."
SCATTERED = 1.5
"A heap over what is alive in it: a pass keeps its graph, so less is lost in holes than at worst. Measured: 1.4 to 1.7."
TIMED = 2
"Pairs of the pass that is timed."
_known: "WeakKeyDictionary[TransformerBridge, dict[tuple, list[Event]]]" = WeakKeyDictionary()


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
        together = f"{counted(self.batch, 'edge' if self.patched else 'pair')} together"
        return (
            f"{counted(self.edges, 'edge')} on {counted(self.pairs, 'pair')}: {runs}, {together}, about "
            f"{estimate(self.seconds)} and {size(self.bytes)} of memory beside the model."
        )


def plan_edges(model: "TransformerBridge", pairs: Pairs, how: Estimate, config: EdgeConfig) -> EdgePlan:
    """What an estimate takes. BadInput where it does not fit into memory, or for what `refusals` refuse."""
    batch, total = room_for(model, pairs, how, config)
    layout, groups = components(model).layout, pairs.groups(batch)
    short = how.shortest()
    some = [_longest(pairs)] * min(TIMED, len(groups[0]))
    started = time.perf_counter()
    short.scored(model, components(model), pairs, some)
    each = (time.perf_counter() - started) / len(some)
    return EdgePlan(
        edges=int(layout.edges.sum()),
        pairs=len(pairs),
        batch=batch,
        passes=len(groups) * how.passes(layout),
        seconds=each * len(pairs) * how.work(layout) / short.work(layout),
        bytes=total,
    )


def batch_of(model: "TransformerBridge", pairs: Pairs, how: Estimate, config: EdgeConfig) -> int:
    """Pairs a pass: all of them where they surely fit, otherwise what is measured. BadInput as of `room_for`."""
    layout, n = components(model).layout, max(map(len, pairs.clean), default=0)
    written = int(model.cfg.d_model) * (4 * len(layout.senders) + 2 * len(layout.receivers))
    if config.batch is None and len(pairs) * run_at_most(model, n, written) <= min(config.memory, SMALL):
        require_pairs(model, pairs)
        how.check(model, components(model))
        return len(pairs)
    return room_for(model, pairs, how, config)[0]


def run_at_most(model: "TransformerBridge", n: int, more: int = 0) -> int:
    """Bytes that a run of n tokens and its gradients surely stay under: some 40 tensors of every layer's width, patterns, and
    `more` numbers a token."""
    cfg = model.cfg
    wide = 40 * int(cfg.d_model) + 12 * int(cfg.d_mlp or cfg.d_model) + 12 * int(cfg.n_heads) * max(int(cfg.d_head), n)
    return 8 * (n * (int(cfg.n_layers) * wide + more) + 4 * int(cfg.d_vocab))


def room_for(model: "TransformerBridge", pairs: Pairs, how: Estimate, config: EdgeConfig) -> tuple[int, int]:
    """Pairs a pass, and bytes of all. BadInput where they do not fit into memory, or for what `refusals` refuse."""
    require_pairs(model, pairs)
    made = components(model)
    how.check(model, made)
    one = _events(model, made, pairs, how.shortest())
    batch = min(len(pairs), config.batch or max(1, config.memory // max(1, peak_of(one))))
    while config.batch is None and batch > 1 and _held(one, batch) > config.memory:
        batch = max(1, batch * 9 // 10)
    total = SLACK + 4 * int(made.layout.edges.sum()) * len(pairs) + _held(one, max(map(len, pairs.groups(batch))))
    require(total, f"Edges of {counted(len(pairs), 'pair')}", model.W_E.device)
    return batch, total


def _held(one: list[Event], size: int) -> int:
    """What a process holds at its peak for so many pairs at once: each makes as much as one."""
    return process_bytes([Event(e.piece, size * e.bytes) for e in one], SCATTERED)


def _longest(pairs: Pairs) -> int:
    return int(np.argmax([len(ids) for ids in pairs.clean]))


def _events(model: "TransformerBridge", made: Components, pairs: Pairs, how: Estimate) -> list[Event]:
    """What the longest pair makes and frees; kept for the next call."""
    known, longest = _known.setdefault(model, {}), _longest(pairs)
    asked = how, len(pairs.clean[longest]), pairs.measure
    if asked not in known:
        known[asked] = events_of(lambda: how.scored(model, made, pairs, [longest]))
    return known[asked]


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
