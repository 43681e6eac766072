"""Circuits of a given size, held against every set of edges there is; what curves of them come to, by hand; their files."""

import itertools
import json
import math

import numpy as np
import pytest
from edge_pairs import drawn, pairs_for
from tiny import tiny

import circuits
from circuits.edge_attribution.components import components
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.runs import Comparison
from circuits.edge_attribution.scores import EdgeScores
from circuits.faithfulness.metrics import SHARES, area, auroc, distance, faithfulness, gap
from circuits.search.circuit import circuit_of, connected
from circuits.search.select import chosen
from probe.errors import BadInput, Unavailable

SMALL = Layout(inputs=["input"], heads=[2], kv_heads=[1], parallel=[False])  # two heads that share keys and values
EDGES = np.argwhere(SMALL.edges)


def scores_on(by_pair, layout=SMALL):
    by_pair = np.atleast_2d(np.asarray(by_pair, np.float32))
    ends = np.zeros(len(by_pair))
    return EdgeScores(
        method="given",
        task="t",
        layout=layout,
        by_pair=by_pair,
        clean=ends,
        corrupted=ends,
        examples=[""] * len(by_pair),
    )


def random_scores(seed, pairs=1):
    return scores_on(np.random.default_rng(seed).normal(size=(pairs, len(EDGES))))


def kept_of(some):
    kept = np.zeros(SMALL.edges.shape, bool)
    kept[tuple(EDGES[list(some)].T)] = True
    return kept


def on_a_way(kept):
    """The same as `connected`, by reachability: edges that the input reaches and that reach the logits."""
    names = [*SMALL.senders, *SMALL.receivers]
    steps = np.eye(len(names), dtype=bool)
    steps[: len(SMALL.senders), len(SMALL.senders) :] |= kept
    steps[len(SMALL.senders) :, : len(SMALL.senders)] |= SMALL.components.T
    reach = np.linalg.matrix_power(steps.astype(float), len(names)) > 0
    fed, heard = reach[0, : len(SMALL.senders)], reach[len(SMALL.senders) :, -1]
    return kept & fed[:, None] & heard


def every_connected():
    """All sets of edges in which nothing dangles."""
    sets = (kept_of(s) for k in range(len(EDGES) + 1) for s in itertools.combinations(range(len(EDGES)), k))
    return [kept for kept in sets if (connected(SMALL, kept) == kept).all()]


CONNECTED = every_connected()


def test_what_dangles_goes():
    draw = np.random.default_rng(0)
    for _ in range(200):
        kept = SMALL.edges & (draw.random(SMALL.edges.shape) < draw.random())
        assert (connected(SMALL, kept) == on_a_way(kept)).all()
    only = circuit_of(SMALL, ["input->a0.kv0<v>", "a0.h1->m0", "m0->logits", "input->a0.h0<q>"], method="", task="")
    left = circuit_of(SMALL, ["input->a0.kv0<v>", "a0.h1->m0", "m0->logits"], method="", task="")
    assert (connected(SMALL, only.kept) == left.kept).all()  # nobody listens to the first head
    assert not connected(SMALL, circuit_of(SMALL, ["a0.h1->logits", "input->m0"], method="", task="").kept).any()
    assert connected(SMALL, SMALL.edges).sum() == len(EDGES) == 11


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_top_and_optimal_are_the_best_there_are(seed, signed):
    """Against all 2048 sets of edges: the best of a size, and the best connected one; greedy is never better."""
    scores = random_scores(seed)
    worth = np.where(SMALL.edges, -scores.matrix if signed else np.abs(scores.matrix), 0)
    for size in (1, 3, 5, 8, len(EDGES)):
        top, greedy, best = (chosen(scores, size, rule, signed=signed) for rule in ("top", "greedy", "optimal"))
        assert top.sum() == size and worth[top].min() >= worth[SMALL.edges & ~top].max(initial=-np.inf)
        wanted = max(float(worth[kept].sum()) for kept in CONNECTED if kept.sum() <= size)
        assert float(worth[best].sum()) == pytest.approx(wanted, rel=1e-4, abs=1e-9) and best.sum() <= size
        assert (connected(SMALL, best) == best).all()
        assert worth[best].sum() >= worth[connected(SMALL, greedy)].sum() - 1e-9
        assert (greedy == grown(worth, size)).all()


def grown(worth, size):
    """Greedy by looking through all edges anew: the best whose receiver is read by what is in."""
    kept, inside = np.zeros(SMALL.edges.shape, bool), np.zeros(len(SMALL.senders), bool)
    while kept.sum() < size:
        heard = (SMALL.components & inside[:, None]).any(0)
        heard[-1] = True
        open_ = SMALL.edges & heard & ~kept
        if not open_.any():
            break
        u, v = np.unravel_index(np.where(open_, worth, -np.inf).argmax(), worth.shape)
        kept[u, v] = inside[u] = True
    return kept


