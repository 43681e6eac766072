"""Graphs on disk: equal when read again, older ones still open, hostile ones end in a sentence. Unit files beside them."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_kind import every_kind, exported, same
from harvests import token_set
from safetensors.numpy import load_file, save_file

from app.cli import run
from circuits.exchange.neuronpedia_ids import Names, cantor
from circuits.exchange.read_neuronpedia import read_neuronpedia
from circuits.exchange.unit_files import unit_file, write_unit_files
from circuits.graph.graph import CircuitGraph, Nodes
from circuits.graph.store import GRAPH, TEXT, choose_nodes, load_graph, save_graph
from probe.activations.harvest import harvest
from probe.artifacts.digest import sha256
from probe.artifacts.folder import place
from probe.artifacts.manifest import ModelStamp, check_files, read_manifest
from probe.errors import BadInput, OpenworkError, Unavailable
from probe.features import FeatureConfig, FeatureTable, build_features


def rewrite(folder: Path, text: Any = None, arrays: dict[str, np.ndarray] | None = None, drop: str = "") -> Path:
    """Change what a stored graph holds and mend its checksums, as somebody who means harm would."""
    if text is not None:
        (folder / TEXT).write_text(json.dumps(text))
    if arrays is not None:
        save_file({**load_file(folder / GRAPH), **arrays}, folder / GRAPH)
    if drop:
        kept = {k: v for k, v in load_file(folder / GRAPH).items() if k != drop}
        save_file(kept, folder / GRAPH)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("digest", None)
    manifest["files"] = {name: sha256(folder / name) for name in (GRAPH, TEXT)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return save_graph(every_kind(), tmp_path / "g", model=ModelStamp("toy", "w", "t"))


def text_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / TEXT).read_text())


def test_every_kind_is_stored_and_read_again(stored):
    same(every_kind(), load_graph(stored))
    assert load_graph(stored).facts == every_kind().facts


def test_unknown_numbers_are_null_on_disk_and_nan_again(tmp_path):
    graph = read_neuronpedia(exported(node_threshold=0.8, edge_threshold=0.9))
    folder = save_graph(graph, tmp_path / "g")
    assert text_of(folder)["residual"] is None and "NaN" not in (folder / "manifest.json").read_text()
    same(graph, load_graph(folder))
    assert np.isnan(load_graph(folder).residual_relative)


def test_graphs_of_earlier_versions_open(stored):
    older = {k: v for k, v in text_of(stored).items() if k not in ("supernodes", "pinned")}
    graph = load_graph(rewrite(stored, {**older, "a field of a later version": 1}))
    assert graph.supernodes == {} and graph.pinned == []
    same(replace(every_kind(), supernodes={}, pinned=[]), graph)


def test_choosing_nodes_leaves_the_rest_as_it_was(stored):
    before, edges = read_manifest(stored), (stored / GRAPH).read_bytes()
    graph = choose_nodes(stored, pinned=[14], supernodes={"new": [15, 16]})
    after = read_manifest(stored)
    same(replace(every_kind(), pinned=[14], supernodes={"new": [15, 16]}), load_graph(stored))
    assert graph.pinned == [14] and choose_nodes(stored, pinned=[]).supernodes == {"new": [15, 16]}
    assert (stored / GRAPH).read_bytes() == edges and check_files(stored, read_manifest(stored)) == []
    assert (after.model, after.command, after.facts) == (before.model, before.command, before.facts)
    with pytest.raises(BadInput, match="no node"):
        choose_nodes(stored, pinned=[10**6])
    assert load_graph(stored).pinned == []


HOSTILE_TEXT = [
    ({"tokens": "one"}, "no list"),
    ({"tokens": [1, 2, 3, 4]}, "no text"),
    ({"token_ids": [1]}, "token_ids"),
    ({"token_ids": [1, 2, 3, 4.5]}, "whole number"),
    ({"unit_tokens": []}, "unit_tokens"),
    ({"n_layers": 10**9}, "n_layers"),
    ({"n_layers": "3"}, "n_layers"),
    ({"n_layers": 1}, "layer"),
    ({"residual": "small"}, "residual"),
    ({"pinned": [-1]}, "no node"),
    ({"pinned": {"a": 1}}, "pinned"),
    ({"supernodes": {"a": [99]}}, "no node"),
    ({"supernodes": [1]}, "supernodes"),
    ({"dictionaries": {"1": 2}}, "dictionaries"),
    ({"facts": []}, "facts"),
    ({"model": None}, "model"),
    ({"prompt": 5}, "prompt"),
]


@pytest.mark.parametrize(("changes", "words"), HOSTILE_TEXT)
def test_hostile_texts_are_refused(stored, changes, words):
    with pytest.raises(BadInput, match=words):
        load_graph(rewrite(stored, {**text_of(stored), **changes}))


def hostile_arrays(graph: CircuitGraph) -> list[tuple[dict[str, np.ndarray], str]]:
    n, e = graph.nodes, graph.edges
    huge = np.where(np.arange(len(n)) == 3, 2**31 - 1, n.pos).astype(np.int32)
    up = np.where(np.arange(len(e)) == 0, e.target, e.source).astype(np.int32)
    return [
        ({"nodes.kind": np.full(len(n), 99, np.int8)}, "kind"),
        ({"nodes.pos": huge}, "pos"),
        ({"nodes.pos": n.pos.astype(np.float32)}, "type float32"),
        ({"nodes.value": n.value[:-1]}, "shape"),
        ({"nodes.value": n.value[:, None]}, "shape"),
        ({"edges.weight": e.weight[:-1]}, "shape"),
        ({"edges.weight": np.full(len(e), np.inf, np.float32)}, "not finite"),
        ({"edges.source": up}, "upwards"),
        ({"edges.target": np.full(len(e), 10**6, np.int32)}, "upwards"),
        ({"edges.target": np.full(len(e), 1, np.int32), "edges.source": np.zeros(len(e), np.int32)}, "leaf"),
        ({"probability": np.full(len(n), np.nan)}, "probabilities"),
        ({"constant": np.full(len(n), np.inf)}, "infinite"),
    ]


@pytest.mark.parametrize("case", range(12))
def test_hostile_arrays_are_refused(stored, case):
    arrays, words = hostile_arrays(every_kind())[case]
    with pytest.raises(BadInput, match=words):
        load_graph(rewrite(stored, arrays=arrays))


def test_files_that_are_not_there_or_not_whole_are_named(stored):
    with pytest.raises(BadInput, match="lacks nodes.pos"):
        load_graph(rewrite(stored, drop="nodes.pos"))
    with pytest.raises(BadInput, match="mapping was wanted"):
        load_graph(rewrite(stored, [1]))
    with pytest.raises(BadInput, match="lacks prompt"):
        load_graph(rewrite(stored, {}))
    (stored / TEXT).write_text("{")
    with pytest.raises(Unavailable, match="damaged"):
        load_graph(stored)
    manifest = json.loads((stored / "manifest.json").read_text())
    (stored / "manifest.json").write_text(json.dumps({**manifest, "files": {}, "digest": None}))
    with pytest.raises(Unavailable, match="missing or damaged"):
        load_graph(stored)


@pytest.mark.parametrize(
    "changes",
    [{"created": None}, {"facts": None}, {"config": []}, {"schema": "1"}, {"files": 3}, {"model": [1]}, {"sites": [1]}],
)
def test_a_manifest_of_wrong_types_is_damaged_and_hides_no_other(changes, home):
    from app.library.artifacts import library
    from app.pages.circuit_list import page as circuits

    for name in ("good", "bad"):
        save_graph(every_kind(), place("graph", name))
    path = place("graph", "bad") / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "digest": None, **changes}))
    with pytest.raises(Unavailable, match="damaged"):
        load_graph(place("graph", "bad"))
    assert [name for name, _ in library().damaged] == ["graphs/bad"] and "good" in str(circuits.layout({}))


def test_torn_files_end_in_a_sentence(stored):
    """Cut and overwritten at random, with checksums mended: never anything but our own errors."""
    rng, whole = random.Random(0), {name: (stored / name).read_bytes() for name in (GRAPH, TEXT)}
    refused = 0
    for _ in range(60):
        name = rng.choice(list(whole))
        data = bytearray(whole[name])
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        for other, content in whole.items():
            (stored / other).write_bytes(content)
        (stored / name).write_bytes(data[: rng.randint(0, len(data))] if rng.random() < 0.4 else data)
        try:
            load_graph(rewrite(stored)).to_dict()
        except OpenworkError as error:
            refused += len(str(error)) > 20
    assert refused > 20


# -- unit files ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(toy, tmp_path_factory) -> FeatureTable:
    """The neurons of layer 2 of the toy model."""
    folder = tmp_path_factory.mktemp("units")
    cache = harvest(toy, token_set(40), ["mlp_post.2"], folder / "cache", dtype="float32", shard_tokens=72)
    small = FeatureConfig(top=5, pool=10, bins=2, per_bin=2, window=6, before=4, tokens=4, neighbours=3, min_joint=2)
    return build_features(toy, 2, cache, folder / "neurons", replace(small, min_count=2))


def two_neurons() -> CircuitGraph:
    """The graph of every kind with its neurons in layers 1 and 2: layer 1 is in no table."""
    graph = every_kind()
    nodes = {name: getattr(graph.nodes, name).copy() for name in graph.nodes.__dataclass_fields__}
    neurons = np.flatnonzero(graph.nodes.where("neuron"))
    nodes["layer"][neurons], nodes["unit"][neurons] = [1, 2], [5, 7]
    return replace(graph, nodes=Nodes(**nodes), dictionaries={})


def test_unit_files_hold_what_the_table_says(tmp_path, table):
    graph = two_neurons()
    found = write_unit_files(graph, tmp_path, [table])
    at = int(np.flatnonzero(graph.nodes.where("neuron"))[1])
    index = cantor(2, int(Names(graph).number[at]))
    assert found.folder == tmp_path / "features" / "toy" and found.written == 1
    assert [p.name for p in found.folder.iterdir()] == [f"{index}.json"]
    assert {"L1N5", "L1F5", "L2F5"} == set(found.unknown)
    value, unit = json.loads((found.folder / f"{index}.json").read_text()), table.unit(7)
    assert value == unit_file(unit, index) and value["index"] == index
    features = {n["feature"] for n in exported(graph)["nodes"] if n["openwork"]["kind"] == "neuron"}
    assert index in features  # the graph's file points at it
    first = value["examples_quantiles"][0]
    assert first["quantile_name"] == "Top Activations" and len(first["examples"]) == len(unit.top)
    strongest = first["examples"][0]
    assert strongest["tokens_acts_list"][strongest["train_token_ind"]] == pytest.approx(unit.top[0].value, rel=1e-6)
    assert len(strongest["tokens"]) == len(strongest["tokens_acts_list"])
    assert value["act_max"] == pytest.approx(unit.max) and value["top_logits"] == [t.token for t in unit.promoted]


def test_the_command_writes_unit_files_and_groups_by_shared_tokens(home, table, capsys):
    save_graph(two_neurons(), place("graph", "g"))
    where = ["--features", str(table.folder)]
    export = ["graph", "export", "g", "--to", str(home / "g.json"), "--units", str(home / "site"), "--whole", "--json"]
    assert run([*export, *where]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["units"]["written"] == 1 and len(list((home / "site/features/toy").iterdir())) == 1
    assert run(["graph", "supernodes", "g", "--suggest", "--json", *where]) == 0
    assert "groups" in json.loads(capsys.readouterr().out)


def test_bins_are_named_from_strong_to_weak(table):
    unit = next(
        table.unit(u) for u in range(50) if {"bin 1 of 2", "bin 2 of 2"} <= {e.group for e in table.examples(u)}
    )
    quantiles = {q["quantile_name"]: q["examples"] for q in unit_file(unit, 0)["examples_quantiles"]}
    peak = {k: max(e["tokens_acts_list"][e["train_token_ind"]] for e in v) for k, v in quantiles.items()}
    assert peak["Subsample Interval 0"] > peak["Subsample Interval 1"]


def test_unit_files_go_nowhere_else(tmp_path, table):
    graph = replace(two_neurons(), model="../../../outside/<b>")
    found = write_unit_files(graph, tmp_path / "here", [table])
    assert found.folder.parent == tmp_path / "here" / "features" and found.written == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="could not be written"):
        write_unit_files(graph, tmp_path / "file", [table])
    # the table of another layer or kind answers for nothing
    assert write_unit_files(every_kind(), tmp_path / "none", [table]).written == 0
