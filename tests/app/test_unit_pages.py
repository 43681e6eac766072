"""What the pages of units are told, without a browser: pages of 100,000 units in time, what an address names, snippets that run
as printed, weights and own text and edits against independent computations."""

import json
import shlex
import shutil
import time

import numpy as np
import pytest
import torch
from big_table import big_table
from browsing import SLACK
from records import HOSTILE, small_graph, store_graph

from app.components.appearing import appearing
from app.library import tables, units
from app.pages.unit import page as unit
from app.pages.unit_browser import browser as unit_browser
from app.pages.unit_browser import callbacks as browser
from app.pages.unit_browser.page import layer_rows, neuron_address
from app.pages.unit_browser.page import layout as units_layout
from app.pages.unit_browser.query import asked_of
from circuits.comparison.appearances import appearances_of
from circuits.graph.store import save_graph
from probe.artifacts.folder import place
from probe.artifacts.manifest import ModelStamp
from probe.dictionaries import SAE, Crosscoder, CrossLayerTranscoder, TopK, load_dictionary, save_dictionary
from probe.errors import BadInput, OpenworkError, Unavailable
from probe.features import set_label, unit_weights
from probe.features.by_weights import unit_by_weights
from probe.features.example_colours import coloured_examples
from probe.features.on_text import on_text
from probe.interventions.edited_run import edited_run
from probe.interventions.running import intervene
from probe.interventions.unit_edits import UnitEdit, edit_units
from probe.interventions.values import Steer
from probe.methods.call import Call
from probe.model.load import load_model, stamp
from probe.model.unit_names import UnitName

PAGE = 0.3  # seconds a page of the browser may take on the server


@pytest.fixture(scope="module")
def toy():
    return load_model("toy")


def learned(toy, name: str = "learned") -> SAE:
    """A stored dictionary of the toy."""
    made = SAE(64, 24, sparsifier=TopK(3), site="blocks.1.hook_resid_post").eval()
    with torch.no_grad():
        made.W_dec.normal_()
        made.W_enc.copy_(made.W_dec.T)
    save_dictionary(made, place("dictionary", name), model=stamp(toy))
    return load_dictionary(name, toy)


def test_pages_of_a_hundred_thousand_units_are_quick(home) -> None:
    big_table("big")
    tables.open_table("big")
    asks = [
        ({}, 0, []),
        ({}, 70_000, []),
        ({}, 0, [{"colId": "density", "sort": "desc"}]),
        ({}, 99_000, [{"colId": "density", "sort": "desc"}]),
        ({"q": "word77"}, 0, [{"colId": "max", "sort": "desc"}]),
        ({"q": "word77"}, 2000, [{"colId": "max", "sort": "desc"}]),
        ({"d": "1"}, 0, []),
        ({"lo": -3.0, "hi": -1.0}, 100, [{"colId": "mean", "sort": "asc"}]),
    ]
    for query, start, sort in asks:
        begun = time.perf_counter()
        response, _, _ = browser.answer({"startRow": start, "endRow": start + 100, "sortModel": sort}, query, "big")
        took = time.perf_counter() - begun
        assert took < PAGE * SLACK, (query, sort, took)
        assert len(response["rowData"]) == 100 and len(json.dumps(response)) < 100_000


def test_the_browser_serves_what_the_table_holds(home) -> None:
    folder = big_table("big", 5000)
    set_label(folder, 12, "a label", author="ana")
    table = tables.open_table("big")

    def page(end: int, **query: str) -> tuple[list, int]:
        found = table.search(**asked_of(query), limit=end)
        return found.records(), found.total

    rows, total = page(5, s="density-desc")
    order = np.argsort(-table.column("density"), kind="stable")[:5]
    assert total == 5000 and [r["unit"] for r in rows] == order.tolist()
    assert rows[0]["promoted"][0] == table.unit(int(order[0])).promoted[0].token
    rows, total = page(500, d="1")
    assert total == 500 and all(r["dead"] and r["density"] == 0 for r in rows)
    rows, total = page(5, lab="label")
    assert total == 1 and rows[0]["label"] == "a label"
    _, total = page(5, q="word12", w="promoted", lo="-2", hi="-1")
    density = table.column("density")
    holds = [
        any("word12" in s.token for s in table.unit(u).promoted)
        for u in np.flatnonzero((density >= 0.01) & (density <= 0.1))
    ]
    assert total == sum(holds) > 0


