"""How much of a behaviour circuits of every size keep: found on some pairs, looked at on others, beside random ones.

    f(C) = (m(C) - m(nothing)) / (m(model) - m(nothing))

with m the task's metric, mean over pairs; every edge that is not kept carries what its sender writes in the corrupted run (or
0). Sizes, CPR and CMD are MIB's (Mueller et al. 2025): `circuits.faithfulness.metrics`. The interval is over pairs that are
drawn again and again; random circuits are of equal size, their edges drawn from all.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.edge_attribution.attribute import eap, eap_ig
from circuits.edge_attribution.components import components
from circuits.edge_attribution.runs import Ablation, Comparison
from circuits.edge_attribution.scores import EdgeScores
from circuits.faithfulness.metrics import SHARES, area, distance, faithfulness, gap
from circuits.search.circuit import connected
from circuits.search.select import Rule, choose_edges
from probe.errors import BadInput
from probe.methods import Doc, method
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import Drawn, Pairs, pairs_of
from probe.words import counted, percent

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

By = Literal["eap", "eap-ig"]
BOOTSTRAP = 1000


@dataclass(frozen=True, kw_only=True)
class FaithfulnessCurve(Record, figure=True):
    """Circuits by size. edges: how many each kept after what dangles went; shares: of the model's, as asked. values, whole,
    nothing: the metric of every held-out pair: of each circuit, of the model, of no edge. random: of random circuits of the same
    sizes."""

    method: str
    task: str
    shares: Float[np.ndarray, " size"]
    edges: Int[np.ndarray, " size"]
    values: Float[np.ndarray, "size pair"]
    whole: Float[np.ndarray, " pair"]
    nothing: Float[np.ndarray, " pair"]
    random: Float[np.ndarray, "draw size pair"]
    convention: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    @cached_property
    def f(self) -> Float[np.ndarray, " size"]:
        """Faithfulness of each size."""
        return faithfulness(self.values.mean(-1), self.whole.mean(), self.nothing.mean())

    @cached_property
    def random_f(self) -> Float[np.ndarray, "draw size"]:
        """The same of random circuits."""
        return faithfulness(self.random.mean(-1), self.whole.mean(), self.nothing.mean())

    @cached_property
    def samples(self) -> Float[np.ndarray, "sample size"]:
        """Faithfulness on pairs drawn again and again."""
        n, draw = len(self.whole), np.random.default_rng(self.seed)
        share = draw.multinomial(n, np.full(n, 1 / n), BOOTSTRAP) / n  # sample pair
        worth = share @ (self.whole - self.nothing)
        return (share @ (self.values - self.nothing).T) / np.where(np.abs(worth) > 1e-9, worth, np.nan)[:, None]

    @cached_property
    def interval(self) -> Float[np.ndarray, "2 size"]:
        """Of 95%, by size."""
        return np.nanpercentile(self.samples, [2.5, 97.5], axis=0)

    @property
    def cpr(self) -> float:
        """Area under the curve; 1 is the whole model's."""
        return float(area(self.shares, self.f))

    @property
    def cmd(self) -> float:
        """Area between the curve and 1; 0 is best."""
        return float(distance(self.shares, self.f))

    @property
    def random_cmd(self) -> float:
        """The same of random circuits, mean."""
        return float(distance(self.shares, self.random_f).mean()) if len(self.random) else float("nan")

    def reaches(self, f: float = 0.8) -> float:
        """The smallest share of edges from which on every size keeps at least `f`; NaN where none does."""
        enough = self.f >= f
        from_on = np.flatnonzero(np.logical_and.accumulate(enough[::-1])[::-1])
        return float(self.shares[from_on[0]]) if len(from_on) else float("nan")

    def rows(self) -> list[dict[str, Any]]:
        """One row a size."""
        low, high = self.interval
        return [
            {
                "share": float(share),
                "edges": int(self.edges[i]),
                "faithfulness": float(self.f[i]),
                "from": float(low[i]),
                "to": float(high[i]),
                "random": float(self.random_f[:, i].mean()) if len(self.random) else None,
                "random at most": float(self.random_f[:, i].max()) if len(self.random) else None,
            }
            for i, share in enumerate(self.shares)
        ]

    def panels(self) -> list[Panel]:
        """The curve, its table, what it comes to."""
        return [
            Figure("Faithfulness by size", self.figure),
            Rows("Circuits by size", self.rows(), kinds={"share": "share"}),
            Sentence(self.summary()),
        ]

    def summary(self) -> str:
        """One sentence: CPR and CMD beside random ones, and from where on it is faithful."""
        enough = self.reaches()
        said = "no size keeps .8" if np.isnan(enough) else f"{percent(enough)} of the edges and more keep .8"
        return (
            f"{self.method} on {counted(len(self.whole), 'held-out pair')} of {self.task}: CPR {self.cpr:.3f}, "
            f"CMD {self.cmd:.3f} (random {self.random_cmd:.3f}); {said}."
        )


