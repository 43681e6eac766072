"""What an attribution of nodes takes: pairs a pass, passes, time and memory, measured on a few pairs before it starts.

As for edges (`circuits.edge_attribution.plan`): a pass of two pairs and one of three tell what each more takes. Of integrated
gradients and GradDrop, whose passes are alike, two are run.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from circuits.edge_attribution.plan import SCATTERED, run_at_most
from circuits.node_attribution.estimate import Estimate, NodeConfig, dropped
from circuits.node_attribution.nodes import Group
from probe.activations.peak_bytes import Event, events_of, extrapolated, peak_of, process_bytes
from probe.memory import SMALL, require
from probe.show.record import Record
from probe.tasks.pairs import Pairs
from probe.tasks.refusals import require_pairs
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_SLACK = 8 << 20
"Bytes of buffers that no operation tells of."
FEW = (2, 3)
"Pairs of the passes that are counted: one alone is another case, for which some copies are not made."
_A_NODE = 64
"Bytes of what is kept of a node beside its scores."
SOME = 2
"Gradients of a pass that are measured."
Measured = tuple[float, tuple[list[Event], list[Event]]]
_known: "WeakKeyDictionary[TransformerBridge, dict[tuple, Measured]]" = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True)
class NodePlan(Record):
    """nodes: of the model, positions apart. pairs: of the task. batch: pairs a pass, or nodes where each is patched. passes:
    backward passes, or forward where nodes are patched. seconds: from some that were measured. bytes: beside the model."""

    nodes: int
    pairs: int
    batch: int
    passes: int
    seconds: float
    bytes: int
    patched: bool = False

    def summary(self) -> str:
        """One sentence."""
        way = "forward" if self.patched else "backward"
        runs = f"{self.passes:,} {'pass' if self.passes == 1 else 'passes'} {way}"
        return (
            f"{counted(self.nodes, 'node')} on {counted(self.pairs, 'pair')}: {runs}, "
            f"{counted(self.batch, 'node' if self.patched else 'pair')} together, about {estimate(self.seconds)} and "
            f"{size(self.bytes)} of memory beside the model."
        )


def plan_nodes(model: "TransformerBridge", groups: list[Group], pairs: Pairs, config: NodeConfig) -> NodePlan:
    """What scores of these nodes take. BadInput where they do not fit into memory, for pairs of another model, and for options
    that do not go together."""
    require_pairs(model, pairs)
    how = Estimate(model, groups, pairs, config)
    seconds, few = _measured(how)
    one, passes = peak_of(few[1]) - peak_of(few[0]), _passes(model, groups, config)
    batch = min(len(pairs), config.batch or max(1, FEW[0] + (config.memory - peak_of(few[0])) // max(1, one)))
    parts = pairs.groups(batch)
    nodes = sum(group.units for group in groups) * (max(map(len, pairs.clean)) if config.by_position else 1)
    size = max(map(len, parts))
    made = extrapolated(*few, (size - FEW[0]) // (FEW[1] - FEW[0]))
    total = _SLACK + _A_NODE * nodes + 4 * nodes * len(pairs) + process_bytes(made, SCATTERED)
    require(total, f"Nodes of {counted(len(pairs), 'pair')}", model.W_E.device)
    took = seconds * len(pairs) * (1 + passes) / (1 + min(passes, SOME))
    return NodePlan(nodes=nodes, pairs=len(pairs), batch=batch, passes=len(parts) * passes, seconds=took, bytes=total)


def batch_of(model: "TransformerBridge", groups: list[Group], pairs: Pairs, config: NodeConfig) -> int:
    """Pairs a pass: all of them where they surely fit, otherwise what a plan says."""
    require_pairs(model, pairs)
    if config.batch is None and len(pairs) * _at_most(model, groups, pairs, config) <= min(config.memory, SMALL):
        return len(pairs)
    return plan_nodes(model, groups, pairs, config).batch


def _at_most(model: "TransformerBridge", groups: list[Group], pairs: Pairs, config: NodeConfig) -> int:
    """Bytes that no pair takes more than, roughly: a run's, and what nodes take."""
    cfg, n = model.cfg, max(map(len, pairs.clean))
    by_position = int(cfg.n_layers) * n * int(cfg.n_heads) * max(int(cfg.d_head), n) * config.by_position
    return run_at_most(model, n, 4 * sum(group.units for group in groups if group.dictionary is not None) + by_position)


def _passes(model: "TransformerBridge", groups: Sequence[Group], config: NodeConfig) -> int:
    if config.grad_drop:
        return len(dropped(model))
    return max(1, config.steps) * (len(groups) if config.steps and config.path == "nodes" else 1)


def _measured(how: Estimate) -> Measured:
    """Seconds a pair, and what the longest pair makes and frees when it is there twice and three times; kept for the next."""
    pairs, config = how.pairs, how.config
    longest = int(np.argmax([len(ids) for ids in pairs.clean]))
    known = _known.setdefault(how.model, {})
    nodes = tuple((g.family, g.layer, g.units, id(g.dictionary)) for g in how.groups)
    ways = config.by_position, config.qk_fix, config.grad_drop, bool(config.steps), config.path
    asked = (nodes, ways, len(pairs.clean[longest]), pairs.measure)
    if asked not in known:
        few = tuple(events_of(lambda k=k: how.some_of([longest] * k, SOME)) for k in FEW)
        started = time.perf_counter()
        how.some_of([longest] * FEW[0], SOME)
        known[asked] = (time.perf_counter() - started) / FEW[0], few  # type: ignore[assignment]
    return known[asked]
