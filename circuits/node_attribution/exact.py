"""Exact node patching: each node by itself takes the value that it has in the corrupted run, and the metric is measured.

    score(node) = m(clean run, with the node's value of the corrupted run) - m(clean run)

What gradients estimate, measured: the truth that `atp` is compared with. A position before the first token that differs has the
corrupted value already, and is 0 without a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from jaxtyping import Int

from circuits.node_attribution.attribute import outlines
from circuits.node_attribution.kinds import NodeChoice
from circuits.node_attribution.nodes import Group, Nodes, groups_of, nodes_of
from circuits.node_attribution.patched import ROWS, Patched
from circuits.node_attribution.scores import SIGN, NodeScores
from circuits.patching.plan import row_bytes
from probe.memory import require
from probe.methods import DictionaryName, Doc, method
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.record import Record
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import METRICS, Drawn, Pairs, pairs_of
from probe.words import counted, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class PatchedConfig(Settings):
    """Which nodes are patched."""

    by_position: bool = False
    "Whether a node is a unit at one position, counted from the last token, or a unit at all of them."
    sample: Annotated[int | None, Doc(least=1)] = 500
    "How many nodes, drawn from all; none: all of them."


@dataclass(frozen=True, kw_only=True)
class ExactPlan(Record):
    """nodes: that are patched, of all there are. pairs: of the task. runs: rows of forward passes. bytes: beside the model."""

    nodes: int
    of: int
    pairs: int
    runs: int
    bytes: int

    def summary(self) -> str:
        """One sentence."""
        return (
            f"{self.nodes:,} of {counted(self.of, 'node')} on {counted(self.pairs, 'pair')}: "
            f"{counted(self.runs, 'run')} forward, {min(ROWS, self.nodes)} together, "
            f"about {size(self.bytes)} of memory beside the model."
        )


@method(
    "exact-nodes",
    group="circuits",
    plan="plan_exact_nodes",
    paper="Causal Mediation Analysis (Vig et al. 2020); AtP* (Kramar et al. 2024)",
)
@takes_fields("drawn", Drawn)
@takes_fields("config", PatchedConfig)
def exact_nodes(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    nodes: Annotated[NodeChoice, Doc("What is patched; `components` are heads and MLPs.")] = "components",
    dictionaries: Annotated[Sequence[DictionaryName], Doc("Whose latents are patched.")] = (),
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 8,
    drawn: Drawn = Drawn(),
    config: PatchedConfig = PatchedConfig(),
    progress: Progress = SILENT,
) -> NodeScores:
    """What heads, MLPs, neurons or latents really do to a task: each is patched by itself and the metric measured.

    One row of a forward pass a node and pair. Where there are more nodes than `sample`, so many are drawn; others have no score.

    >>> scores = ow.exact_nodes(model, "greater-than", "heads", n=1)
    >>> len(scores.rows(None)), scores.convention["nodes measured"]
    (16, 16)
    """
    pairs, groups = pairs_of(model, task, n, drawn), groups_of(model, nodes, dictionaries)
    every = nodes_of(groups, _length(pairs) if config.by_position else 0)
    chosen = drawn_from(len(every), config.sample, drawn.seed)
    _planned(model, pairs, len(chosen), len(every))
    return measured(model, groups, pairs, every, chosen, progress)


@takes_fields("drawn", Drawn)
@takes_fields("config", PatchedConfig)
def plan_exact_nodes(
    model: "TransformerBridge",
    task: TaskName = "ioi",
    nodes: NodeChoice = "components",
    dictionaries: Sequence[Any] = (),
    *,
    n: int = 8,
    drawn: Drawn = Drawn(),
    config: PatchedConfig = PatchedConfig(),
) -> ExactPlan:
    """What `exact_nodes` takes."""
    pairs, groups = pairs_of(model, task, n, drawn), groups_of(model, nodes, outlines(model, dictionaries))
    total = sum(group.units for group in groups) * (_length(pairs) if config.by_position else 1)
    return _planned(model, pairs, min(total, config.sample or total), total)


def _planned(model: "TransformerBridge", pairs: Pairs, nodes: int, total: int) -> ExactPlan:
    length = _length(pairs)
    held = 8 * length * int(model.cfg.n_layers) * max(int(model.cfg.d_model), int(model.cfg.d_mlp or 0))
    needed = (64 << 20) + 3 * min(ROWS, nodes) * row_bytes(model, length) // 2 + held + 4 * total * len(pairs)
    require(needed, f"Patching {counted(nodes, 'node')}", model.W_E.device)
    return ExactPlan(nodes=nodes, of=total, pairs=len(pairs), runs=nodes * len(pairs), bytes=needed)


def _length(pairs: Pairs) -> int:
    return max(map(len, pairs.clean))


def drawn_from(total: int, sample: int | None, seed: int) -> Int[np.ndarray, " some"]:
    """Which nodes are measured."""
    if sample is None or sample >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, sample, replace=False))


def measured(
    model: "TransformerBridge",
    groups: list[Group],
    pairs: Pairs,
    every: Nodes,
    chosen: Int[np.ndarray, " some"],
    progress: Progress = SILENT,
) -> NodeScores:
    """Scores of these nodes among all."""
    by_pair = np.full((len(pairs), len(every)), np.nan, np.float32)
    ends = np.zeros((2, len(pairs)))
    nodes = every.some(chosen)
    with progress.stage("exact nodes", total=len(pairs) * len(chosen), unit="patch") as step:
        for i in range(len(pairs)):
            one = Patched(model, groups, pairs, i)
            ends[:, i] = one.clean, one.corrupted
            for at, value in one.effects(nodes):
                by_pair[i, chosen[at]] = value
                step(len(at))
    record = NodeScores(
        method="exact patching",
        task=pairs.task,
        nodes=every,
        by_pair=by_pair,
        chance=np.full(len(every), np.nan),
        clean=ends[0],
        corrupted=ends[1],
        examples=[e.clean for e in pairs.examples],
        seed=pairs.seed,
        convention={
            "sign": SIGN,
            "metric": METRICS[pairs.measure],
            "positions": "each, counted from the last token" if every.by_position else "all together",
            "nodes measured": len(chosen),
            "seed": pairs.seed,
        },
    )
    return came_from(record, model)
