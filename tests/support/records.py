"""Records made by hand for the dashboard's tests: no model, known sums, hostile text."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

import circuits
from circuits.graph.graph import KINDS, CircuitGraph, Edges, Nodes
from circuits.graph.store import save_graph
from probe.artifacts.folder import place
from probe.artifacts.manifest import ModelStamp
from probe.features.unit import Example, TokenScore, Unit
from probe.heads.pattern_scores import head_metrics
from probe.heads.patterns import HeadPatterns
from probe.interventions.edited_run import Candidate, EditedRun
from probe.lens.logit import LensResult
from probe.neurons.strongest import TopUnits, UnitRow

HOSTILE = [
    '<img/src="x"onerror="window.pwned=1">',
    "</script><script>window.pwned=2</script>",
    "<b>bold</b>",
    "\u202eright to left",
    "",
    " a\n\tb",
    "漢字",
    "😀",
    "&amp;",
    "⟨e2 80⟩",
]


def lens_of(prompt: str, tokens: list[str], layers: int = 3, k: int = 5) -> LensResult:
    """A lens whose predictions are the tokens themselves."""
    n, rng = len(tokens), np.random.default_rng(0)
    probs = np.sort(rng.dirichlet(np.ones(k), (layers, n)), -1)[..., ::-1]
    words = [[[tokens[(p + i) % n] for i in range(k)] for p in range(n)] for _ in range(layers)]
    ids = np.arange(layers * n * k).reshape(layers, n, k)
    loss = np.r_[np.nan, rng.exponential(2, n - 1)]
    flat = rng.exponential(1, (layers, n))
    rank = rng.integers(0, 9, (layers, n))
    labels = ["embed", *(str(i) for i in range(layers - 1))]
    return LensResult(
        prompt=prompt,
        token_ids=list(range(n)),
        tokens=tokens,
        layers=labels,
        top_ids=ids,
        top_tokens=words,
        top_probs=probs,
        entropy=flat,
        kl=flat,
        rank_of_final=rank,
        loss=loss,
        resid_norm=flat,
    )


def heads_of(prompt: str, tokens: list[str], layers: int = 2, heads: int = 3) -> HeadPatterns:
    """Random causal patterns."""
    n, rng = len(tokens), np.random.default_rng(1)
    raw = np.tril(rng.exponential(1, (layers, heads, n, n))).astype(np.float32)
    patterns = raw / raw.sum(-1, keepdims=True)
    return HeadPatterns(prompt, list(range(n)), tokens, patterns, head_metrics(patterns, list(range(n))))


def units_of(prompt: str, tokens: list[str]) -> TopUnits:
    """One neuron at each position, which promotes and suppresses tokens of the prompt."""
    rows = [
        UnitRow(
            layer=1,
            kind="neuron",
            unit=7 + p,
            pos=p,
            activation=1.5,
            write_norm=2.0 + p,
            direct=0.25,
            promoted=tokens[:3],
            suppressed=tokens[-3:],
        )
        for p in range(len(tokens))
    ]
    return TopUnits(prompt, list(range(len(tokens))), tokens, rows)


def small_graph(prompt: str = "one <b>two", tokens: tuple[str, ...] = ("one", " <b>two")) -> CircuitGraph:
    """Two tokens, two neurons, one logit. Incoming edges: neuron 2: 1.5 - 0.5 = 1; neuron 3: 2; logit: 3 - 1 + 0.5 = 2.5."""
    kind = [KINDS.index(k) for k in ("token", "token", "neuron", "neuron", "logit")]
    nan = np.nan
    nodes = Nodes(
        np.array(kind),
        np.array([-1, -1, 0, 1, 2]),
        np.array([0, 1, 1, 1, 1]),
        np.array([5, 6, 11, 12, 9]),
        np.array([nan, nan, 1.0, 2.0, 2.5]),
        np.array([nan, nan, 0.7, 0.9, nan]),
    )
    edges = Edges(
        np.array([0, 1, 1, 2, 3, 0]),
        np.array([2, 2, 3, 4, 4, 4]),
        np.array([1.5, -0.5, 2.0, 3.0, -1.0, 0.5], np.float32),
    )
    return CircuitGraph(
        prompt=prompt,
        token_ids=[5, 6],
        tokens=list(tokens),
        nodes=nodes,
        edges=edges,
        constant=np.zeros(5),
        probability=np.array([0, 0, 0, 0, 0.8]),
        unit_tokens=[*tokens, "", "", "<i>answer"],
        residual=1e-7,
        residual_relative=4e-7,
        n_layers=2,
        model="toy",
        convention={"edge_sign": "positive raises the target's value"},
    )


def store_graph(name: str = "small") -> Path:
    """The small graph as an artifact, in the place of one that was there."""
    shutil.rmtree(place("graph", name), ignore_errors=True)
    return save_graph(small_graph(), place("graph", name), model=ModelStamp("toy", "w" * 64, "t" * 64))


def hostile_edit() -> EditedRun:
    n = len(HOSTILE)
    told = [Candidate(i, t, 0.1, 0.2, 1.0, 2.0) for i, t in enumerate(HOSTILE)]
    loss = np.r_[np.nan, np.ones(n - 1)]
    return EditedRun(
        prompt="<b>p",
        token_ids=list(range(n)),
        tokens=HOSTILE,
        edits=HOSTILE[:2],
        pos=n - 1,
        candidates=told,
        kl=np.ones(n),
        loss_before=loss,
        loss_after=loss,
        text_before="<i>a",
        text_after="\ud800",
    )


def hostile_unit() -> Unit:
    n = len(HOSTILE)
    scores = [TokenScore(i, t, 1.0 - i) for i, t in enumerate(HOSTILE)]
    shown = [
        Example(
            group=group,
            value=2.0,
            document="<b>doc",
            row=0,
            pos=1,
            peak=1,
            token_ids=list(range(n)),
            tokens=HOSTILE,
            activations=np.linspace(-1, 2, n).tolist(),
        )
        for group in ("strongest", "lowest", "bin 1 of <b>")
    ]
    edges, counts = np.linspace(0, 2, 9).tolist(), [0, 3, 2, 0, 1, 0, 0, 0]
    numbers = (5, 100, 0.05, 1.0, 2.0, -1.0)
    return Unit("L1F2", "latent", 1, 2, *numbers, edges, counts, shown, scores, scores, scores, scores, [], [])


def hostile_records():
    graph = small_graph("<script>p", ("<b>one", HOSTILE[1]))
    words = ["<b>", *HOSTILE[1:4], "</text></svg><script>x</script>"]
    graph = replace(graph, unit_tokens=words, model="<i>m", supernodes={"<script>": [2]}, dictionaries={"<b>": "x"})
    readings = [lens_of("<script>", HOSTILE), heads_of("<script>", HOSTILE), units_of("<script>", HOSTILE)]
    return [*readings, hostile_edit(), hostile_unit(), graph, graph.prune(), circuits.subgraph_scores(graph, [2])]