def test_stable_edges_have_one_sign_in_every_sample():
    by_pair = np.abs(random_scores(0, 8).by_pair) + 1
    by_pair[::2, 3] *= -9  # the largest by far, of either sign
    scores = scores_on(by_pair)
    u, v = EDGES[3]
    assert chosen(scores, 1, "top")[u, v]
    stable = chosen(scores, len(EDGES), "stable", seed=1)
    assert not stable[u, v] and stable.sum() == len(EDGES) - 1
    assert (chosen(scores, 4, "stable") == chosen(scores_on(np.delete(by_pair, 3, 1).mean(0), without(3)), 4)).all()
    with pytest.raises(BadInput, match="One pair has no samples"):
        chosen(random_scores(0), 3, "stable")


def without(edge):
    """The layout as if one edge were not there."""
    layout = Layout(inputs=["input"], heads=[2], kv_heads=[1], parallel=[False])
    there = SMALL.edges.copy()
    there[tuple(EDGES[edge])] = False
    vars(layout)["edges"] = there
    return layout


@pytest.mark.parametrize("rule", ["top", "greedy", "optimal"])
def test_an_edge_that_was_not_measured_is_never_chosen(rule):
    by_pair = random_scores(1).by_pair.copy()
    by_pair[0, [0, 10]] = np.nan
    kept = chosen(scores_on(by_pair), len(EDGES), rule)
    assert kept.any() and not kept[tuple(EDGES[[0, 10]].T)].any()


def test_a_circuit_says_how_it_was_chosen_and_what_it_was_asked():
    scores = random_scores(2)
    circuit = circuits.choose_edges(scores, 6)
    assert (circuit.kept == connected(SMALL, chosen(scores, 6))).all() and len(circuit) <= 6
    assert circuit.convention["rule"] == "top" and circuit.convention["edges asked"] == 6
    assert circuit.share == len(circuit) / 11 and circuit.names == [
        f"{r['sender']}->{r['receiver']}" for r in circuit.rows()
    ]
    for size, rule, said in ((12, "top", "12 edges was asked for; this model has 11"), (3, "best", "no rule 'best'")):
        with pytest.raises(BadInput, match=said):
            chosen(scores, size, rule)


# -- what curves and rankings come to ----------------------------------------------------------------------------------------


def test_auroc_by_hand():
    """Of 2 x 3 comparisons: 3 won and 2 tied; an edge without a score loses all of its own."""
    score, true = np.array([3.0, 1.0, 1.0, 1.0, 0.5]), np.array([True, True, False, False, False])
    assert auroc(score, true) == pytest.approx((3 + 2 * 0.5 + 1) / 6)
    assert auroc(np.array([np.nan, 1.0, 1.0, 0.0, 0.5]), true) == pytest.approx((0 + 0.5 + 2) / 6)
    assert auroc(np.array([np.nan, 2.0, np.nan, 1.0, 0.5]), true) == pytest.approx((0.5 + 3) / 6)
    assert auroc(-score, true) == pytest.approx(1 - auroc(score, true))
    for known in (np.zeros(5, bool), np.ones(5, bool)):
        with pytest.raises(BadInput, match="nothing to tell apart"):
            auroc(score, known)


def test_areas_by_hand():
    """f = 1 everywhere is 0.999 and 0, since the smallest share is 0.001; f = 0 the other way round; trapezoids between."""
    shares = np.array(SHARES)
    assert area(shares, np.ones(10)) == pytest.approx(0.999) and distance(shares, np.ones(10)) == pytest.approx(0)
    assert area(shares, np.zeros(10)) == pytest.approx(0) and distance(shares, np.zeros(10)) == pytest.approx(0.999)
    few, f = np.array([0.0, 0.5, 1.0]), np.array([0.0, 2.0, 1.0])
    assert area(few, f) == pytest.approx(0.5 + 0.75) and distance(few, f) == pytest.approx(0.5 + 0.25)
    assert faithfulness(np.array([1.0, 3.0, 5.0]), 3.0, 1.0) == pytest.approx([0, 1, 2])
    with pytest.raises(BadInput, match="no circuit can be told from another"):
        gap(2.0, 2.0 + 1e-9)


def test_a_curve_ends_at_the_whole_model():
    model, pairs = drawn("gpt2")
    scores = circuits.eap(model, pairs)
    curve = circuits.curve_of_scores(model, scores, pairs, random=1, signed=True)
    assert (
        f"on {len(pairs)} pairs of tokens: CPR" in curve.summary()
    )  # token ids alone do not say which pairs scores saw
    assert curve.f[-1] == pytest.approx(1) and curve.random_f[0, -1] == pytest.approx(1)
    total = int(scores.layout.edges.sum())
    assert [int(s * total) for s in SHARES][-1] == curve.kept[-1] == total
    assert (curve.kept <= [int(s * total) for s in SHARES]).all()
    kept = circuits.choose_edges(scores, int(SHARES[7] * total), signed=True).kept
    alone = Comparison(model, components(model), pairs, "metric").values(kept[None])[0]
    assert curve.values[7] == pytest.approx(alone) and curve.cpr == pytest.approx(area(curve.shares, curve.f))
    assert curve.interval[0, -1] == pytest.approx(1) and curve.reaches(-1e9) == SHARES[0]


