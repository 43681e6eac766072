"""Paths: they sum exactly, each edge is the product of its factors, and all of them together are the attribution graph."""

import json
from collections import defaultdict

import numpy as np
import pytest
import torch
from exchanged import coder
from tiny import CONFIGS, tiny

from circuits.attribution.trace import TraceConfig, trace
from circuits.replacement.freeze import freeze
from circuits.replacement.placement import place_dictionaries
from circuits.weights.children import STEPS, UNITS, Parts, PathNode, Reading
from circuits.weights.paths import top_paths
from circuits.weights.record import Branch
from probe.dictionaries import SAE, CrossLayerTranscoder, TopK
from probe.errors import BadInput
from probe.model.load import load_model
from probe.model.toy import lookup_model

PROMPT = "The capital of France"
EXACT = {"gpt2": 1e-12, "gpt_neox": 1e-12}
ROUNDED = 1e-6  # the other architectures take norms or softmax in float32 even when their weights are float64


def learned(name: str) -> list:
    """A skip transcoder in layer 0 and one without skip in layer 1."""
    return [coder(0, 32, skip=True), coder(1, 32, seed=1)]


def branches(branch: Branch) -> list[Branch]:
    return [branch, *(b for child in branch.children for b in branches(child))]


def gaps(branch: Branch) -> list[float]:
    """|value - constant - rest - children| over the size of that sum, wherever the tree was followed."""
    found = []
    for b in branches(branch):
        if b.followed:
            parts = [b.constant, b.rest, *(c.value for c in b.children)]
            found.append(abs(sum(parts) - b.value) / sum(map(abs, parts)))
    return found


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("with_dictionaries", [False, True])
def test_every_stops_children_sum_to_it_and_every_edge_is_its_factors_product(name, with_dictionaries):
    model = tiny(name)
    dictionaries = learned(name) if with_dictionaries else []
    kinds = set()
    for target in ("L2N5@3",) if with_dictionaries else (None,):
        found = top_paths(model, PROMPT, target, length=4, branches=6, dictionaries=dictionaries)
        assert len(gaps(found.tree)) > 5
        assert max(gaps(found.tree)) < 10 * EXACT.get(name, ROUNDED) and found.residual < 10 * EXACT.get(name, ROUNDED)
        for path in found.paths:
            for edge in path.edges:
                kinds.add(edge.source.kind)
                if edge.product is None:
                    assert edge.source.kind in (*STEPS, "error")
                else:
                    assert edge.product == pytest.approx(edge.weight, rel=1e-10)
            shares = (
                np.cumprod([path.edges[0].weight, *(_follow(path))]) if len(path.edges) > 1 else [path.edges[0].weight]
            )
            assert shares[-1] == pytest.approx(path.value, rel=1e-4)
    assert {"neuron" if not with_dictionaries else "latent", "token", "head"} & kinds


def _follow(path) -> list[float]:
    """Each further edge as a share of the unit it enters: latents and neurons hold what they write with."""
    return [edge.weight / before.activation for before, edge in zip(path.edges, path.edges[1:], strict=False)]


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "gemma2"])
def test_path_edges_summed_over_heads_are_the_edges_of_the_graph(name):
    """All routes from every unit to one target, walked by hand through the children, against `trace` of the same prompt."""
    model, swap = tiny(name), [coder(0, 32, skip=True)]
    graph = trace(model, "The capital", dictionaries=swap, config=TraceConfig(max_nodes=2000, max_logits=1))
    parts = Parts(freeze(model, torch.tensor([graph.token_ids]), place_dictionaries(model, swap)), graph.token_ids)
    nodes = graph.nodes
    chosen = np.flatnonzero(nodes.where("neuron") & (nodes.layer == 2) & (nodes.pos == len(graph.token_ids) - 1))
    target = int(chosen[np.argmax(np.abs(nodes.value[chosen]))])
    reading, constant = parts.unit_reading(PathNode("neuron", 2, int(nodes.pos[target]), int(nodes.unit[target])))
    total = defaultdict(float)
    _walk(parts, reading, total)
    edges = graph.incoming(target)
    checked, most = 0, float(np.abs(edges.weight).max())
    for source, weight in zip(edges.source, edges.weight, strict=True):
        kind = ("token", "neuron", "latent", "error")
        if nodes.where(*kind)[source]:
            key = _key(nodes, int(source))
            close = 1e-11 if name in EXACT and edges.weight.dtype == np.float64 else 1e-5
            assert total[key] == pytest.approx(float(weight), rel=close, abs=close * most), key
            checked += 1
    assert checked > 20 and constant == pytest.approx(float(graph.constant[target]), rel=1e-9)
    assert sum(total.values()) + constant == pytest.approx(float(nodes.value[target]), rel=1e-5)