@dataclass(frozen=True, eq=False)
class CurveConfig(Settings):
    """How circuits are chosen and looked at."""

    rule: Rule = "top"
    "`top`: the best edges; `greedy`: grown from the logits; `stable`: of one sign in all samples; `optimal`: an integer program."
    signed: bool = False
    "Whether an edge counts by how it speaks for the right answer (CPR's choice), or by its size (CMD's)."
    ablation: Ablation = "resample"
    "What removed edges carry: what their senders write in the corrupted run, or 0."
    held_out: Annotated[int, Doc(least=2, most=10_000)] = 32
    "Pairs that circuits are looked at on; none of them is among those they were found on."
    random: Annotated[int, Doc(least=0, most=100)] = 3
    "Random circuits of every size."


@method("faithfulness", group="circuits", paper="MIB: A Mechanistic Interpretability Benchmark (Mueller et al. 2025)")
@takes_fields("drawn", Drawn)
@takes_fields("config", CurveConfig)
def faithfulness_curve(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    by: Annotated[By, Doc("Which scores choose the edges.")] = "eap-ig",
    *,
    n: Annotated[int, Doc("Pairs that the scores are made on.", least=1, most=10_000)] = 32,
    drawn: Drawn = Drawn(),
    config: CurveConfig = CurveConfig(),
    progress: Progress = SILENT,
) -> FaithfulnessCurve:
    """How much of a behaviour the best edges keep, for circuits of every size, on pairs they were not found on.

    Edges are scored on `n` pairs, the best kept, all others given what the corrupted run has; beside them stand random circuits
    of equal size.

    >>> curve = ow.faithfulness_curve(model, "greater-than", "eap", n=2, held_out=2, random=1)
    >>> curve.f.shape
    (10,)
    """
    pairs = pairs_of(model, task, n + config.held_out, drawn)
    if len(pairs) < n + 2:
        raise BadInput(
            f"{len(pairs)} pairs came and {n} are for the scores, so {max(0, len(pairs) - n)} are left to look at circuits on; "
            "at least 2 are needed. Give more pairs, or a smaller n."
        )
    train, test = pairs.some(range(n)), pairs.some(range(n, len(pairs)))
    scores = (eap if by == "eap" else eap_ig)(model, train, progress=progress)
    return curve_of_scores(model, scores, test, config=config, seed=drawn.seed, progress=progress)


@takes_fields("config", CurveConfig)
def curve_of_scores(
    model: "TransformerBridge",
    scores: EdgeScores,
    pairs: Pairs,
    *,
    config: CurveConfig = CurveConfig(),
    seed: int = 0,
    progress: Progress = SILENT,
) -> FaithfulnessCurve:
    """The faithfulness of circuits chosen by these scores, whatever made them, on these pairs.

    >>> pairs = ow.task_pairs(model, "greater-than", n=4)
    >>> scores = ow.eap(model, pairs.some([0, 1]))
    >>> float(ow.curve_of_scores(model, scores, pairs.some([2, 3]), random=0).f[-1])
    1.0
    """
    made, shares = components(model), np.array(SHARES)
    compared = Comparison(model, made, pairs, "metric", config.ablation)
    total = int(made.layout.edges.sum())
    sizes = [int(share * total) for share in shares]
    kept = [choose_edges(scores, k, config.rule, signed=config.signed, seed=seed).kept for k in sizes]
    draw = np.random.default_rng(seed)
    random = [connected(made.layout, _random(made.layout.edges, k, draw)) for _ in range(config.random) for k in sizes]
    every = np.stack([np.zeros_like(kept[0]), made.layout.edges, *kept, *random])
    values = np.empty((len(every), len(pairs)))
    with progress.stage("faithfulness", total=len(every), unit="circuit") as step:
        for i in range(len(every)):
            values[i] = compared.values(every[i : i + 1])[0]
            step(1)
    gap(float(values[1].mean()), float(values[0].mean()))
    found = values[2 : 2 + len(sizes)]
    record = FaithfulnessCurve(
        method=scores.method,
        task=scores.task,
        shares=shares,
        edges=np.array([int(one.sum()) for one in kept]),
        values=found,
        whole=values[1],
        nothing=values[0],
        random=values[2 + len(sizes) :].reshape(config.random, len(sizes), len(pairs)),
        convention={**compared.convention, **config.__dict__, "chosen on": len(scores.by_pair), "seed": seed},
        seed=seed,
    )
    return came_from(record, model)


def _random(
    edges: Bool[np.ndarray, "sender receiver"], size: int, draw: np.random.Generator
) -> Bool[np.ndarray, "sender receiver"]:
    """As many edges, drawn from all."""
    at = np.flatnonzero(edges)
    kept = np.zeros(edges.size, bool)
    kept[draw.choice(at, size, replace=False)] = True
    return kept.reshape(edges.shape)