def test_malformed_queries_are_left_out(home) -> None:
    asked = asked_of({"w": "<b>", "d": "7", "lo": "nan", "hi": "1e9", "s": "colour-desc", "q": "x" * 900})
    assert asked == {"text": "x" * 100}
    big_table("small", 30)
    response, _, problem = browser.answer({"startRow": -5, "endRow": 10**9, "sortModel": []}, None, "small")
    assert len(response["rowData"]) == 30 and problem is None
    response, _, problem = browser.answer({"startRow": 0, "endRow": 9}, None, "gone")
    assert response["rowCount"] == 0 and "No features named" in str(problem)


def test_addresses_name_units_or_say_why_not(home, toy) -> None:
    big_table("n", 128, kind="neuron", layer=2)
    big_table("f", 24, source="learned", layer=1)
    learned(toy)
    assert units.unit_at("table", "f", "7", {}).name == "L1F7"
    found = units.unit_at("neuron", "2", "5", {"m": "toy"})
    assert (found.table, found.row, found.name) == ("n", 5, "L2N5")
    assert units.unit_at("neuron", "1", "5", {"m": "toy"}).table is None
    assert units.unit_at("latent", "learned", "3", {}).table == "f"
    for source, where, number, said in [
        ("table", "f", "24", "units 0 to 23"),
        ("table", "none", "0", "No features named"),
        ("latent", "learned", "24", "latents 0 to 23"),
        ("latent", "none", "0", "No dictionary named"),
        ("neuron", "9", "0", "layers 0 to 3"),
        ("neuron", "1", "128", "neurons 0 to 127"),
        ("table", "f", "9" * 12, "no unit"),
    ]:
        with pytest.raises(BadInput, match=said):
            units.unit_at(source, where, number, {"m": "toy"})
    with pytest.raises(BadInput, match="none of the models"):
        units.unit_at("neuron", "1", "0", {"m": "/etc/passwd"})
    with pytest.raises(BadInput, match="layers 0 to 3"):
        neuron_address("toy", 4, 0)
    assert [r["layer"] for r in layer_rows("toy")["rows"]] == ["L2"]


def test_damaged_tables_say_so(home) -> None:
    folder = big_table("cut", 20)
    (folder / "examples.safetensors").write_bytes(b"torn")
    with pytest.raises(OpenworkError):
        unit.layout("table", "cut", "0", {})
    folder = big_table("short", 20)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["facts"]["n_units"] = 50
    manifest.pop("digest", None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Unavailable, match="damaged"):
        unit_browser.layout("short", {})
    (folder / "units.safetensors").unlink()
    assert "damaged" in str(units_layout({}))


def test_a_table_of_other_weights_is_called_stale(home, toy) -> None:
    big_table("f", 24, source="learned")
    learned(toy)
    found = units.unit_at("table", "f", "0", {})
    assert "measured on other weights" in str(units.stale(found))
    shutil.rmtree(place("features", "f"))
    big_table("g", 24, source="learned", stamp=stamp(toy))
    assert units.stale(units.unit_at("table", "g", "0", {})) is None


def test_data_of_a_page_is_small_plain_and_complete(home) -> None:
    big_table("wide", 40, window=96, top=20, words=HOSTILE)
    record = tables.open_table("wide").unit(0)
    told = coloured_examples(record)
    assert sum(len(g["examples"]) for g in told["groups"]) == 35 and len(told["groups"]) == 6
    assert told["groups"][0]["name"].startswith("Strongest (3 to 5)")
    assert [len(e["tokens"]) for e in told["groups"][0]["examples"]] == [96] * 20
    assert len(json.dumps(told, allow_nan=False)) < 300_000
    strong = [max(e["value"] for e in g["examples"]) for g in told["groups"]]
    assert strong == sorted(strong, reverse=True)
    for e in told["groups"][3]["examples"]:
        assert e["values"][e["peak"]] == pytest.approx(e["value"], rel=1e-3)
    assert "Dead" in tables.open_table("wide").unit(9).warning and "Rare" in record.warning
    assert not tables.open_table("wide").unit(38).warning


