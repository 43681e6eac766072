"""A path is text or a Path, at every public door; anything else is a sentence."""

from pathlib import Path

import pytest

import circuits
import probe
from probe.artifacts.names import as_path
from probe.dictionaries import ReLU, Transcoder, save_dictionary
from probe.errors import BadInput


@pytest.fixture(scope="module")
def graph(toy):
    return circuits.trace(toy, "When Mary", config=circuits.TraceConfig(max_nodes=4))


def latents():
    return Transcoder(64, 8, sparsifier=ReLU(), site_in="mlp_in.1", site_out="mlp_out.1")


def tokens(toy):
    return probe.tokenize(toy, ["When Mary and John went to the store, John gave a drink to Mary."], context=16)


DOORS = {
    "graph.save": lambda m, g, where: g.save(where),
    "save_graph": lambda m, g, where: circuits.save_graph(g, where),
    "load_graph": lambda m, g, where: circuits.load_graph(where),
    "choose_nodes": lambda m, g, where: circuits.choose_nodes(where, pinned=[]),
    "write_neuronpedia": lambda m, g, where: circuits.write_neuronpedia(g, where),
    "read_neuronpedia": lambda m, g, where: circuits.read_neuronpedia(where),
    "write_unit_files": lambda m, g, where: circuits.write_unit_files(g, where, []),
    "load_patching": lambda m, g, where: circuits.load_patching(where),
    "open_study": lambda m, g, where: circuits.open_study(where),
    "harvest": lambda m, g, where: probe.harvest(m, tokens(m), ["resid_post.1"], where),
    "open_cache": lambda m, g, where: probe.open_cache(where),
    "save_dictionary": lambda m, g, where: save_dictionary(latents(), where, model=None),
    "load_dictionary": lambda m, g, where: probe.load_dictionary(where),
    "import_dictionary": lambda m, g, where: probe.import_dictionary(where),
    "export_dictionary": lambda m, g, where: probe.export_dictionary(latents(), where, "sparsify"),
    "open_features": lambda m, g, where: probe.open_features(where),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("wrong", [3, None, "", ["runs"]])
def test_what_is_no_path_is_answered_in_a_sentence(toy, graph, home, door, wrong):
    with pytest.raises(
        BadInput, match=r"[Aa] path (or a name )?(or a mapping )?was wanted|cannot name an artifact|holds a list"
    ):
        DOORS[door](toy, graph, wrong)


def test_text_is_a_path(toy, graph, tmp_path, home):
    where = str(tmp_path / "g")
    assert graph.save(where) == Path(where)
    assert circuits.choose_nodes(where, pinned=[]).prompt == circuits.load_graph(where).prompt == "When Mary"
    file = circuits.write_neuronpedia(graph, str(tmp_path / "f.json"))
    assert circuits.read_neuronpedia(str(file)).prompt == graph.prompt
    assert circuits.write_unit_files(graph, str(tmp_path / "units"), []).written == 0
    probe.harvest(toy, tokens(toy), "resid_post.*", str(tmp_path / "c"))
    cache = probe.open_cache(str(tmp_path / "c"))
    assert cache.sites == tuple(f"blocks.{i}.hook_resid_post" for i in range(4))
    for every in ("resid_post.*", ["resid_post"], ["resid_post.0", "resid_post.1", "resid_post.2", "resid_post.3"]):
        batch = next(iter(cache.batches(every, 4)))
        assert [x.shape for x in batch.activations] == [(4, 64)] * 4
    with pytest.raises(BadInput, match="exists in every layer"):
        cache.batches(["mlp_in"], 4)


def test_the_home_folder_is_written_short(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("~/g") == tmp_path / "g"
