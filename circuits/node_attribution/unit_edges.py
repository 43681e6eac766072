"""Edges from and to single neurons or latents, beside those of heads and MLPs: edge attribution patching at their scale.

    unit u -> receiver v     sum_pos (a_u(corrupted) - a_u(clean)) W_u . dm / d(stream that v alone reads)
    sender s -> unit v       sum_pos (write_s(corrupted) - write_s(clean)) . dm/da_v da_v / d(stream that v alone reads)

W_u is what a neuron writes (its row of W_out) or a latent (its decoder row). A unit is followed back through its own MLP (or
encoder) and norm, so all neurons of a layer together have the edges of their MLP in `eap`: that is tested. Which units: the
strongest by `atp` on the same pairs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from circuits.edge_attribution.components import Components, components
from circuits.edge_attribution.eap import AtClean
from circuits.edge_attribution.estimate import TwoRuns, two_runs
from circuits.edge_attribution.gradients import Backward
from circuits.edge_attribution.plan import EdgeConfig, EdgePlan, plan_edges
from circuits.node_attribution.attribute import atp, loaded
from circuits.node_attribution.nodes import groups_of
from circuits.node_attribution.passes import Pass
from circuits.node_attribution.scores import NodeScores
from circuits.node_attribution.unit_edge_scores import UnitEdgeScores
from probe.dictionaries.owners import layer_read, owner_name, parts_of
from probe.errors import BadInput
from probe.interventions.forward import per_token, read_run
from probe.interventions.unit_edits import encoded
from probe.methods import DictionaryName, Doc, method
from probe.model.anatomy import anatomy
from probe.model.sites import Site, parse_site
from probe.model.unit_names import unit_name
from probe.model.writes import mlp_writes_through, norm_of, wide
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import METRICS, Drawn, pairs_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

SIGN = "change of the metric when the edge carries what its sender writes in the corrupted run"
Block = tuple[list[str], list[str], Float[Tensor, "batch sender receiver"]]


@dataclass(frozen=True, eq=False)
class Chosen:
    """Units of one layer's MLP that are nodes. W: what each writes to the stream. dictionary: of latents, theirs."""

    layer: int
    numbers: list[int]
    W: Float[Tensor, "unit d_model"]
    dictionary: Any = None

    @property
    def names(self) -> list[str]:
        """`L5N120` or `L5F650`."""
        kind = "neuron" if self.dictionary is None else "latent"
        return [unit_name(kind, self.layer, number) for number in self.numbers]

    @property
    def site(self) -> Site:
        """What the units are made from (latents), or where they stand (neurons)."""
        return Site("mlp_post" if self.dictionary is None else "mlp_in", self.layer)

    def values(self, held: dict[str, Tensor]) -> Float[Tensor, "batch pos unit"]:
        """Their activations in a run."""
        value = per_token(held[self.site.name])
        return wide(value if self.dictionary is None else encoded(self.dictionary, value))[..., self.numbers]


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
            names, scores = _listed(edges_of(runs, chosen))
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
    return [_chosen(model, layer, numbers, _of(parts, layer, owner)) for (layer, owner), numbers in by_layer.items()]


def _of(parts: list[Any], layer: int, owner: str) -> Any:
    return next((p for p in parts if layer_read(p) == layer and owner in ("", owner_name(p))), None)


def _chosen(model: "TransformerBridge", layer: int, numbers: list[int], dictionary: Any) -> Chosen:
    W, _ = mlp_writes_through(model, layer)
    if norm_of(model, "ln2_post", layer, W) is not None:
        raise BadInput(
            f"What the MLP of layer {layer} writes passes a norm, so no unit's write reaches the stream as it is. Take whole "
            "MLPs: eap, or atp for the units by themselves."
        )
    if dictionary is not None:
        ends = [parse_site(dictionary.site_in), *map(parse_site, dictionary.sites_out)]
        if ends != [Site("mlp_in", layer), Site("mlp_out", layer)]:
            raise BadInput(
                f"{owner_name(dictionary)} is no transcoder of one MLP (from mlp_in.{layer} to mlp_out.{layer}); edges of "
                "latents are of such alone."
            )
        W = wide(dictionary.W_dec) * anatomy(model).factors.get(Site("mlp_write", layer), 1.0)
    return Chosen(layer, numbers, W[numbers], dictionary)


