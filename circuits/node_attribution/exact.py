"""Exact node patching: each node by itself takes the value that it has in the corrupted run, and the metric is measured.

    score(node) = m(clean run, with the node's value of the corrupted run) - m(clean run)

What gradients estimate, measured: the truth that `atp` is compared with. A position before the first token that differs has the
corrupted value already, and is 0 without a run.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from jaxtyping import Int

from circuits.edge_attribution.plan import SLACK
from circuits.node_attribution.attribute import loaded
from circuits.node_attribution.kinds import NodeChoice
from circuits.node_attribution.nodes import Group, Nodes, groups_of, nodes_of
from circuits.node_attribution.patched import ROWS, Patched
from circuits.node_attribution.plan import NodePlan
from circuits.node_attribution.scores import SIGN, NodeScores
from probe.activations.peak_bytes import events_of, peak_of
from probe.memory import require
from probe.methods import DictionaryName, Doc, method
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import METRICS, Drawn, Pairs, pairs_of
from probe.tasks.refusals import require_pairs
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


_TIMED = (0.0, 0.5, 1.0)
"Where among the passes those stand that a plan runs."


@dataclass(frozen=True)
class PatchedConfig(Settings):
    """Which nodes are patched."""

    by_position: bool = False
    "Whether a node is a unit at one position, counted from the last token, or a unit at all of them."
    sample: Annotated[int | None, Doc(least=1)] = 500
    "How many nodes, drawn from all; none: all of them."


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
    every, chosen = _asked(model, groups, pairs, config, drawn.seed)
    require(_bytes(model, groups, pairs, every, chosen), f"Patching {counted(len(chosen), 'node')}", model.W_E.device)
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
) -> NodePlan:
    """What `exact_nodes` takes: some of its passes are run, spread over the layers, since the later ones are shorter."""
    pairs, groups = pairs_of(model, task, n, drawn), groups_of(model, nodes, loaded(model, dictionaries))
    every, chosen = _asked(model, groups, pairs, config, drawn.seed)
    one, some = Patched(model, groups, pairs, _longest(pairs)), every.some(chosen)
    passes = one.passes(some)
    timed = [passes[i] for i in sorted({int(share * (len(passes) - 1)) for share in _TIMED})] if passes else []
    for family, rows in timed[:1]:  # the first pass also pays for what is set up once
        one.patched(family, some, rows)
    started = time.perf_counter()
    for family, rows in timed:
        one.patched(family, some, rows)
    each = (time.perf_counter() - started) / max(1, len(timed))
    return NodePlan(
        nodes=len(chosen),
        pairs=len(pairs),
        batch=min(ROWS, len(chosen)),
        passes=len(passes) * len(pairs),
        seconds=each * len(passes) * len(pairs),
        bytes=_bytes(model, groups, pairs, every, chosen),
        patched=True,
    )


def _asked(
    model: "TransformerBridge", groups: list[Group], pairs: Pairs, config: PatchedConfig, seed: int
) -> tuple[Nodes, Int[np.ndarray, " some"]]:
    """All nodes, and which of them are patched."""
    require_pairs(model, pairs)
    every = nodes_of(groups, max(map(len, pairs.clean)) if config.by_position else 0)
    return every, drawn_from(len(every), config.sample, seed)


def _longest(pairs: Pairs) -> int:
    return int(np.argmax([len(ids) for ids in pairs.clean]))


def _bytes(
    model: "TransformerBridge", groups: list[Group], pairs: Pairs, every: Nodes, chosen: Int[np.ndarray, " some"]
) -> int:
    """What the first pass of the longest pair holds, which has all layers to run, and what is kept of all pairs."""
    some = every.some(chosen)

    def first() -> None:
        one = Patched(model, groups, pairs, _longest(pairs))
        for family, rows in one.passes(some)[:1]:
            one.patched(family, some, rows)

    return SLACK + 4 * len(every) * len(pairs) + peak_of(events_of(first))


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
            by_pair[i, chosen[one.still(nodes)]] = 0
            passes = one.passes(nodes)
            step(len(chosen) - sum(len(rows) for _, rows in passes))
            for family, rows in passes:
                by_pair[i, chosen[rows]] = one.patched(family, nodes, rows)
                step(len(rows))
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
