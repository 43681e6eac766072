"""Sets of units read off graphs of a task's prompts, and what becomes of the task without them.

Prompts are traced to their margin, with neurons and heads as nodes, and merged. Sets of units at the last position are read off
the merged graph: those that write most of the margin, those that write most against it, the heads of most influence. They are
ablated in the traced prompts, against the graphs' own predictions, and in other prompts, against random nodes of the same layers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

import circuits
from circuits.comparison.merge import MergedGraph
from circuits.graph.graph import KINDS, CircuitGraph
from circuits.studies.last_token import Scores, Task
from circuits.validation.predict import change_of, predict_full
from circuits.validation.random_sets import random_sets
from circuits.validation.records import SubgraphTest
from probe.interventions.places import head
from probe.interventions.running import intervene
from probe.interventions.unit_edits import UnitEdit, edit_units
from probe.interventions.values import Zero

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

N_NEURONS, N_HEADS, N_CHECKED, N_MEASURED = 20, 6, 4, 5
"""Writers; heads; traced prompts in which a set is ablated; random sets whose effect there is measured too."""
MAX_NODES = 1500
TRACE_RUNS = 60
"""What one trace counts for, in runs."""
Unit = tuple[str, int, int]
"""Kind, layer, number; always at the last position."""
Step = Callable[[float], None]
Given = Mapping[int, Any]
"""Transcoders by layer, to which latents belong."""


def graphs_of(task: Task, step: Step, dictionaries: Sequence[Any] = ()) -> list[CircuitGraph]:
    """A graph of each prompt's margin. dictionaries: transcoders whose latents stand in place of neurons."""
    config, given = circuits.TraceConfig(max_nodes=MAX_NODES, heads=True), {"dictionaries": dictionaries}
    found = []
    for i, prompt in enumerate(task.prompts):
        found.append(circuits.trace(task.model, prompt, targets=[task.direction(i)], config=config, **given))
        step(TRACE_RUNS)
    return found


def at_the_end(merged: MergedGraph, kind: str) -> np.ndarray:
    """The merged nodes of a kind that sit at the last position."""
    return (merged.nodes.kind == KINDS.index(kind)) & (merged.nodes.place == -1)


def direct_weights(merged: MergedGraph) -> np.ndarray:
    """What each merged node writes into the margin directly, mean over prompts."""
    root = int(np.flatnonzero(merged.nodes.kind == KINDS.index("direction"))[0])
    mine, found = merged.target == root, np.zeros(len(merged.nodes))
    found[merged.source[mine]] = merged.weight[:, mine].mean(0)
    return found


