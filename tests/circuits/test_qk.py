"""An attention score is the sum over pairs of what the sources wrote, and its softmax is the model's own pattern."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from attention_cases import CASES, EXACT, case

from circuits.attention.flow import flow_of
from circuits.attention.pairs import top_pairs
from circuits.attention.qk import qk_attribution
from circuits.attention.qk_sources import Score, gather
from circuits.attention.queries import capped, freeze_queries
from circuits.attribution.refreeze import refreeze
from circuits.attribution.vectors import Places
from probe.errors import BadInput, OpenworkError

pytestmark = pytest.mark.filterwarnings("ignore:On this prompt the dictionar")
REPORTING = ("gpt2", "gpt_neox", "llama", "qwen3", "gemma2", "gemma3", "olmo2")
"""OPT hands out its pattern under both names; its scores are checked through the pattern."""


def held(name: str, kind: str, layer: int):
    """Everything a score's split starts from."""
    model, graph, dictionaries = case(name, kind)
    frozen = refreeze(model, graph, dictionaries)
    tokens = torch.tensor([graph.token_ids])
    return model, graph, dictionaries, frozen, freeze_queries(model, tokens, layer, frozen.layers[layer].ln1)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_sums_over_pairs_are_the_models_scores_and_its_pattern(name, kind):
    """Every head, query and key of the last layer; nothing is left over, and nothing is missing from the graph."""
    model, graph, _, frozen, queries = held(name, kind, 2)
    flow, length = flow_of(frozen, graph), len(graph.token_ids)
    allowed = EXACT.get(name, 1e-6)
    _, cache = model.run_with_cache(torch.tensor([graph.token_ids]))
    reported, pattern = (cache[f"blocks.2.attn.hook_{n}"][0].double() for n in ("attn_scores", "pattern"))
    for head, query in ((0, length - 1), (3, length - 2)):
        summed = torch.zeros(query + 1, dtype=torch.float64)
        for key in range(query + 1):
            made = gather(flow, graph, queries, Score(head, query, key), units=8 * (key % 2))
            assert made.missing == 0
            pairs = queries.scale * made.query @ made.key.T  # the whole table, which is never made otherwise
            summed[key] = pairs.sum()
        score = capped(summed, queries.cap)
        if name in REPORTING:
            assert (score - reported[head, query, : query + 1]).abs().max() < 10 * allowed * reported.abs()[
                0, 0, 0
            ].clamp_min(1)
        assert (score.softmax(0) - pattern[head, query, : query + 1]).abs().max() < allowed


def test_which_models_report_their_scores():
    for name in (*REPORTING, "opt"):
        assert (held(name, "neurons", 1)[-1].scores is not None) == (name in REPORTING)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("gpt2", "neurons"), ("gpt_neox", "skip"), ("gemma2", "skip"), ("gpt2", "stream"), ("gemma3", "neurons")],
)
def test_rows_are_what_each_source_carries_to_the_head_when_carried_up(name, kind):
    """A second way: every source's writes propagated upwards, then projected; the readers carried down share no step with it."""
    _, graph, _, frozen, queries = held(name, kind, 2)
    flow, places, score = flow_of(frozen, graph), Places(frozen, graph), Score(1, frozen.length - 1, 2)
    made = gather(flow, graph, queries, score, units=0)
    mine = [i for i, n in enumerate(made.nodes) if n >= 0]
    written = [places.writes(made.nodes[i]) for i in mine]
    stream = next(x for point, x in flow.up(written) if point == 8)
    read = queries.read(stream)
    q = read[:, -1] @ queries.query.map(1, score.query)
    k = read[:, 2] @ queries.key.map(1 // queries.group, 2)
    assert (q - made.query[mine]).abs().max() < 1e-11 * q.abs().max()
    assert (k - made.key[mine]).abs().max() < 1e-11 * k.abs().max()


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "gemma3", "olmo2"])
def test_marginals_and_pairs_are_those_of_the_whole_table(name):
    model, graph, _, frozen, queries = held(name, "neurons", 2)
    found = qk_attribution(model, graph, 2, 1, -1, 1, units=20, k=30, frozen=frozen, queries=queries)
    made = gather(flow_of(frozen, graph), graph, queries, Score(1, frozen.length - 1, 1), units=20)
    table = (queries.scale * made.query @ made.key.T).numpy()
    np.testing.assert_allclose(found.a_query, table.sum(1), atol=1e-12 * np.abs(table).max())
    np.testing.assert_allclose(found.a_key, table.sum(0), atol=1e-12 * np.abs(table).max())
    strongest = np.sort(np.abs(table), axis=None)[::-1][:30]
    np.testing.assert_allclose(np.abs(found.pairs.weight), strongest, rtol=1e-10)
    np.testing.assert_allclose(found.pairs.weight, table[found.pairs.query, found.pairs.key], rtol=1e-10)
    np.testing.assert_allclose(found.block, table[np.ix_(found.shown_query, found.shown_key)], rtol=1e-9, atol=1e-13)
    assert found.a_query.sum() == pytest.approx(found.score, abs=1e-6) and found.gap < 1e-6