def _walk(parts: Parts, reading: Reading, total: dict) -> None:
    """Add every route's share to the unit or leaf it ends at."""
    for group in parts.children(reading):
        for i, value in enumerate(group.values.tolist()):
            node = group.node(i)
            if node.kind in STEPS:
                _walk(parts, parts.onward(node, reading), total)
            else:
                total[(node.kind, node.layer, node.pos, node.unit if node.kind in UNITS else -1)] += value


def _key(nodes, i: int) -> tuple:
    from circuits.graph.graph import KINDS

    kind = KINDS[nodes.kind[i]]
    return (kind, int(nodes.layer[i]), int(nodes.pos[i]), int(nodes.unit[i]) if kind in UNITS else -1)


def test_a_dropped_bias_is_noticed(monkeypatch):
    """The control: without its attention biases the sum does not close, and the residual says so."""
    model = tiny("gpt2")
    real = Parts._children
    monkeypatch.setattr(
        Parts, "_children", lambda self, r: (g for g in real(self, r) if g.node(0).kind != "bias" or not len(g.values))
    )
    found = top_paths(model, PROMPT, length=2, branches=4)
    assert found.residual > 1e-3 and max(gaps(found.tree)) > 1e-3


def test_a_wrong_map_of_heads_is_noticed(monkeypatch):
    """The control of the factors: with another head's matrices the products are not the edges."""
    import circuits.weights.factors as factors

    real = factors.pull_back
    monkeypatch.setattr(factors, "pull_back", lambda model, row, layer, head: real(model, row, layer, (head + 1) % 4))
    found = top_paths(tiny("llama"), PROMPT, length=3, branches=6)
    carried = [e for p in found.paths for e in p.edges if e.product is not None and e.attention]
    assert carried and all(abs(e.product - e.weight) > 1e-3 * abs(e.weight) for e in carried)


def test_an_sae_in_the_stream_ends_what_is_read_behind_it():
    model = tiny("gpt2")
    sae = SAE(32, 40, sparsifier=TopK(8), site="blocks.1.hook_resid_post", seed=3).double().eval().requires_grad_(False)
    found = top_paths(model, PROMPT, "L2N7", length=3, branches=20, dictionaries=[sae])
    assert found.residual < 1e-12 and max(gaps(found.tree)) < 1e-12
    direct = {p.nodes[1].kind for p in found.of_length(1)}
    assert "latent" in direct and "neuron" not in direct  # neurons of layers 0 and 1 lie behind the SAE
    behind = [p for p in found.paths if any(n.kind == "neuron" for n in p.nodes[1:])]
    assert behind and all("latent" in [n.kind for n in p.nodes] for p in behind)
    for path in found.paths:
        for edge in path.edges:
            assert edge.product is None or edge.product == pytest.approx(edge.weight, rel=1e-10)


@pytest.mark.parametrize("name", ["gpt2", "gemma2"])
def test_cross_layer_latents_write_to_each_layer_apart(name):
    model, d = tiny(name), 32
    clt = CrossLayerTranscoder(
        [d] * 3,
        20,
        [d] * 3,
        sparsifier=TopK(5),
        sites_in=[f"blocks.{i}.mlp.hook_in" for i in range(3)],
        sites_out=[f"blocks.{i}.mlp.hook_out" for i in range(3)],
    ).double()
    with torch.no_grad():
        for weight in clt.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)).double() * 0.3)
    found = top_paths(model, PROMPT, length=3, branches=25, dictionaries=[clt.eval().requires_grad_(False)])
    assert found.residual < 10 * EXACT.get(name, ROUNDED)
    later = [e for p in found.paths for e in p.edges if e.source.part.startswith("L")]
    assert later and all(e.product == pytest.approx(e.weight, rel=1e-10) for e in later)


