"""Exchanged graph files: round trips are exact, others' files are read, hostile ones end in a sentence."""

import json
import os
import random
import time
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_kind import LAYOUT, every_kind, exported, same
from foreign_graphs import attribute, circuit_tracer, file, link, logits, neuronpedia, node, unit

from circuits.exchange.neuronpedia_ids import Names, cantor, uncantor
from circuits.exchange.read_neuronpedia import Limits, read_neuronpedia
from circuits.exchange.write_neuronpedia import to_neuronpedia, write_neuronpedia
from circuits.graph.checks import conservation
from circuits.graph.graph import KINDS, CircuitGraph
from probe.errors import BadInput, OpenworkError, Unavailable


def schema() -> dict[str, Any]:
    shared = Path(os.environ.get("OPENWORK_SHARED", Path(__file__).parents[3] / "shared"))
    path = shared / "fixtures/neuronpedia-graph-schema.json"
    if not path.is_file():
        pytest.skip("the schema of Neuronpedia's graph files is not at hand (set OPENWORK_SHARED)")
    return json.loads(path.read_text())


def found(graph: CircuitGraph, name: str) -> int:
    (at,) = graph.find(name)
    return at


def edge(graph: CircuitGraph, source: int, target: int) -> float:
    e = graph.edges
    (row,) = np.flatnonzero((e.source == source) & (e.target == target))
    return float(e.weight[row])


# -- our own files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_unpruned_file_read_again_is_the_same_graph(tmp_path, dtype):
    graph = every_kind(dtype=dtype)
    path = write_neuronpedia(graph, tmp_path / "g.json", node_threshold=1.0, edge_threshold=1.0)
    again = read_neuronpedia(path)
    same(graph, again)
    assert again.facts["seconds"] == 0.5 and again.facts["imported"]["links_left_out"] == {}