def test_neighbours_keep_the_selection(home) -> None:
    set_label(big_table("f", 24), 4, "<i>label", author="a")
    found = units.unit_at("table", "f", "3", {})
    opens = unit.neighbours(found, tables.open_table("f").unit(3), {"prompt": "abc", "token": 2})
    assert opens("L1F4", {}) == ("/units/table/f/4?p=abc&t=2", "<i>label") and opens("promotes", {}) == (None, "")


def test_circuits_are_found_and_read_again_when_replaced(home) -> None:
    store_graph("one")
    found = UnitName(0, "neuron", 11)
    seen = appearances_of("toy", found)
    assert seen.looked == 1 and [(a.graph, a.node, a.pos) for a in seen.found] == [("one", 2, 1)]
    assert seen.found[0].activation == pytest.approx(0.7)
    assert "/circuits/one?n=2" in str(appearing("circuits", "toy", found))
    assert not appearances_of("toy", UnitName(1, "neuron", 11)).found
    assert not appearances_of("toy", UnitName(0, "latent", 11), "x").found
    (store_graph("torn") / "graph.safetensors").write_bytes(b"torn")
    assert len(appearances_of("toy", found).found) == 1
    whole = (store_graph("flipped") / "graph.safetensors").read_bytes()
    (place("graph", "flipped") / "graph.safetensors").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert len(appearances_of("toy", found).found) == 1
    graph = small_graph()
    moved = type(graph.nodes)(**{**graph.nodes.__dict__, "unit": np.array([5, 6, 99, 12, 9])})
    object.__setattr__(graph, "nodes", moved)
    shutil.rmtree(place("graph", "one"))
    save_graph(graph, place("graph", "one"), model=ModelStamp("toy", "w" * 64, "t" * 64))
    assert not appearances_of("toy", found).found


def test_weights_of_a_neuron_by_hand(toy) -> None:
    told = unit_weights(toy, 1, 5)
    logits = (toy.blocks[1].mlp.W_out[5] * toy.ln_final.weight @ toy.W_U).detach()
    assert told.promoted[0].id == int(logits.argmax()) and told.suppressed[0].id == int(logits.argmin())
    assert told.promoted[0].score == pytest.approx(float(logits.max() - logits.mean()), rel=1e-4)
    rows = torch.nn.functional.normalize(toy.blocks[1].mlp.W_out.detach(), dim=1)
    cosine = rows @ rows[5]
    cosine[5] = -2
    assert told.near[0].unit == int(cosine.argmax()) and told.near[0].cosine == pytest.approx(
        float(cosine.max()), abs=1e-5
    )
    assert len(told.figure().data) == 1 and json.dumps(told.to_dict()) and "L1N5" in told._repr_html_()
    with pytest.raises(BadInput, match="no neuron L1N128: .* neurons 0 to 127"):
        unit_weights(toy, 1, 128)


def test_own_text_is_what_the_model_computes(home, toy) -> None:
    text = "the war of 1812"
    read = on_text(toy, text, 5, layer=1)
    ids = torch.tensor([read.token_ids])
    _, kept = toy.run_with_cache(ids)
    assert np.allclose(read.values, kept["blocks.1.mlp.hook_post"][0, :, 5].detach().numpy(), atol=1e-6)
    made = learned(toy)
    codes = made.encode(kept["blocks.1.hook_resid_post"][0].detach())
    latent = int(codes.sum(0).argmax())
    read = on_text(toy, text, latent, dictionary=made)
    assert read.values.max() > 0 and np.allclose(read.values, codes[:, latent].detach().numpy(), atol=1e-5)
    assert read.unit == f"L1F{latent}" and len(read.rows()) == len(read.tokens) and json.dumps(read.to_dict())
    for wrong in ({}, {"layer": 1, "dictionary": made}):
        with pytest.raises(BadInput, match="one of the two"):
            on_text(toy, text, 0, **wrong)
    with pytest.raises(BadInput, match="no neuron L1N128: .* neurons 0 to 127"):
        on_text(toy, text, 128, layer=1)


