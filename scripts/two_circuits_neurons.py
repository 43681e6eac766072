"""Sets of units of graphs with transcoders, ablated in traced prompts, against predictions and random nodes, and in others.

What needs no transcoder is the study `two-circuits` (`circuits/studies/`), whose helpers this uses.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from two_circuits_tasks import Task

import circuits
from circuits.comparison.merge import MergedGraph
from circuits.studies.unit_sets import Unit, at_the_end, direct_weights, named, rule
from probe.artifacts.folder import place
from probe.interventions.places import head
from probe.interventions.running import intervene
from probe.interventions.unit_edits import UnitEdit, edit_units
from probe.interventions.values import Zero

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

N_NEURONS, N_HEADS, N_RANDOM, N_CHECKED = 20, 6, 5, 4


def graphs_of(
    model: "TransformerBridge", task: Task, *, dictionaries: Sequence[Any] = (), tag: str = "neurons"
) -> list:
    """A graph of each prompt's margin; those that are stored already are opened."""
    found, config = [], circuits.TraceConfig(max_nodes=1500, heads=True)
    for i, prompt in enumerate(task.prompts):
        folder = place("graph", f"two-circuits-{tag}-{task.name}-{i}")
        if not folder.exists():
            made = circuits.trace(model, prompt, targets=[task.direction(i)], dictionaries=dictionaries, config=config)
            made.save(folder)
        found.append(circuits.load_graph(folder))
    return found


def first_of(task: Task, n: int) -> Task:
    """The first n prompts of a task."""
    return replace(task, prompts=task.prompts[:n], more=task.more[:n], fewer=task.fewer[:n])


def sets_of(merged: MergedGraph, kind: str = "neuron") -> dict[str, list[Unit]]:
    """Named sets: what writes the margin directly, what writes against it, and the heads with most influence."""
    nodes, written, influence = merged.nodes, direct_weights(merged), merged.spread.mean

    def strongest(score: np.ndarray, of: str, n: int) -> list[Unit]:
        order = np.argsort(-np.where(at_the_end(merged, of), score, -np.inf))[:n]
        return [(of, int(nodes.layer[i]), int(nodes.unit[i])) for i in order]

    found = {
        "writers": strongest(written, kind, N_NEURONS),
        "suppressors": strongest(-written, kind, N_NEURONS // 2),
    }
    return found | ({"heads": strongest(influence, "head", N_HEADS)} if at_the_end(merged, "head").any() else {})


def checked(model: "TransformerBridge", graphs: list, units: Sequence[Unit], dictionaries: Sequence[Any] = ()) -> dict:
    """The set ablated in the traced prompts, against the graphs' predictions and against random nodes."""
    test = circuits.check_subgraph(
        model, graphs[0], rule(units), prompts=graphs[1:N_CHECKED], n_random=N_RANDOM, dictionaries=dictionaries
    )
    moved = next(c for c in test.comparisons if c.measure == "change of the top root")
    own = [t.effect for t in test.prompts]
    roots = [t.roots[0] for t in test.prompts]
    return {
        "units": named(units),
        "nodes a prompt": float(np.mean([len(t.nodes) for t in test.prompts])),
        "margin": float(np.mean([r.value for r in roots])),
        "direct, predicted": float(np.mean([r.predicted_direct for r in roots])),
        "direct, measured": float(np.mean([r.direct for r in roots])),
        "largest direct gap": float(max(abs(r.predicted_direct - r.direct) for r in roots)),
        "full, predicted": float(np.mean([e.predicted for e in own])),
        "full, measured": moved.to_dict()["subgraph"],
        "random": moved.to_dict()["random"],
        "p": moved.p,
        "full_agreement": float(np.mean([t.full_agreement.correlation for t in test.prompts])),
    }


def _zeros(model: "TransformerBridge", units: Sequence[Unit], last: int, found: dict[int, Any]) -> list[Any]:
    heads = [Zero(head(layer, unit, last)) for kind, layer, unit in units if kind == "head"]
    edits = [
        UnitEdit("ablate", unit, last, **({"dictionary": found[layer]} if kind == "latent" else {"layer": layer}))
        for kind, layer, unit in units
        if kind != "head"
    ]
    return [*heads, *edit_units(model, edits)]


def ablated(task: Task, units: Sequence[Unit], found: dict[int, Any] | None = None) -> dict[str, float]:
    """Margin, probabilities and accuracy of a task without these units at its last position. found: transcoders by layer."""
    with torch.no_grad(), intervene(task.model, _zeros(task.model, units, task.tokens.shape[1] - 1, found or {})):
        logits = task.model(task.tokens)[:, -1]
    right = [b in m for b, m in zip(logits.argmax(-1).tolist(), task.more, strict=True)]
    wrong = [b in f for b, f in zip(logits.argmax(-1).tolist(), task.fewer, strict=True)]
    return {
        "margin": float(task.margins(logits).mean()),
        "probability": float(task.probabilities(logits).mean()),
        "probability gap": float(task.gaps(logits).mean()),
        "likeliest is right": float(np.mean(right)),
        "likeliest is wrong": float(np.mean(wrong)),
    }


def elsewhere(
    tasks: Sequence[Task], own: Task, units: Sequence[Unit], merged: MergedGraph, given: dict[int, Any] | None = None
) -> dict[str, Any]:
    """The same ablation on prompts that were not traced, with random sets on the own task."""
    found: dict[str, Any] = {f"on {task.name}": ablated(task, units, given) for task in tasks}
    draw = np.random.default_rng(0)
    found["random"] = [ablated(own, _random(units, merged, draw), given) for _ in range(N_RANDOM)]
    return found


def _random(units: Sequence[Unit], merged: MergedGraph, draw: np.random.Generator) -> list[Unit]:
    """As many other units of each layer that are nodes at the last position of some graph, as far as there are."""
    found: list[Unit] = []
    for kind, layer in sorted({(k, i) for k, i, _ in units}):
        taken = [u for k, i, u in units if (k, i) == (kind, layer)]
        pool = merged.nodes.unit[at_the_end(merged, kind) & (merged.nodes.layer == layer)]
        free = np.setdiff1d(pool, taken)
        found += [(kind, layer, int(u)) for u in draw.choice(free, min(len(taken), len(free)), replace=False)]
    return found