def test_the_lookup_circuit_is_the_only_path():
    """token 3 -> neuron 3 -> logit 4, with the shares worked out by hand."""
    model = lookup_model(8, gain=3.0)
    found = top_paths(model, [1, 3], 4, length=3)
    names = [[(n.kind, n.unit) for n in p.nodes] for p in found.paths]
    assert names == [[("logit", 4), ("neuron", 3)], [("logit", 4), ("neuron", 3), ("token", 3)]]
    assert [p.value for p in found.paths] == pytest.approx([3 * (1 - 1 / 8)] * 2)
    out, into = found.paths[1].edges
    assert (out.invariant, out.activation, into.invariant) == (pytest.approx(3 * 7 / 8), 1.0, 1.0)
    assert found.tree.rest == pytest.approx(0.0, abs=1e-6) and found.paths[1].complete


def test_greedy_keeps_the_largest_of_each_length():
    model = tiny("llama")
    narrow = top_paths(model, PROMPT, length=2, branches=3)
    wide = top_paths(model, PROMPT, length=2, branches=3, width=500)
    for found in (narrow, wide):
        assert [sum(not p.complete for p in found.of_length(n)) for n in (1, 2)] == [3, 3]
    one = [abs(p.value) for p in wide.of_length(1)]
    assert one == sorted(one, reverse=True)
    parts = Parts(freeze(model, torch.tensor([narrow.token_ids])), narrow.token_ids)
    children = parts.children(Reading(12, len(narrow.tokens) - 1, _logit_reader(model, parts, narrow.tree.node.unit)))
    every = torch.cat([g.values for g in children]).abs().sort(descending=True).values[:3].tolist()
    assert one[:3] == pytest.approx(every, rel=1e-12)
    assert [p.value for p in narrow.of_length(1)] == [p.value for p in wide.of_length(1)]


def _logit_reader(model, parts: Parts, token: int) -> torch.Tensor:
    W_U = parts.frozen.W_U
    last = parts.frozen.length - 1
    return parts.frozen.ln_final.adjoint_at((W_U[:, token] - W_U.mean(1))[None], torch.tensor([last]))[0]


def test_masked_paths_hold_no_token_and_no_id():
    model = load_model("toy")
    found = top_paths(model, "The war lasted from 1714", " is", length=4, branches=10)
    said = json.dumps(found.masked([f"#{i}" for i in range(len(found.tokens))]).to_dict())
    assert " war" in json.dumps(found.to_dict()) and " is" in json.dumps(found.to_dict())
    for token in {t for t in found.tokens if len(t.strip()) > 2}:
        assert token.strip() not in said.replace("constant", "").replace("convention", ""), token


def test_a_position_can_be_named_and_later_tokens_change_nothing():
    model = tiny("qwen3")
    short = top_paths(model, PROMPT, "L2N9@2", length=3)
    longer = top_paths(model, PROMPT + " is one", "L2N9@2", length=3)
    assert [p.name(short.tokens) for p in short.paths] == [p.name(longer.tokens) for p in longer.paths]
    assert [p.value for p in short.paths] == pytest.approx([p.value for p in longer.paths], rel=1e-5)


def test_a_record_is_a_table_a_picture_and_json():
    found = top_paths(load_model("toy"), "The <b>capital</b>", length=3, branches=5)
    plain = json.loads(json.dumps(found.to_dict()))
    assert (
        plain["tree"]["followed"]
        and sum(not p["complete"] for p in plain["paths"]) == 15
        and plain["paths"][0]["edges"][0]["factors"] is not None
    )
    assert len(found.rows(4)) == 4 and found.edge_rows(found.paths[-1])[0]["edge"]
    assert "<b>" not in found._repr_html_()
    figure = found.figure()
    assert sum(len(t.x) for t in figure.data if t.mode == "markers") == len(branches(found.tree))
    assert "<b>" not in json.dumps(figure.to_dict(), default=str).replace("<br>", "")


@pytest.mark.parametrize(
    ("prompt", "target", "options", "words"),
    [
        ("", None, {}, "empty"),
        (PROMPT, "two whole words", {}, "one was wanted"),
        (PROMPT, 10**6, {}, "vocabulary"),
        (PROMPT, "L9N1", {}, "layers 0 to 3"),
        (PROMPT, "L1N1@99", {}, "no position 99"),
        (PROMPT, None, {"length": 0}, "from 1 to 1000"),
        (PROMPT, None, {"length": 1001}, "from 1 to 1000"),
        (PROMPT, "L1F1", {}, "no dictionary of layer 1"),
    ],
)
def test_bad_input_is_refused(prompt, target, options, words):
    with pytest.raises(BadInput, match=words):
        top_paths(load_model("toy"), prompt, target, **options)