@pytest.mark.parametrize("basis", ["neurons", "components"])
def test_a_traced_graph_survives_the_exchange(toy, basis):
    """With a transcoder in one layer, an SAE of the stream in another and heads, and with heads and whole MLPs alone."""
    from circuits.attribution.trace import TraceConfig, trace
    from probe.dictionaries import SAE, TopK, Transcoder

    learned = [
        Transcoder(64, 16, sparsifier=TopK(4), site_in="mlp_in.1", site_out="mlp_out.1"),
        SAE(64, 16, sparsifier=TopK(4), site="resid_post.2"),
    ]
    used = [d.eval().requires_grad_(False) for d in learned] if basis == "neurons" else []
    config = (
        TraceConfig(max_nodes=60, basis="components")
        if basis == "components"
        else TraceConfig(max_nodes=60, heads=True)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # untrained dictionaries reconstruct badly, and the trace says so
        graph = trace(toy, "one two three", dictionaries=used, config=config)
    kinds = {"neurons": {"neuron", "latent", "head", "error"}, "components": {"head", "mlp"}}[basis]
    assert kinds <= graph.report()["nodes_by_kind"].keys()
    value = exported(graph)
    assert len({n["node_id"] for n in value["nodes"]}) == len(graph.nodes)
    same(graph, read_neuronpedia(value))


def test_thresholds_of_one_write_every_nonzero_edge_and_no_other():
    graph = every_kind()
    graph.edges.weight[3] = 0.0
    value = exported(graph)
    assert len(value["nodes"]) == len(graph.nodes) and len(value["links"]) == len(graph.edges) - 1
    assert all(x["weight"] != 0 and x["source"] != x["target"] for x in value["links"])


@pytest.mark.parametrize("share", [1.0, 0.8])
def test_the_schema_accepts_every_kind(share):
    import jsonschema

    jsonschema.validate(exported(node_threshold=share), schema())


def test_every_node_has_an_id_a_number_and_a_label_of_its_own():
    graph = every_kind()
    names, value = Names(graph), exported(graph)
    assert len(set(names.ids)) == len(graph.nodes)
    units = [n for n in value["nodes"] if n["feature_type"] == "cross layer transcoder"]
    numbers = {n["node_id"].rsplit("_", 1)[0]: n["feature"] for n in units}
    assert len(set(numbers.values())) == len(numbers) and max(numbers.values()) < 2**53
    assert all(f"{uncantor(f)[0]}_{uncantor(f)[1]}" == name for name, f in numbers.items())
    labels = {n["openwork"]["kind"]: n["clerp"] for n in value["nodes"]}
    assert all(labels.values()) and labels["head"] == "L1H5 (attention head)" and "mine" in labels["latent"]
    roots = [n for n in value["nodes"] if n["feature_type"] == "logit"]
    assert len(roots) == 3 and all(float(n["clerp"].split("(p=")[1][:3]) > 0 for n in roots)


def test_units_keep_the_numbers_others_give_them():
    """A latent in the place of an MLP is `{layer}_{unit}_{pos}` everywhere; the same latent at two positions is one feature."""
    graph = every_kind()
    ids = Names(graph).ids
    assert ids[LAYOUT.index(("latent", 2, 3, 5))] == "2_5_3" and ids[LAYOUT.index(("latent", 2, 2, 5))] == "2_5_2"
    assert ids[LAYOUT.index(("neuron", 1, 3, 5))] == "1_5_3" != ids[LAYOUT.index(("latent", 1, 3, 5))]
    assert ids[LAYOUT.index(("error", 1, 3, -1))] == "1_-1_3"


def test_labels_pins_and_supernodes_travel():
    graph = every_kind()
    value = exported(graph, labels={(0, 5): "fires at one"}, node_threshold=0.5, edge_threshold=0.5)
    by_id = {n["node_id"]: n for n in value["nodes"]}
    ids = Names(graph).ids
    assert by_id[ids[14]]["clerp"] == "fires at one"
    assert value["qParams"]["pinnedIds"] == [ids[16], ids[23]]
    assert value["qParams"]["supernodes"] == [["a group", ids[14], ids[15]], ["</script>", ids[17]]]
    again = read_neuronpedia(value)
    assert [Names(again).ids[i] for i in again.supernodes["a group"]] == [ids[14], ids[15]]
    assert [Names(again).ids[i] for i in again.pinned] == [ids[16], ids[23]]
    assert again.unit_tokens[again.supernodes["a group"][0]] == "fires at one"


def test_a_pruned_file_does_not_claim_to_conserve():
    again = read_neuronpedia(exported(node_threshold=0.8, edge_threshold=0.9))
    assert np.isnan(again.residual) and "pruned" in again.convention["conservation_residual"]
    assert again.report()["conservation_residual"] is None


def test_a_claimed_residual_is_checked():
    value = exported()
    value["links"][5]["weight"] += 1.0
    again = read_neuronpedia(value)
    assert again.residual == pytest.approx(1.0, rel=1e-6) and conservation(again)[0] == again.residual


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    graph = every_kind()
    graph.edges.weight[0] = np.inf
    with pytest.raises(BadInput, match="not finite|infinite weight"), np.errstate(invalid="ignore"):
        to_neuronpedia(graph, node_threshold=1.0, edge_threshold=1.0)
    with pytest.raises(BadInput, match="between 0 and 1"):
        to_neuronpedia(every_kind(), node_threshold=1.5)
    with pytest.raises(Unavailable, match="could not be written"):
        write_neuronpedia(every_kind(), tmp_path)


# -- files of others -------------------------------------------------------------------------------------------------


def test_a_circuit_tracer_file_is_read():
    value = circuit_tracer()
    graph = read_neuronpedia(value)
    assert graph.n_layers == 2 and graph.model == "some-model" and graph.token_ids == [50, 51]
    assert [KINDS[k] for k in graph.nodes.kind] == [
        "token",
        "token",
        "error",
        "latent",
        "latent",
        "latent",
        "logit",
        "logit",
    ]
    label = found(graph, "L1F9@1")
    assert graph.unit_tokens[label] == "my label" and graph.nodes.activation[label] == 2.0
    top, second = (int(i) for i in np.flatnonzero(graph.roots))
    assert graph.probability[[top, second]].tolist() == [0.6, 0.3] and graph.unit_tokens[top] == " two"
    assert edge(graph, label, top) == 2.0 and edge(graph, found(graph, "L0F40@1"), second) == 4.0
    assert graph.pinned == [label] and graph.supernodes == {"twos": [found(graph, "L0F1@1"), label]}
    assert graph.facts["imported"]["choices_left_out"] == {"pinned nodes": 1, "members of supernodes": 1}
    assert np.isnan(graph.residual) and np.isnan(graph.constant[label]) and "unknown" in str(graph.convention)
    # by hand: logit two reads 0.25, 2, -0.75 of sum 3; logit three 4 and 0.125
    assert graph.influence[label] == pytest.approx(0.6 * 2 / 3)
    assert graph.influence[graph.nodes.where("error")].sum() == pytest.approx(0.6 * 0.25 + 0.3 * 0.125 / 4.125)


def test_ids_that_an_error_shares_with_a_unit_are_told_apart():
    """The same graph comes from the file with colliding ids as from the one without."""
    new, old = read_neuronpedia(circuit_tracer("new")), read_neuronpedia(circuit_tracer("old"))
    ids = [n["node_id"] for n in circuit_tracer("old")["nodes"]]
    assert len(set(ids)) < len(ids)  # the control: there is something to repair
    same(new, old)


def test_what_cannot_be_told_apart_is_refused():
    value = circuit_tracer("old")
    value["links"] = [x for x in value["links"] if x["target"] != "3_8_1"] + [link("0_1_1", "3_8_1", 1.0)]
    with pytest.raises(BadInput, match="nothing says which is meant"):
        read_neuronpedia(value)
    two = circuit_tracer()
    two["nodes"].append(unit(1, 9, 1))
    with pytest.raises(BadInput, match="2 nodes have the id '1_9_1'"):
        read_neuronpedia(two)


def test_an_attribute_file_is_read():
    graph = read_neuronpedia(attribute())
    assert graph.n_layers == 2 and graph.token_ids == [-1, -1]
    assert edge(graph, found(graph, "L0F5@1"), found(graph, "L1F6@1")) == 2.0
    assert graph.facts["imported"]["links_left_out"] == {"weight 0": 1}
    assert graph.nodes.where("error").sum() == 1 and graph.roots.sum() == 1


def test_the_schemas_own_examples_are_read():
    graph = read_neuronpedia(neuronpedia())
    assert graph.nodes.unit[found(graph, "L0F253@1")] == 253
    assert graph.report()["nodes_by_kind"] == {"token": 1, "bias": 1, "latent": 1, "rest": 1, "logit": 1}
    assert graph.probability.sum() == 1.0  # no probability in the file: equal weights
    assert graph.scores.replacement == pytest.approx(0.5)  # bias 2/6 and token 1/6 of 1


def test_what_was_read_can_be_written_read_and_drawn():
    import jsonschema

    for value in (circuit_tracer(), attribute(), neuronpedia()):
        graph = read_neuronpedia(value)
        again = exported(graph)
        jsonschema.validate(again, schema())
        same(graph, read_neuronpedia(again))
        assert graph.figure().data and graph._repr_html_() and graph.to_dict()


def test_links_that_contradict_layers_are_sorted_and_circles_refused():
    back = circuit_tracer()
    back["links"][2] = link("1_9_1", "0_1_1", 3.0)
    graph = read_neuronpedia(back)
    assert (graph.edges.source < graph.edges.target).all()
    back["links"].append(link("0_1_1", "1_9_1", 1.0))
    with pytest.raises(BadInput, match="circles through 2 nodes"):
        read_neuronpedia(back)


def test_links_that_carry_nothing_are_dropped_and_counted():
    value = circuit_tracer()
    more = [link("0_40_1", "0_40_1", 1.0), link("0_40_1", "1_9_1", 0.0), link("0_1_1", "E_50_0", 1.0)]
    plain_, counted = read_neuronpedia(circuit_tracer()), read_neuronpedia({**value, "links": [*value["links"], *more]})
    same(plain_, counted)
    assert counted.facts["imported"]["links_left_out"] == {
        "weight 0": 1,
        "to itself": 1,
        "into a leaf or out of a logit": 1,
    }


def test_latents_are_numbered_by_their_id_or_their_pair():
    """`feature` alone is a Cantor pair where it fits the layer, else the index itself; large pairs are exact."""
    pair = cantor(1, 10**9)
    nodes = [
        node("a", "cross layer transcoder", "1", 1, pair),
        node("b", "cross layer transcoder", "0", 1, 12),
        *logits(),
    ]
    graph = read_neuronpedia(file(nodes, [link("a", "3_7_1", 1.0), link("b", "3_7_1", 1.0)]))
    assert sorted(graph.nodes.unit[graph.nodes.where("latent")]) == [12, 10**9]


# -- hostile files ---------------------------------------------------------------------------------------------------


def broken(**changes: Any) -> dict[str, Any]:
    return {**circuit_tracer(), **changes}


def with_node(**fields: Any) -> dict[str, Any]:
    value = circuit_tracer()
    value["nodes"][2].update(fields)
    return value


def with_meta(**fields: Any) -> dict[str, Any]:
    value = circuit_tracer()
    value["metadata"].update(fields)
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (broken(nodes=None), "nodes is missing"),
        (broken(nodes=[]), "no logit"),
        (broken(metadata=[]), "no metadata"),
        (broken(links=[link("0_1_1", "nowhere", 1.0)]), "no node"),
        (broken(links=[link("0_1_1", "1_9_1", float("nan"))]), "no finite"),
        (broken(links=[link("0_1_1", "1_9_1", 10**400)]), "no finite"),
        (broken(links=[link("0_1_1", "1_9_1", 1e300)]), "cannot be held"),
        (broken(links=[link("0_1_1", "1_9_1", "1")]), "no finite"),
        (broken(links=[link("0_1_1", "1_9_1", True)]), "no finite"),
        (broken(links=[{"source": "0_1_1", "target": "1_9_1"}]), "no weight"),
        (broken(links=[link("0_1_1", "1_9_1", 1.0)] * 2), "repeat another"),
        (broken(links=["x"]), "mapping was wanted"),
        (broken(nodes=[unit(0, 1, 1)], links=[]), "no logit"),
        (with_node(ctx_idx=2), "ctx_idx"),
        (with_node(ctx_idx=-1), "ctx_idx"),
        (with_node(ctx_idx="1"), "whole number"),
        (with_node(layer="9" * 5), "layer"),
        (with_node(layer={"a": 1}), "layer"),
        (with_node(node_id=7), "text was wanted"),
        (with_node(feature=1.5), "whole number"),
        (with_node(node_id="z", feature=2**62), "feature"),
        (with_node(activation="high"), "activation"),
        (with_node(clerp=["x"]), "text was wanted"),
        (with_node(openwork={"kind": "gremlin"}), "gremlin"),
        (with_meta(prompt_tokens="one"), "prompt_tokens"),
        (with_meta(prompt_tokens=[1, 2]), "text was wanted"),
        (with_meta(prompt=None), "text was wanted"),
        (with_meta(openwork={"format": 99}), "Upgrade"),
        (with_meta(openwork={"format": 1, "n_layers": 10**9}), "n_layers"),
        (with_meta(openwork={"format": 1, "n_layers": 1}), "n_layers"),
        (with_meta(openwork={"format": 1, "token_ids": [1, "a"]}), "whole number"),
    ],
)
def test_a_hostile_file_is_refused_with_a_sentence(value, words):
    with pytest.raises(BadInput, match=words):
        read_neuronpedia(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"metadata": NaN}', "NaN"),
        ('{"metadata": ' + "1" * 5000 + "}", "not JSON"),
        ("[1, 2]", "mapping"),
        ("\x00\x01", "not JSON"),
    ],
)
def test_a_file_that_is_no_json_is_refused(tmp_path, text, words):
    path = tmp_path / "g.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=words):
        read_neuronpedia(path)