def test_adding_to_a_unit_is_steering_along_what_it_writes(home, toy) -> None:
    ids = torch.tensor([[1, 20, 30, 40]])
    row = toy.blocks[1].mlp.W_out.detach()[5]
    with torch.no_grad():
        with intervene(toy, edit_units(toy, [UnitEdit("add", 5, amount=3.0, layer=1)])):
            one = toy(ids)
        with intervene(toy, [Steer("mlp_out.1", row, scale=3.0)]):
            other = toy(ids)
        with intervene(toy, edit_units(toy, [UnitEdit("add", 5, amount=0.0, layer=1)])):
            same = toy(ids)
        plain = toy(ids)
    assert (
        torch.allclose(one, other, atol=1e-5) and not torch.allclose(one, plain, atol=1e-3) and torch.equal(same, plain)
    )


def stored_clt(toy) -> CrossLayerTranscoder:
    """Two layers with 16 latents each."""
    reads, writes = ["mlp_in.1", "mlp_in.2"], ["mlp_out.1", "mlp_out.2"]
    made = CrossLayerTranscoder([64, 64], 16, [64, 64], sparsifier=TopK(4), sites_in=reads, sites_out=writes).eval()
    with torch.no_grad():
        for part in made.parts:
            part.W_dec.normal_()
    save_dictionary(made, place("dictionary", "clt"), model=stamp(toy))
    return load_dictionary("clt", toy)


def test_latents_of_a_cross_layer_transcoder_belong_to_a_part(home, toy) -> None:
    """By name and by number through all parts, on the page, on a text, by weights and when changed."""
    both = stored_clt(toy)
    found = units.unit_at("latent", "clt", "19", {})
    assert found.name == "L2F3" and found.named == {"unit": "L2F3", "dictionary": "clt"}
    read = on_text(toy, "the war", "L2F3", dictionary=both)
    assert read.unit == "L2F3" and np.array_equal(read.values, on_text(toy, "the war", 19, dictionary=both).values)
    alone = on_text(toy, "the war", 3, dictionary=both.parts[1])
    assert np.array_equal(read.values, alone.values)
    assert unit_by_weights(toy, "L2F3", dictionary=both).promoted == unit_weights(toy, both, 19).promoted
    runs = [edited_run(toy, "the war", ["clamp=9:L2F3"], dictionaries=[one]) for one in (both, both.parts[1])]
    assert runs[0].kl[-1] > 0 and np.array_equal(runs[0].kl, runs[1].kl)


def test_a_latent_of_a_crosscoder_has_no_single_input(toy) -> None:
    sites = ["blocks.1.hook_resid_post", "blocks.2.hook_resid_post"]
    made = Crosscoder([64, 64], 8, sparsifier=TopK(2), sites=sites).eval()
    with pytest.raises(BadInput, match="reads several places at once"):
        on_text(toy, "the war", 3, dictionary=made)


def python_of(code: str, monkeypatch, toy) -> None:
    """Run a snippet as it is printed."""
    exec(compile(code, "snippet", "exec"), {})


def shell_of(line: str):
    """Run a command as it is printed."""
    from typer.testing import CliRunner

    from app.cli import cli

    words = shlex.split(line)
    assert words[0] == "openwork"
    found = CliRunner().invoke(cli(), words[1:])
    assert found.exit_code == 0, (line, found.output, found.exception)
    return found


@pytest.mark.slow
def test_snippets_run_as_printed(home, toy, monkeypatch) -> None:
    big_table("f", 24, source="learned", stamp=stamp(toy))
    learned(toy)
    python, shell = unit.code(units.unit_at("table", "f", "3", {}))
    python_of(python, monkeypatch, toy)
    assert "L1F3" in shell_of(shell).stdout
    shutil.rmtree(place("features", "f"))
    for found in (units.unit_at("neuron", "1", "5", {"m": "toy"}), units.unit_at("latent", "learned", "3", {})):
        call = Call.checked("unit-by-weights", "toy", found.named)
        python_of(call.python(), monkeypatch, toy)
        assert found.name in shell_of(str(call.shell())).stdout
