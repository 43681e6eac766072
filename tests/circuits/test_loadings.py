"""Heads and bypass sum to the edge at every layer, and each loading is what the edge loses without that head."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from attention_cases import CASES, case, some_edges

from circuits.attention.flow import flow_of
from circuits.attention.loadings import head_loadings
from circuits.attribution.refreeze import refreeze
from circuits.attribution.sources import HEADS
from circuits.attribution.sweep import edges
from circuits.attribution.vectors import Places
from circuits.graph.graph import KINDS
from circuits.replacement.frozen import FrozenModel
from probe.errors import BadInput

pytestmark = pytest.mark.filterwarnings("ignore:On this prompt the dictionar")


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_split_of_every_layer_sums_to_the_graphs_own_edge(name, kind):
    model, graph, dictionaries = case(name, kind)
    picked = some_edges(graph, 40)
    found = head_loadings(model, graph, picked, dictionaries=dictionaries)
    lookup = {(int(s), int(t)): w for s, t, w in zip(graph.edges.source, graph.edges.target, graph.edges.weight)}
    expected = np.array([lookup[e] for e in picked])
    size = np.abs(expected).max()
    assert np.abs(found.weight - expected).max() < 1e-12 * size
    assert np.abs(found.bypass + found.heads.sum(-1) - expected[:, None]).max() < 1e-12 * max(
        size, np.abs(found.bypass).max()
    )
    assert found.keys is not None
    np.testing.assert_allclose(found.keys.sum(-1), found.heads, atol=1e-12 * size)
    assert found.between.any() and not found.between.all()
    if kind != "components":  # there every head is a node, so nothing passes through attention unnamed
        assert np.abs(found.heads).max() > 1e-3 * size


def without_head(frozen: FrozenModel, layer: int, head: int, key: int | None = None) -> FrozenModel:
    """The frozen model with one head's pattern zeroed, at one key or everywhere."""
    attn = frozen.layers[layer].attn
    pattern = attn.pattern.clone()
    pattern[head, :, slice(None) if key is None else key] = 0
    layers = list(frozen.layers)
    layers[layer] = replace(layers[layer], attn=replace(attn, pattern=pattern))
    return replace(frozen, layers=layers)


def edge_by_sweep(frozen: FrozenModel, places: Places, source: int, target: int) -> float:
    """One edge by the adjoint sweep, which shares no code with the loadings."""
    nodes, n_units = places.graph.nodes, len(places.sources)
    wanted = places.explained.targets.join(places.roots.targets)
    roots = np.flatnonzero(places.graph.roots)
    row = n_units + int(np.flatnonzero(roots == target)[0]) if target in roots else places.column(target)
    rows = edges(frozen, wanted.take(torch.tensor([row])), places.sources)
    kind, layer, pos = KINDS[nodes.kind[source]], int(nodes.layer[source]), int(nodes.pos[source])
    if kind in ("token", "position"):
        return float(getattr(rows, kind)[0, pos])
    if kind in ("bias", "rest", "error"):
        return float(getattr(rows, kind)[0, layer, pos])
    if kind == "first":
        return float(rows.rest[0, layer, pos] + rows.error[0, layer, pos])
    return float(rows.unit[0, places.column(source)])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("gpt2", "neurons"), ("gpt_neox", "skip"), ("gemma2", "skip"), ("gpt2", "stream"), ("llama", "output")],
)
def test_a_loading_is_what_the_edge_loses_without_the_head(name, kind):
    model, graph, dictionaries = case(name, kind)
    frozen = refreeze(model, graph, dictionaries)
    places = Places(frozen, graph)
    found = head_loadings(model, graph, some_edges(graph, 3), dictionaries=dictionaries, frozen=frozen)
    assert found.keys is not None
    for e in range(len(found)):
        ends = int(found.source[e]), int(found.target[e])
        whole = edge_by_sweep(frozen, places, *ends)
        for layer in range(graph.n_layers):
            for head in (0, 3):
                lost = whole - edge_by_sweep(without_head(frozen, layer, head), places, *ends)
                assert found.heads[e, layer, head] == pytest.approx(
                    lost, rel=1e-8, abs=1e-12 * np.abs(found.weight).max()
                )
        lost = whole - edge_by_sweep(without_head(frozen, 1, 2, key=1), places, *ends)
        assert found.keys[e, 1, 2, 1] == pytest.approx(lost, rel=1e-8, abs=1e-12 * np.abs(found.weight).max())


def test_a_layer_that_is_not_between_is_bypassed_whole():
    model, graph, _ = case("gpt2", "neurons")
    found = head_loadings(model, graph, some_edges(graph, 60))
    nodes = graph.nodes
    for e in range(len(found)):
        first, last = int(nodes.layer[found.source[e]]), int(nodes.layer[found.target[e]])
        kind = KINDS[nodes.kind[found.source[e]]]
        outside = [i for i in range(graph.n_layers) if i > last or i < first or (i == first and kind != "token")]
        assert not found.between[e, outside].any()
        assert np.abs(found.heads[e, outside]).max(initial=0) == 0
        np.testing.assert_allclose(found.bypass[e, outside], found.weight[e], rtol=1e-13)