def edges_of(runs: TwoRuns, chosen: list[Chosen]) -> Iterator[Block]:
    """Scores of every edge from and to these units, a block of senders and receivers at a time."""
    layout, run = runs.made.layout, runs.gradient(runs.clean)
    moves = _moves(runs, chosen)
    back = _Back(runs, chosen, run)
    for at, one in enumerate(chosen):
        read = back.to_stream(one)  # batch unit pos d_model
        n = layout.before(one.layer, "mlp")
        score = einsum(runs.change[:, :n], read, "b sender pos d, b unit pos d -> b sender unit")
        yield layout.senders[:n], one.names, score
        for i, other in enumerate(chosen[:at]):
            if layout.mlp_of(other.layer) < n:
                yield other.names, one.names, _carried(moves[i], other.W, read)
        for reader in runs.made.readers:
            if layout.before(reader.layer, reader.side) > layout.mlp_of(one.layer):
                names = layout.receivers[layout.reading(reader.layer, reader.side)]
                yield one.names, names, _carried(moves[at], one.W, run.received(reader))


def _carried(
    move: Float[Tensor, "batch pos unit"],
    W: Float[Tensor, "unit d_model"],
    read: Float[Tensor, "batch some pos d_model"],
) -> Float[Tensor, "batch unit some"]:
    reach = einsum(read, W.to(read), "b some pos d, unit d -> b some pos unit")
    return einsum(move.to(reach), reach, "b pos unit, b some pos unit -> b unit some")


def _moves(runs: TwoRuns, chosen: list[Chosen]) -> list[Float[Tensor, "batch pos unit"]]:
    sites = {one.site for one in chosen}
    corrupted, clean = (read_run(runs.model, tokens, sites)[1] for tokens in (runs.corrupted, runs.clean))
    return [one.values(corrupted) - one.values(clean) for one in chosen]


class _Back:
    """Gradients of the metric by units, brought to the stream that each alone reads."""

    def __init__(self, runs: TwoRuns, chosen: list[Chosen], run: Backward):
        self.made: Components = runs.made
        self.run = run
        layers = sorted({one.layer for one in chosen})
        kinds = {"mlp_in", *("mlp_post" if one.dictionary is None else "mlp_out" for one in chosen)}
        sites = [Site(kind, layer) for layer in layers for kind in sorted(kinds)]
        metric: Callable = lambda logits: runs.pairs.metric(logits, runs.some)  # noqa: E731
        self.graph = Pass(runs.model, runs.clean, sites, metric)
        self.at = self.graph.gradients(last=False)

    def to_stream(self, one: Chosen) -> Float[Tensor, "batch unit pos d_model"]:
        """Of each unit of a layer."""
        read = torch.stack([self._input(one, i) for i in range(len(one.numbers))], 1)
        reader = next(r for r in self.made.readers if r.layer == one.layer and r.side == "mlp")
        return reader.back(read, self.run.held)

    def _input(self, one: Chosen, i: int) -> Float[Tensor, "batch pos d_model"]:
        """At what the MLP reads."""
        unit, before = one.numbers[i], Site("mlp_in", one.layer)
        if one.dictionary is None:
            g = self.at[one.site.name]
            weight = torch.zeros_like(g)
            weight[..., unit] = g[..., unit]
            return self.graph.through(before, one.site, weight)
        slope = per_token(self.at[Site("mlp_out", one.layer).name]) @ wide(one.dictionary.W_dec)[unit].to(
            self.at[before.name]
        )
        with torch.enable_grad():
            x = self.graph.value_at(before).to(one.dictionary.W_enc).requires_grad_()
            value = one.dictionary.encode(x)[..., unit]
            (found,) = torch.autograd.grad(value, x, slope.to(value))
        return wide(found).to(slope)


def _listed(blocks: Iterator[Block]) -> tuple[tuple[list[str], list[str]], Float[Tensor, "batch edge"]]:
    """All blocks as one list of edges."""
    senders, receivers, scores = [], [], []
    for froms, tos, score in blocks:
        senders += [name for name in froms for _ in tos]
        receivers += [name for _ in froms for name in tos]
        scores.append(score.flatten(1))
    return (senders, receivers), torch.cat(scores, 1)
