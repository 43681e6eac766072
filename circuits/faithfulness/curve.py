"""How much of a behaviour circuits of every size keep: found on some pairs, looked at on others, beside random ones.

    f(C) = (m(C) - m(nothing)) / (m(model) - m(nothing))

with m the task's metric, mean over pairs; what is removed carries what the ablation says. Sizes are MIB's ten shares, 0.1% to all
(Mueller et al. 2025), and CPR and CMD its areas: under f, and between f and 1, by trapezoids from the smallest share on, so that
f = 1 everywhere has a CPR of 0.999. MIB takes its CPR of circuits of the parts that help the answer most (`signed`), its CMD
of the strongest whichever way they speak; both areas of one choice stand here, and the sentence says which of them is MIB's. Its
paper takes what circuits keep for the axis (x = `kept`; of nodes and neurons the edges they imply, x = `weighted`), its code and
leaderboard the shares asked for. CMDs that circulate beside leaderboards are near |CPR - 0.999|, and so of signed circuits; do
not compare them.

The interval is over held-out pairs that are drawn again and again. Random circuits have as many parts, drawn from all; where the
rule grows circuits, theirs are grown too. Stability is the Jaccard index of a circuit and those of scoring pairs drawn again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from circuits.edge_attribution.layout import layout_of
from circuits.edge_attribution.scores import EdgeScores
from circuits.faithfulness.curve_record import FaithfulnessCurve
from circuits.faithfulness.metrics import SHARES, gap
from circuits.faithfulness.parts.edges import EdgeParts
from circuits.faithfulness.parts.implied_edges import require_weighed
from circuits.faithfulness.parts.nodes import NodeParts
from circuits.faithfulness.parts.parts import Kept, Parts
from circuits.faithfulness.plan import FaithfulnessPlan, plan_runs
from circuits.faithfulness.ranked import Ranked, jaccard
from circuits.faithfulness.split import Split, split_pairs
from circuits.node_attribution.attribute import atp
from circuits.search.scored import By, edge_scores, plan_scores
from circuits.search.select import Rule
from circuits.search.stored import CircuitName, ScoresName, read_circuit, read_scores, require_same_model
from probe.errors import BadInput
from probe.interventions.ablations import Ablation
from probe.methods import DictionaryName, Doc, method
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import Drawn, Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Kind = Literal["edges", "components", "heads", "mlps", "neurons", "latents"]
IG_POINTS = 5


@dataclass(frozen=True, eq=False)
class CurveConfig(Settings):
    """How circuits are chosen and looked at."""

    kind: Kind = "edges"
    "What circuits are made of."
    rule: Rule = "top"
    """`top`: the best; `stable`: of one sign in all samples; of edges also `greedy`: grown from the logits, and `optimal`: an
    integer program."""
    signed: bool = False
    "Whether a part counts by how it speaks for the right answer (CPR's choice), or by its size (CMD's)."
    ablation: Ablation = "resample"
    "What removed parts carry: the corrupted run's, a mean, a mean at each position, 0, or the constant that harms least."
    x: Literal["asked", "kept", "weighted"] = "asked"
    """What areas are taken over: shares asked for; what circuits keep without what dangles; or edges, each by the share of its
    sender's units that is kept (of nodes and neurons those that they imply)."""
    held_out: Annotated[int, Doc(least=2, most=10_000)] = 32
    "Pairs that circuits are looked at on; none of them is among those they were found on."
    unseen: Sequence[str] = ()
    "Templates that the scores never see: circuits are looked at on as many pairs of these too."
    random: Annotated[int, Doc(least=0, most=1000)] = 3
    "Random circuits of every size."
    samples: Annotated[int, Doc(least=0, most=1000)] = 20
    "Times that the scores' pairs are drawn again, for how stable circuits are; not for `optimal`, which would take hours."
    at_chance: bool = False
    "Whether a task is looked at that the model is at chance at."


@dataclass(frozen=True, eq=False)
class Stored(Settings):
    """What is stored that circuits are chosen by or held against."""

    scores: ScoresName | None = None
    "Stored scores that choose the circuits, in the place of `by`; whatever made them, of this model."
    known: CircuitName | None = None
    "A stored circuit that is known to be right: how well the scores tell its parts from the others."
    dictionaries: Sequence[DictionaryName] = ()
    "Of latents, the dictionaries that they are of."


