"""Edges from and to single neurons or latents, beside those of heads and MLPs: edge attribution patching at their scale.

    unit u -> receiver v     sum_pos (a_u(corrupted) - a_u(clean)) W_u . dm / d(stream that v alone reads)
    sender s -> unit v       sum_pos (write_s(corrupted) - write_s(clean)) . dm/da_v da_v / d(stream that v alone reads)

W_u is what a neuron writes (its row of W_out) or a latent (its decoder row). A unit is followed back through its own MLP (or
encoder) and norm, so all neurons of a layer together have the edges of their MLP in `eap`: that is tested. Which units: the
strongest by `atp` on the same pairs.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch

from circuits.edge_attribution.components import components
from circuits.edge_attribution.eap import AtClean
from circuits.edge_attribution.estimate import two_runs
from circuits.edge_attribution.plan import EdgeConfig, EdgePlan, plan_edges
from circuits.node_attribution.attribute import atp, loaded
from circuits.node_attribution.nodes import groups_of
from circuits.node_attribution.scores import NodeScores
from circuits.node_attribution.unit_blocks import Chosen, edges_of, listed, units_of
from circuits.node_attribution.unit_edge_scores import UnitEdgeScores
from probe.dictionaries.owners import layer_read, owner_name, parts_of
from probe.methods import DictionaryName, Doc, method
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import METRICS, Drawn, pairs_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

SIGN = "change of the metric when the edge carries what its sender writes in the corrupted run"


@method(
    "unit-edges",
    group="circuits",
    plan="plan_unit_edges",
    paper="Sparse Feature Circuits (Marks et al. 2024); Attribution Patching Outperforms ACDC (Syed et al. 2023)",
)
@takes_fields("drawn", Drawn)
def unit_edges(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    units: Annotated[Literal["neurons", "latents"], Doc("What the nodes are, beside heads and MLPs.")] = "neurons",
    dictionaries: Annotated[Sequence[DictionaryName], Doc("Transcoders whose latents they are.")] = (),
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 32,
    k: Annotated[int, Doc("How many units: those of largest score.", least=1, most=500)] = 24,
    drawn: Drawn = Drawn(),
    progress: Progress = SILENT,
) -> UnitEdgeScores:
    """How neurons or latents that matter to a task hang together, with heads, MLPs and the logits: edge attribution patching.

    The `k` units of largest score are nodes; every edge from and to them is scored.

    >>> found = ow.unit_edges(model, "greater-than", n=2, k=4)
    >>> len(found.units), found.senders[0]
    (4, 'input')
    """
    pairs, made = pairs_of(model, task, n, drawn), components(model)
    ranked = atp(model, pairs, units, dictionaries, progress=progress)
    chosen = chosen_units(model, ranked, dictionaries, k)
    batch = plan_edges(model, pairs, AtClean(), EdgeConfig()).batch
    parts, names = [], ([], [])
    order = []
    with progress.stage("edges of units", total=len(pairs), unit="pair") as step:
        for some in pairs.groups(batch):
            runs = two_runs(model, made, pairs, some)
            names, scores = listed(edges_of(runs, chosen))
            parts.append((scores, *runs.ends))
            order += some
            step(len(some))
    by_pair, clean, corrupted = (torch.cat([p[i] for p in parts]).double().cpu().numpy() for i in range(3))
    back = np.argsort(order)
    record = UnitEdgeScores(
        task=pairs.task,
        units=[name for one in chosen for name in one.names],
        senders=names[0],
        receivers=names[1],
        by_pair=by_pair[back].astype(np.float32),
        clean=clean[back],
        corrupted=corrupted[back],
        examples=[e.clean for e in pairs.examples],
        seed=pairs.seed,
        convention={
            "sign": SIGN,
            "metric": METRICS[pairs.measure],
            "units": f"{k} of largest AtP score",
            "seed": pairs.seed,
        },
    )
    return came_from(record, model)


@takes_fields("drawn", Drawn)
def plan_unit_edges(
    model: "TransformerBridge",
    task: TaskName = "ioi",
    units: Literal["neurons", "latents"] = "neurons",
    dictionaries: Sequence[Any] = (),
    *,
    n: int = 32,
    k: int = 24,
    drawn: Drawn = Drawn(),
) -> EdgePlan:
    """What `unit_edges` takes: what all edges between components do, which its passes hold beside its own."""
    groups_of(model, units, loaded(model, dictionaries))  # refuses what there is not
    return plan_edges(model, pairs_of(model, task, n, drawn), AtClean(), EdgeConfig())


def chosen_units(model: "TransformerBridge", ranked: NodeScores, dictionaries: Sequence[Any], k: int) -> list[Chosen]:
    """The units of largest score, by layer. BadInput where what they write does not reach the stream as it is."""
    nodes, by_layer = ranked.nodes, {}
    order = [i for i in ranked.ranking() if nodes.unit[i] >= 0][:k]
    for i in sorted(order, key=lambda i: (nodes.layer[i], nodes.unit[i])):
        by_layer.setdefault((int(nodes.layer[i]), nodes.owners[nodes.owner[i]]), []).append(int(nodes.unit[i]))
    parts = [part for one in dictionaries for part in parts_of(one)]
    return [units_of(model, layer, numbers, _of(parts, layer, owner)) for (layer, owner), numbers in by_layer.items()]


def _of(parts: list[Any], layer: int, owner: str) -> Any:
    return next((p for p in parts if layer_read(p) == layer and owner in ("", owner_name(p))), None)