def test_sizes_over_a_limit_are_refused_naming_it(tmp_path):
    path = tmp_path / "g.json"
    path.write_text(json.dumps(circuit_tracer()))
    for limits, words in (
        (Limits(bytes=1000), "up to 1,000 are read. Prune the graph"),
        (Limits(nodes=7), "8 nodes; up to 7"),
        (Limits(links=3), "9 links; up to 3"),
        (Limits(tokens=1), "2 prompt_tokens; up to 1"),
    ):
        with pytest.raises(BadInput, match=words):
            read_neuronpedia(path, limits=limits)
    path.write_bytes(b"\xff\xfe" + path.read_bytes())
    with pytest.raises(BadInput, match="not JSON"):
        read_neuronpedia(path)
    for nowhere, words in (
        (tmp_path, "is a folder; a file was wanted"),
        (tmp_path / "none.json", "cannot be read .No such file"),
        (Path("/dev/zero"), "is a device or a socket; a file was wanted"),
    ):
        with pytest.raises(BadInput, match=words):
            read_neuronpedia(nowhere)


def test_hostile_texts_are_kept_as_data_and_escaped_where_shown():
    nasty = [
        "<img src=x onerror=alert(1)>",
        "</script><script>alert(1)</script>",
        "\x1b[31m\u202e\ud800",
        "x" * 100_000,
    ]
    value = with_meta(prompt=nasty[1], prompt_tokens=nasty[:2], scan=nasty[0], slug=nasty[2])
    value["nodes"][2]["clerp"], value["nodes"][-1]["clerp"] = nasty[3], nasty[1]
    value["qParams"]["supernodes"] = [[nasty[0], "1_9_1"], [nasty[0], "0_1_1"]]
    graph = read_neuronpedia(json.loads(json.dumps(value)))
    assert graph.tokens[0] == nasty[0] and max(map(len, graph.unit_tokens)) == 1000
    assert list(graph.supernodes) == [nasty[0], f"{nasty[0]} (2)"]
    json.dumps(exported(graph), ensure_ascii=False).encode("utf8")  # no half characters are left
    for shown in (graph._repr_html_(), graph.figure().to_json()):
        assert "<img" not in shown and "<script" not in shown