@method(
    "faithfulness",
    group="circuits",
    plan="plan_faithfulness",
    paper="MIB: A Mechanistic Interpretability Benchmark (Mueller et al. 2025)",
)
@takes_fields("stored", Stored)
@takes_fields("drawn", Drawn)
@takes_fields("config", CurveConfig)
def faithfulness_curve(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    by: Annotated[By, Doc("Which scores choose the parts; of nodes `eap` is attribution patching.")] = "eap-ig",
    *,
    n: Annotated[int, Doc("Pairs that the scores are made on.", least=1, most=10_000)] = 32,
    stored: Stored = Stored(),
    drawn: Drawn = Drawn(),
    config: CurveConfig = CurveConfig(),
    progress: Progress = SILENT,
) -> FaithfulnessCurve:
    """How much of a behaviour the best edges, heads, MLPs, neurons or latents keep, for circuits of every size, on pairs
    that they were not found on.

    Parts are scored on `n` pairs, the best kept, all others given what the ablation says; beside them stand random circuits of
    equal size.

    Raises BadInput for a task at chance, for pairs that do not suffice, scores of another model, and where the model without any
    part does as well as with all.

    >>> curve = ow.faithfulness_curve(model, "greater-than", "eap", n=2, held_out=2, random=1, samples=0)
    >>> curve.f.shape
    (10,)
    """
    require_axis(model, config)
    split = split_pairs(model, task, n, config.held_out, tuple(config.unseen), drawn, config.at_chance, config.ablation)
    scores = _scores(model, split, by, stored, config, progress)
    curve = _curve(model, scores, split, stored, config, drawn.seed, progress)
    return came_from(curve, model)


def _curve(
    model: "TransformerBridge",
    scores: Any,
    split: Split,
    stored: Stored,
    config: CurveConfig,
    seed: int,
    progress: Progress,
) -> FaithfulnessCurve:
    known = None if stored.known is None else read_circuit(stored.known).names
    found = [
        _told(
            curve_on(
                parts_of(model, pairs, split.reference, config, stored.dictionaries),
                scores,
                known,
                config,
                seed,
                progress,
            ),
            scores,
            pairs,
        )
        for pairs in (split.test, split.unseen)
        if pairs is not None
    ]
    return found[0] if len(found) == 1 else _with_unseen(*found)


def _told(curve: FaithfulnessCurve, scores: Any, pairs: Pairs) -> FaithfulnessCurve:
    """With how many of these pairs the scores were made on, which no sentence may call held out."""
    known = {text for text in scores.examples if text}  # pairs of token ids have none
    return replace(curve, scored=sum(one.clean in known for one in pairs.examples) if known else None)


def _with_unseen(curve: FaithfulnessCurve, unseen: FaithfulnessCurve) -> FaithfulnessCurve:
    return replace(curve, unseen=unseen)


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
    """The faithfulness of circuits chosen by these scores, of edges or nodes and whatever made them, on these pairs.

    >>> pairs = ow.task_pairs(model, "greater-than", n=4)
    >>> scores = ow.eap(model, pairs.some([0, 1]))
    >>> float(ow.curve_of_scores(model, scores, pairs.some([2, 3]), random=0, samples=0).f[-1])
    1.0
    """
    require_axis(model, config)
    require_same_model(model, scores, "Scores")
    parts = parts_of(model, pairs, None, config, ())
    return came_from(_told(curve_on(parts, scores, None, config, seed, progress), scores, pairs), model)


def curve_on(
    parts: Parts,
    scores: Any,
    known: Sequence[str] | None,
    config: CurveConfig,
    seed: int = 0,
    progress: Progress = SILENT,
) -> FaithfulnessCurve:
    """The curve of circuits chosen by these scores, of these parts. known: names of a circuit known to be right."""
    ranked = Ranked(scores, parts.names, config.ablation)
    shares, draw = np.array(SHARES), np.random.default_rng(seed)
    sizes = [int(share * len(parts)) for share in shares]
    kept = ranked.circuits(sizes, config.rule, config.signed, seed)
    grows = config.rule in ("greedy", "optimal")
    random = [parts.tidy(parts.random(k, draw, grows)) for _ in range(config.random) for k in sizes]
    every = np.stack([parts.nothing, parts.whole, *kept, *random])
    with progress.stage(f"faithfulness of {parts.kind}", total=len(every), unit="circuit") as step:
        values = parts.measured(every, step)
    gap(float(values[1].mean()), float(values[0].mean()))
    again = _again(ranked, kept, sizes, config, seed)
    convention = {**parts.convention, **config.__dict__, "chosen on": len(scores.by_pair), "seed": seed}
    return FaithfulnessCurve(
        method=scores.method,
        task=scores.task,
        shares=shares,
        kept=np.array([int(one.sum()) for one in kept]),
        values=values[2 : 2 + len(sizes)],
        whole=values[1],
        nothing=values[0],
        random=values[2 + len(sizes) :].reshape(config.random, len(sizes), parts.pairs),
        kind=parts.kind,
        total=len(parts),
        x=config.x,
        weighted=np.array([parts.weighted(one) for one in kept] if config.x == "weighted" else []),
        jaccard=again,
        auroc=None if known is None else ranked.auroc(known, config.signed),
        convention={**convention, "unseen": list(config.unseen), "random": _RANDOM[grows]},
        seed=seed,
    )