def test_a_layer_whose_patterns_look_only_at_themselves_moves_nothing_between_positions():
    """Null: with no attention to other positions the source's own position is the only key there is."""
    model, graph, _ = case("gpt2", "neurons")
    frozen = refreeze(model, graph, ())
    same = [
        replace(b, attn=replace(b.attn, pattern=torch.eye(frozen.length).to(b.attn.pattern).expand_as(b.attn.pattern)))
        for b in frozen.layers
    ]
    picked = [(s, t) for s, t in some_edges(graph, 60) if graph.nodes.pos[s] != graph.nodes.pos[t]]
    found = head_loadings(model, graph, picked, frozen=replace(frozen, layers=same))
    assert len(picked) > 5 and not found.weight.any() and not found.heads.any()


def test_a_skip_is_told_apart_and_counted_as_bypass():
    for name in ("gpt_neox", "gpt2"):
        model, graph, dictionaries = case(name, "skip")
        picked = some_edges(graph, 40)
        found = head_loadings(model, graph, picked, dictionaries=dictionaries)
        assert np.abs(found.skip[:, 1]).max() > 1e-3 * np.abs(found.weight).max()
        assert not found.skip[:, [0, 2]].any()  # layer 0 has neurons, layer 2 a transcoder without a skip
        frozen = refreeze(model, graph, dictionaries)
        dead = [replace(b, mlp=replace(b.mlp, W_skip=None)) if i == 1 else b for i, b in enumerate(frozen.layers)]
        less = head_loadings(model, graph, picked, dictionaries=dictionaries, frozen=replace(frozen, layers=dead))
        np.testing.assert_allclose(
            found.skip[:, 1], found.weight - less.weight, atol=1e-12 * np.abs(found.weight).max()
        )


def test_heads_that_are_nodes_are_not_counted_twice():
    model, graph, _ = case("gpt_neox", "heads")
    frozen = refreeze(model, graph, ())
    flow, sources = flow_of(frozen, graph), Places(frozen, graph).sources
    for i, layer in enumerate(frozen.layers):
        taken = sources.taken(i, tuple(layer.attn.pattern.shape[:2]))
        expected = layer.attn if taken is None else layer.attn.without(taken)
        assert torch.equal(flow.attention[i].pattern, expected.pattern)
    assert (sources.role == HEADS).any()


def test_groups_and_order_of_edges_change_nothing():
    model, graph, _ = case("llama", "neurons")
    picked = some_edges(graph, 25)
    one, many = (head_loadings(model, graph, picked, memory=m) for m in (1 << 30, 1))
    back = head_loadings(model, graph, picked[::-1], keys=False)
    np.testing.assert_allclose(one.heads, many.heads, atol=1e-14)
    np.testing.assert_allclose(one.bypass, back.bypass[::-1], atol=1e-14)
    assert back.keys is None and one.source.tolist() == [s for s, _ in picked]


def test_a_split_that_does_not_sum_is_not_reported(monkeypatch):
    """The control: a loading computed with the wrong values must be refused."""
    import circuits.attention.loadings as loadings
    from probe.errors import OpenworkError

    model, graph, _ = case("gpt2", "neurons")
    real = loadings.values
    monkeypatch.setattr(loadings, "values", lambda attn, x: 1.001 * real(attn, x))
    with pytest.raises(OpenworkError, match="do not sum"):
        head_loadings(model, graph, some_edges(graph, 40))


@pytest.mark.parametrize(
    ("pairs", "words"),
    [([], "No edge"), ([(0, 10**6)], "is no edge"), ([(0, 1)], "is a leaf"), ([(-1, 0)], "is no edge")],
)
def test_bad_edges_are_refused(pairs, words):
    model, graph, _ = case("gpt2", "neurons")
    with pytest.raises(BadInput, match=words):
        head_loadings(model, graph, pairs)
    with pytest.raises(BadInput, match="no edge's source"):
        head_loadings(model, graph, [(len(graph.nodes) - 1, len(graph.nodes) - 1)])


def test_a_table_and_a_picture_of_it():
    model, graph, _ = case("gpt2", "neurons")
    found = head_loadings(model, graph, some_edges(graph, 5))
    rows, told = found.rows(5), found.to_dict()
    assert [abs(r["loading"]) for r in rows] == sorted((abs(r["loading"]) for r in rows), reverse=True)
    assert rows[0]["share"] == pytest.approx(
        rows[0]["loading"] / found.weight[[" → ".join(n) for n in found.names].index(rows[0]["edge"])]
    )
    assert len(told["edges"]) == len(found) and told["gap"] < 1e-12
    heads, bypass = found.figure(0).data
    np.testing.assert_allclose(np.asarray(heads.z), found.heads[0])
    np.testing.assert_allclose(np.asarray(bypass.z)[:, 0], found.bypass[0])
    assert heads.zmid == 0 and heads.zmin == -heads.zmax and heads.colorscale[0][1] == "rgb(103,0,31)"
    assert "L" in found._repr_html_()