def test_facts_of_a_file_cannot_pose_as_measured():
    value = exported()
    value["metadata"]["openwork"]["facts"] = {
        "n_nodes": "many",
        "conservation_residual": 0,
        "deep": [[[[[[[[[[1]]]]]]]]]],
    }
    report = read_neuronpedia(value).report()
    assert report["n_nodes"] == len(LAYOUT) and json.dumps(report, allow_nan=False)


HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    3,
    2**70,
    1e308,
    -0.0,
    "",
    "E",
    "0_1_1",
    "\ud800",
    [],
    [[]],
    {},
    {"kind": 1},
    "x" * 50,
)


def mutated(value: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A file with a few places changed, removed, doubled or swapped."""
    value = deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        spot: Any = value
        while True:
            keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(spot[key], dict | list) and rng.random() < 0.85:
                spot = spot[key]
                continue
            action = rng.randrange(4)
            if action == 0:
                del spot[key]
            elif action == 1 and isinstance(spot, list):
                spot.append(deepcopy(spot[key]))
            elif action == 2:
                spot[key] = deepcopy(spot[rng.choice(keys)])
            else:
                spot[key] = rng.choice(HOSTILE)
            break
    return value


def test_mutated_files_end_in_a_graph_or_a_sentence():
    rng, outcomes = random.Random(0), {"read": 0, "refused": 0}
    files = [circuit_tracer(), circuit_tracer("old"), attribute(), neuronpedia(), exported()]
    for i in range(300):
        try:
            graph = read_neuronpedia(mutated(files[i % len(files)], rng))
        except OpenworkError as error:
            outcomes["refused"] += len(str(error)) > 20
            continue
        json.dumps(graph.to_dict(), allow_nan=False).encode("utf8")
        assert np.isfinite(graph.influence).all()
        outcomes["read"] += 1
    assert min(outcomes.values()) > 30, outcomes


def test_a_large_file_is_read_in_reasonable_time(tmp_path):
    """2,000 units in 20 layers, 100,000 links: the size people exchange."""
    rng = np.random.default_rng(0)
    units = [unit(layer, f, 1) for layer in range(20) for f in range(100)]
    ends = np.sort(rng.choice(2000, (110_000, 2)), axis=1)
    pairs = dict.fromkeys((int(a), int(b)) for a, b in ends if a // 100 < b // 100)
    nodes = [*units, {**logits()[0], "node_id": "21_7_1", "layer": "21"}]
    links = [link(units[a]["node_id"], units[b]["node_id"], 1.0) for a, b in pairs]
    links += [link(u["node_id"], "21_7_1", 0.5) for u in units]
    path = tmp_path / "g.json"
    path.write_text(json.dumps(file(nodes, links)))
    start = time.perf_counter()
    graph = read_neuronpedia(path)
    assert len(graph.edges) == len(links) and time.perf_counter() - start < 20