def test_units_are_taken_out_of_rest_and_nothing_is_lost():
    _, graph, _, frozen, queries = held("llama", "neurons", 2)
    flow, score = flow_of(frozen, graph), Score(0, 4, 2)
    few, many = (gather(flow, graph, queries, score, units=n) for n in (0, 50))
    assert few.n_taken == 0 and many.n_taken == 50 and len(many.names) == len(few.names) + 50
    assert len(set(many.names)) == len(many.names)
    for side in ("query", "key"):
        a, b = getattr(few, side).sum(0), getattr(many, side).sum(0)
        assert (a - b).abs().max() < 1e-12 * a.abs().max()
    # They are the strongest of what was not a node: one more would have been weaker than each of them.
    more = gather(flow, graph, queries, score, units=51)
    q, k = more.query.sum(0), more.key.sum(0)
    strength = {
        n: float((Q @ k).abs() + (q @ K).abs()) for n, Q, K in zip(more.names, more.query, more.key, strict=True)
    }
    extra = set(more.names) - set(many.names)
    assert len(extra) == 1
    taken = [strength[n] for n in set(many.names) - set(few.names)]
    assert strength[extra.pop()] <= min(taken) + 1e-12


def test_a_difference_of_two_keys_is_the_difference_of_their_scores():
    model, graph, _, frozen, queries = held("gpt_neox", "neurons", 2)
    one, other, both = (
        qk_attribution(model, graph, 2, 0, -1, key, against=against, frozen=frozen, queries=queries)
        for key, against in ((1, None), (3, None), (1, 3))
    )
    assert both.score == pytest.approx(one.score - other.score, rel=1e-12)
    assert both.a_query.sum() == pytest.approx(both.score, rel=1e-10)
    assert "against 3" in both.title


def test_against_the_others_is_against_their_average_weighed_by_attention():
    model, graph, _, frozen, queries = held("llama", "neurons", 2)
    found = qk_attribution(model, graph, 2, 1, -1, 1, against="others", frozen=frozen, queries=queries)
    assert queries.scores is not None
    scores, paid = queries.scores[1, -1].double(), queries.pattern[1, -1].double()
    paid = torch.where(torch.arange(len(paid)) == 1, 0, paid)
    expected = float(scores[1] - (scores * paid).sum() / paid.sum())
    assert found.score == pytest.approx(expected, abs=1e-6)
    assert found.a_key.sum() == pytest.approx(expected, abs=1e-6)
    with pytest.raises(BadInput, match="'others'"):
        qk_attribution(model, graph, 2, 1, -1, 1, against="all", frozen=frozen, queries=queries)


def test_what_is_the_same_in_every_prompt_stays_one_node_a_layer():
    _, graph, _, frozen, queries = held("llama", "neurons", 2)
    assert graph.nodes.where("first").any()
    made = gather(flow_of(frozen, graph), graph, queries, Score(0, 4, 2), units=10**6)
    taken = [n for n, node in zip(made.names, made.nodes, strict=True) if node < 0 and "N" in n.split("@")[0]]
    assert len(taken) > 100 and not any("@0 " in n for n in taken)


def test_the_cap_is_said_and_left_out_of_the_split():
    model, graph, _, frozen, queries = held("gemma2", "neurons", 1)
    found = qk_attribution(model, graph, 1, 2, -1, 0, frozen=frozen, queries=queries)
    assert "before the soft-cap of 50" in found.convention["score"]
    assert queries.scores is not None
    assert found.convention["score_after_cap"] == pytest.approx(float(queries.scores[2, 4, 0]), abs=1e-6)
    assert found.convention["score_after_cap"] != found.score