_RANDOM = {True: "grown from the logits by chance", False: "drawn from all parts; what dangles goes"}


def _again(ranked: Ranked, kept: list[Kept], sizes: list[int], config: CurveConfig, seed: int) -> np.ndarray:
    """How much the circuits of pairs drawn again have in common with the circuit."""
    if not config.samples or config.rule == "optimal" or len(ranked.by_pair) < 2:
        return np.zeros((0, len(sizes)))
    drawn = ranked.resampled(sizes, config.rule, config.signed, config.samples, seed)
    return np.array([[jaccard(a, b) for a, b in zip(kept, one, strict=True)] for one in drawn])


def require_axis(model: "TransformerBridge", config: CurveConfig) -> None:
    """BadInput, before anything is run, where the axis cannot be told of these parts."""
    if config.x == "weighted" and config.kind != "edges":
        require_weighed(config.kind)
        layout_of(model)


def parts_of(
    model: "TransformerBridge", pairs: Pairs, reference: Pairs | None, config: CurveConfig, dictionaries: Sequence[Any]
) -> Parts:
    """The parts that circuits are made of, ready to be removed on these pairs."""
    if config.kind == "edges":
        return EdgeParts(model, pairs, config.ablation, reference)
    return NodeParts(model, pairs, config.kind, config.ablation, dictionaries=dictionaries, reference=reference)


def _scores(
    model: "TransformerBridge", split: Split, by: str, stored: Stored, config: CurveConfig, progress: Progress
) -> Any:
    """Those that are stored, or made now."""
    if stored.scores is not None:
        found = read_scores(stored.scores)
        require_same_model(model, found, "Scores")
        return found
    if config.kind == "edges":
        return edge_scores(model, split.train, by, progress)
    return atp(model, split.train, config.kind, list(stored.dictionaries), steps=_points(by), progress=progress)


def _points(by: str) -> int:
    """Points of the path for scores of nodes. BadInput for what scores edges alone."""
    if by not in ("eap", "eap-ig"):
        raise BadInput(
            f"Nodes are scored by eap or eap-ig here, not {by}; store those of atp and give them as `scores`."
        )
    return 0 if by == "eap" else IG_POINTS


@takes_fields("stored", Stored)
@takes_fields("drawn", Drawn)
@takes_fields("config", CurveConfig)
def plan_faithfulness(
    model: "TransformerBridge",
    task: TaskName = "ioi",
    by: By = "eap-ig",
    *,
    n: int = 32,
    stored: Stored = Stored(),
    drawn: Drawn = Drawn(),
    config: CurveConfig = CurveConfig(),
) -> FaithfulnessPlan:
    """What `faithfulness` takes."""
    require_axis(model, config)
    split = split_pairs(model, task, n, config.held_out, tuple(config.unseen), drawn, config.at_chance, config.ablation)
    looked = [pairs for pairs in (split.test, split.unseen) if pairs is not None]
    circuits = 2 + len(SHARES) * (1 + config.random)
    return plan_runs(
        looked,
        circuits,
        lambda pairs: parts_of(model, pairs, None, replace(config, ablation="resample"), stored.dictionaries),
        config.ablation,
        _scoring(model, split, by, stored, config),
    )


def _scoring(model: "TransformerBridge", split: Split, by: str, stored: Stored, config: CurveConfig) -> float:
    """Seconds that the scores take."""
    if stored.scores is not None:
        return 0.0
    if config.kind == "edges":
        return plan_scores(model, split.train, by).seconds
    few = split.train.some(range(min(2, len(split.train))))
    start = perf_counter()
    atp(model, few, config.kind, list(stored.dictionaries), steps=_points(by))
    return (perf_counter() - start) * len(split.train) / len(few)