def sets_of(merged: MergedGraph, kind: str = "neuron") -> dict[str, list[Unit]]:
    """Named sets: what writes the margin directly, what writes against it, and the heads with most influence. kind: of the
    first two."""
    nodes, written, influence = merged.nodes, direct_weights(merged), merged.spread.mean

    def strongest(score: np.ndarray, of: str, n: int) -> list[Unit]:
        there = int(at_the_end(merged, of).sum())
        order = np.argsort(-np.where(at_the_end(merged, of), score, -np.inf))[: min(n, there)]
        return [(of, int(nodes.layer[i]), int(nodes.unit[i])) for i in order]

    return {
        "writers": strongest(written, kind, N_NEURONS),
        "suppressors": strongest(-written, kind, N_NEURONS // 2),
        "heads": strongest(influence, "head", N_HEADS),
    }


def named(units: Sequence[Unit]) -> list[str]:
    """`L5N120`."""
    letters = {"neuron": "N", "latent": "F", "head": "H"}
    return [f"L{layer}{letters[kind]}{unit}" for kind, layer, unit in units]


def rule(units: Sequence[Unit]) -> Callable[[CircuitGraph], list[int]]:
    """The nodes of a graph that are these units at its last position."""

    def chosen(graph: CircuitGraph) -> list[int]:
        n = graph.nodes
        last, wanted = len(graph.tokens) - 1, set(units)
        keys = zip(n.kind.tolist(), n.layer.tolist(), n.unit.tolist(), n.pos.tolist(), strict=True)
        return [i for i, (k, layer, u, pos) in enumerate(keys) if pos == last and (KINDS[k], layer, u) in wanted]

    return chosen


def ablated(task: Task, units: Sequence[Unit], given: Given | None = None) -> Scores:
    """A task without these units at its last position."""
    last = task.tokens.shape[1] - 1
    heads = [Zero(head(layer, unit, last)) for kind, layer, unit in units if kind == "head"]
    edits = [
        UnitEdit(
            "ablate", unit, last, **({"dictionary": (given or {})[layer]} if kind == "latent" else {"layer": layer})
        )
        for kind, layer, unit in units
        if kind != "head"
    ]
    with intervene(task.model, [*heads, *edit_units(task.model, edits)]):
        return task.scores(task.logits())


def random_units(units: Sequence[Unit], merged: MergedGraph, draw: np.random.Generator) -> list[Unit]:
    """As many other units of each layer that are nodes at the last position of some graph, as far as there are."""
    found: list[Unit] = []
    for kind, layer in sorted({(k, i) for k, i, _ in units}):
        taken = [u for k, i, u in units if (k, i) == (kind, layer)]
        pool = merged.nodes.unit[at_the_end(merged, kind) & (merged.nodes.layer == layer)]
        free = np.setdiff1d(pool, taken)
        found += [(kind, layer, int(u)) for u in draw.choice(free, min(len(taken), len(free)), replace=False)]
    return found


def without_random(
    task: Task, units: Sequence[Unit], merged: MergedGraph, *, sets: int, seed: int, step: Step, given: Given
) -> list[Scores]:
    """The task without random units of the same layers, set by set."""
    draw, found = np.random.default_rng(seed), []
    with task.start_at(min((layer for _, layer, _ in units), default=0)):
        for _ in range(sets):
            found.append(ablated(task, random_units(units, merged, draw), given))
            step(1)
    return found


def lost(scores: Scores, untouched: Scores) -> Float[np.ndarray, " prompt"]:
    """Share of the task's mean margin that each prompt loses; its mean is the share of the margin that is lost."""
    return (untouched.margin - scores.margin) / untouched.margin.mean()


def checked(
    model: "TransformerBridge",
    graphs: Sequence[CircuitGraph],
    units: Sequence[Unit],
    step: Step,
    dictionaries: Sequence[Any] = (),
) -> SubgraphTest:
    """The set ablated in the traced prompts, against the graphs' predictions and against a few random nodes."""
    some = graphs[:N_CHECKED]
    asked = {"prompts": some[1:], "n_random": N_MEASURED, "dictionaries": dictionaries}
    found = circuits.check_subgraph(model, some[0], rule(units), **asked)
    step(len(some) * (2 + N_MEASURED))
    return found


def closeness(test: SubgraphTest) -> Float[np.ndarray, " prompt"]:
    """How close each prompt's forecast comes to what ablating does: 1 is exact, 0 is as good as none, below is worse."""
    return np.array([1 - abs(t.effect.predicted / t.effect.logit - 1) for t in test.prompts])


def random_closeness(
    graphs: Sequence[CircuitGraph], units: Sequence[Unit], test: SubgraphTest, sets: int, seed: int
) -> Float[np.ndarray, "set prompt"]:
    """The same of the forecasts of random sets of those graphs, taken for the forecast of this one."""
    found = []
    for graph, tested in zip(graphs, test.prompts, strict=False):
        nodes, top = np.array(rule(units)(graph)), int(np.flatnonzero(graph.roots)[0])
        drawn = [predict_full(graph, change_of(graph, some))[top] for some in random_sets(graph, nodes, sets, seed)]
        found.append(1 - np.abs(np.array(drawn) / tested.effect.logit - 1))
    return np.array(found).T


def traced_row(task: str, name: str, units: Sequence[Unit], test: SubgraphTest) -> dict[str, Any]:
    """One set in the traced prompts: forecasts and measurements, mean over prompts."""
    roots = [t.roots[0] for t in test.prompts]
    moved = next(c for c in test.comparisons if c.measure == "change of the top root")
    return {
        "task": task,
        "set": f"{name} ({len(units)})",
        "direct, predicted": float(np.mean([r.predicted_direct for r in roots])),
        "direct, measured": float(np.mean([r.direct for r in roots])),
        "full, predicted": float(np.mean([t.effect.predicted for t in test.prompts])),
        "full, measured": moved.subgraph.mean,
        "low": moved.subgraph.low,
        "high": moved.subgraph.high,
        f"{N_MEASURED} random sets": moved.random.mean,
        "units": " ".join(named(units)),
    }