def test_norms_and_rotations_of_queries_are_needed():
    """Controls: without the rotation, or with the norm's divisor of another position, the pattern is not rebuilt."""
    import circuits.attention.queries as module

    for name, change in (("gpt_neox", {"rotation": None}), ("qwen3", {"norm_scale": "flipped"})):
        *_, queries = held(name, "neurons", 1)
        wrong = (
            queries.query.norm_scale.flip(1)
            if change.get("norm_scale") and queries.query.norm_scale is not None
            else None
        )
        query = replace(queries.query, **({"norm_scale": wrong} if wrong is not None else change))
        with pytest.raises(OpenworkError, match="do not rebuild"):
            module._check(replace(queries, query=query))


def test_a_source_the_graph_lacks_is_shown_as_such():
    """What a graph does not have leaves a hole of exactly its size, which is kept as a source and said."""
    _, graph, _, frozen, queries = held("gpt2", "neurons", 2)
    token = int(np.flatnonzero(graph.nodes.where("token"))[2])
    at = graph.nodes.pos.copy()
    at[token] = 0  # the third token's write is gone; the first one's is there twice
    fewer = replace(graph, nodes=replace(graph.nodes, pos=at))
    flow, score = flow_of(frozen), Score(0, 4, 2)
    whole, holed = (gather(flow, g, queries, score, units=0) for g in (graph, fewer))
    assert whole.missing == 0 and holed.missing > 0.01
    assert holed.names[-1] == "not in the graph"
    lost, twice = (
        whole.names.index(graph.name(int(n))) for n in (token, np.flatnonzero(graph.nodes.where("token"))[0])
    )
    for side in ("query", "key"):
        rows = getattr(whole, side)
        assert (getattr(holed, side)[-1] - (rows[lost] - rows[twice])).abs().max() < 1e-9 * rows.abs().max()


def test_the_key_looked_at_most_is_the_default():
    model, graph, _, frozen, queries = held("llama", "neurons", 1)
    found = qk_attribution(model, graph, 1, 3, -1, frozen=frozen, queries=queries)
    assert found.key == int(queries.pattern[3, -1].argmax()) and found.probability == float(
        queries.pattern[3, -1].max()
    )


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((9, 0, 0, 0), "no head"),
        ((1, 4, 0, 0), "no head"),
        ((1, 0, 99, 0), "no position"),
        ((1, 0, 1, 3), "cannot look"),
        ((1, 0, 1, 77), "no position"),
    ],
)
def test_places_that_are_not_there_are_refused(place, words):
    model, graph, _ = case("gpt2", "neurons")
    with pytest.raises(BadInput, match=words):
        qk_attribution(model, graph, *place)


def test_what_does_not_fit_is_refused_before_it_is_tried():
    model, graph, _ = case("gpt2", "neurons")
    with pytest.raises(BadInput, match="Shorten the prompt"):
        qk_attribution(model, graph, 1, 0, 3, memory=10_000)


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_blocked_search_is_exact_and_skips_what_cannot_win(block):
    generator = torch.Generator().manual_seed(block)
    Q, K = (torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (90, 70))
    Q *= torch.logspace(0, -6, 90, dtype=torch.float64)[torch.randperm(90, generator=generator)][:, None]
    Q[5], K[9] = 0, 0
    found, table = top_pairs(Q, K, 25, block), (Q @ K.T).abs().flatten()
    np.testing.assert_allclose(np.abs(found.weight), table.topk(25).values.numpy(), rtol=1e-12)
    np.testing.assert_allclose(found.weight, (Q[found.query] * K[found.key]).sum(1).numpy(), rtol=1e-12)
    assert len({*zip(found.query, found.key, strict=True)}) == 25
    assert found.compared == 90 * 70 if block == 1000 else found.compared < 0.7 * 90 * 70
    assert len(top_pairs(torch.zeros(3, 2), torch.ones(3, 2), 5)) == 0
    assert len(top_pairs(Q[:2], K[:2], 100)) <= 4


def test_tables_json_and_picture():
    model, graph, _, frozen, queries = held("gpt2", "neurons", 2)
    found = qk_attribution(model, graph, 2, 0, -1, 1, frozen=frozen, queries=queries)
    rows, told = found.rows(5), found.to_dict()
    assert len(rows) == 5 and abs(rows[0]["score"]) >= abs(rows[4]["score"])
    assert told["n_sources"] == len(found.names) and told["score"] == found.score
    assert sum(abs(r["score"]) for r in found.sources("key", 3)) <= np.abs(found.a_key).sum()
    heat = found.figure().data[0]
    np.testing.assert_allclose(np.asarray(heat.z), found.block)
    assert heat.zmid == 0 and len(found.figure().layout.xaxis.ticktext) == len(found.shown_key)
    assert "key side" in found._repr_html_()