def test_a_task_that_no_edge_changes_has_no_curve():
    model, pairs = drawn("gpt2")
    same = pairs_for(model, pairs.clean, pairs.clean)
    with pytest.raises(BadInput, match="with every edge removed, so no circuit can be told from another"):
        circuits.curve_of_scores(model, circuits.eap(model, pairs), same, random=0)


# -- files -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_circuit_comes_back_from_its_file(name, tmp_path):
    """Also where heads share keys and values: one line a head, their scores together the edge's."""
    model, pairs = drawn(name)
    scores = circuits.eap(model, pairs)
    circuit = circuits.choose_edges(scores, 60, "greedy")
    file = circuits.write_mib(circuit, tmp_path / "new" / "circuit.json", scores)  # the width is the model's own
    read, found = circuits.read_mib(model, file)
    assert read.names == circuit.names and 0 < len(read) <= 60
    assert found == pytest.approx(scores.matrix, nan_ok=True, rel=1e-6)
    told = json.loads(file.read_text())
    helps = min(
        range(len(scores.score)), key=scores.score.__getitem__
    )  # their scores are of a loss: large where an edge helps
    name = scores.layout.name(*map(int, scores.edges[helps])).replace(".kv", ".h")
    assert scores.score[helps] < 0 < told["edges"][name]["score"]
    assert told["cfg"] == {"n_layers": 3, "n_heads": 4, "parallel_attn_mlp": False, "d_model": 32}
    heads, senders = [f"a{i}.h{h}" for i in range(3) for h in range(4)], len(scores.layout.senders)
    assert set(told["nodes"]) == {"input", "logits", *heads, "m0", "m1", "m2"} and len(told["nodes"]) == senders + 1
    inner = sum(3 * 4 * (1 + 5 * i) + (5 + 5 * i) for i in range(3))  # as if every head had keys and values of its own
    assert len(told["edges"]) == inner + senders and "a0.h1->a1.h2<k>" in told["edges"]
    inside = {node for edge, about in told["edges"].items() if about["in_graph"] for node in ends_of(edge)}
    assert {node for node, about in told["nodes"].items() if about["in_graph"]} >= inside - {"logits"}


def ends_of(edge):
    sender, receiver = edge.split("->")
    return sender, receiver.partition("<")[0]


def test_a_score_that_was_not_measured_is_none_in_the_file(tmp_path):
    model, pairs = drawn("gpt2")
    scores = circuits.exact_edges(model, pairs, edges=5)
    circuit = circuit_of(scores.layout, ["input->logits"], method="by hand", task="tokens")
    file = circuits.write_mib(circuit, tmp_path / "c.json", scores)
    assert sum(one["score"] is not None for one in json.loads(file.read_text())["edges"].values()) == 5
    assert np.isfinite(circuits.read_mib(model, file)[1]).sum() == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told["edges"].pop("input->m0"), "of another model: it has 261 edges and this model 262"),
        (lambda told: told["edges"].update({"a7.h0->logits": {}}), "another model: it has the edge 'a7.h0->logits'"),
        (lambda told: told.update(edges=[1]), "is no circuit file"),
        (lambda told: told["edges"].update({"input->m0": 1}), "is no circuit file"),
        (lambda told: told["edges"]["input->m0"].update(score="x"), "is no circuit file"),
        (
            lambda told: told["edges"]["input->m0"].update(score=math.nan),
            "'input->m0' has the score nan; a finite number",
        ),
        (lambda told: told["edges"]["input->m0"].update(in_graph="yes"), "has in_graph 'yes'"),
        (
            lambda told: told["cfg"].update(n_layers=10**9),
            "another model: its n_layers is 1000000000, and this model's 3",
        ),
        (lambda told: told["cfg"].update(d_model=7), "another model: its d_model is 7"),
        (lambda told: told.update(nodes=None), "is no circuit file"),
    ],
)
def test_a_file_that_is_no_circuit_of_this_model_is_refused(tmp_path, change, said):
    model, pairs = drawn("gpt2")
    file = circuits.write_mib(circuits.choose_edges(circuits.eap(model, pairs), 9), tmp_path / "c.json")
    told = json.loads(file.read_text())
    change(told)
    file.write_text(json.dumps(told))
    with pytest.raises(BadInput, match=said):
        circuits.read_mib(model, file)


def test_a_file_of_another_shape_or_none_is_refused(tmp_path):
    model, pairs = drawn("gpt2")
    file = circuits.write_mib(circuits.choose_edges(circuits.eap(model, pairs), 9), tmp_path / "c.json")
    with pytest.raises(BadInput, match="of another model"):
        circuits.read_mib(tiny("gpt_neox"), file)  # its MLPs do not read their own layer's heads
    with pytest.raises(BadInput, match=r"cannot be read \(No such file"):
        circuits.read_mib(model, tmp_path / "none.json")
    (tmp_path / "text").write_text("{")
    with pytest.raises(BadInput, match="is damaged: it is not JSON.*A circuit file was wanted"):
        circuits.read_mib(model, tmp_path / "text")
    with pytest.raises(Unavailable, match="could not be written"):
        circuits.write_mib(circuits.choose_edges(circuits.eap(model, pairs), 9), tmp_path / "text" / "c.json")
