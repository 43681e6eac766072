"""From a record to its page: the entry point, the paths, models shared without a copy, and who may frame the pages."""

import gc
import re
from dataclasses import replace
from importlib import import_module
from pkgutil import walk_packages
from urllib.parse import parse_qsl, urlsplit

import pytest
import torch
from records import small_graph

import circuits
import probe
from app.library import models, prompts
from app.library import models as library_models
from app.library import recent_records as library_memory
from app.server import notebook
from app.server import record_pages as views
from app.server.request_guard import policy
from circuits.faithfulness.sufficiency import Sufficiency
from circuits.supernodes.collapse import collapse_groups
from circuits.supernodes.suggest import stored_supernodes
from probe.artifacts.folder import place
from probe.artifacts.manifest import Manifest, read_manifest
from probe.artifacts.records import load_record
from probe.dictionaries import TopK, Transcoder, load_dictionary, save_dictionary
from probe.errors import BadInput, Unavailable
from probe.features import unit_weights
from probe.features.on_text import on_text
from probe.methods import call_of
from probe.methods.catalogue import methods, tools
from probe.model.shared_weights import copy_sharing_weights
from probe.show import opening
from probe.show.beside import shows
from probe.show.html import record_html
from probe.show.opening import came_from
from probe.show.record import Record

PROMPT = "The capital of France is"


@pytest.fixture
def loaded(home):
    """A toy model of this test alone: the pages remember no other of that name, and this one no longer than the test."""
    forget_models()
    yield probe.load_model("toy")
    forget_models()


def forget_models():
    models.forget()
    library_memory.forget()


def test_a_twin_shares_weights_but_no_hooks(loaded):
    ids = loaded.to_tokens(PROMPT)
    clean, zero = loaded(ids), [probe.Zero(probe.head(1, 0))]
    with probe.intervene(loaded, zero):
        made = copy_sharing_weights(loaded)  # while a hook is on
        assert torch.equal(made(ids), clean) and not torch.equal(loaded(ids), clean)
    with probe.intervene(made, zero):
        assert not torch.equal(made(ids), clean) and torch.equal(loaded(ids), clean)
    assert probe.stamp(made) == probe.stamp(loaded)
    with torch.no_grad():
        loaded.embed.weight.mul_(1.5)
    assert torch.equal(made(ids), loaded(ids)) and not torch.equal(made(ids), clean)
    assert {p.data_ptr() for p in made.parameters()} == {p.data_ptr() for p in loaded.parameters()}


def test_records_remember_their_model_only_while_it_lives(loaded):
    lens = probe.logit_lens(loaded, PROMPT)
    assert opening.origin(lens) is loaded
    assert opening.origin(replace(lens)) is None  # another record
    key = id(lens)
    del lens
    assert key not in opening._origins


def test_the_pages_run_the_notebooks_model(loaded):
    lens = probe.logit_lens(loaded, PROMPT)
    path = views.path_of(lens)
    name = probe.stamp(loaded).name
    assert (
        path == f"/lens?m={name}&p={prompts.prompt_id(PROMPT)}"
        and prompts.load(prompts.prompt_id(PROMPT)).text == PROMPT
    )
    assert library_memory.known("lens", name, PROMPT) is lens
    assert library_models.model_named(name).embed.weight.data_ptr() == loaded.embed.weight.data_ptr()
    assert models.hand_over(loaded) == name and models.names_handed_over() == [name]


def test_an_edited_model_gets_another_name(loaded):
    first = models.hand_over(loaded)
    with torch.no_grad():
        loaded.embed.weight.mul_(1.5)
    second = models.hand_over(loaded)
    assert second == f"{first}@{probe.stamp(loaded).weights[:8]}"
    assert models.hand_over(loaded) == second
    assert (
        models.handed_over(first) is None and models.handed_over(second) is not None
    )  # the first name never runs the edited weights


def test_a_name_never_stands_for_two_models(home, loaded):
    """Neither where the pages loaded one first, nor where the notebook's was first and is gone."""
    name = probe.stamp(loaded).name
    library_models.model_named(name)
    library_memory.remember("lens", name, PROMPT, "of the model on disk")
    with torch.no_grad():
        loaded.embed.weight.mul_(1.25)
    assert models.hand_over(loaded) == f"{name}@{probe.stamp(loaded).weights[:8]}"
    assert library_memory.known("lens", name, PROMPT) == "of the model on disk"


def test_what_was_found_in_a_model_that_was_replaced_on_disk_is_forgotten(loaded, monkeypatch):
    name = probe.stamp(loaded).name
    with torch.no_grad():
        loaded.embed.weight.mul_(1.25)
    with monkeypatch.context() as before:
        before.setattr("probe.model.load.load_model", lambda *a, **k: loaded)
        before.setattr(library_models, "require_offered", str)
        for named in (name, "another", "a third"):  # so many that the first is not in memory any more
            library_models.model_named(named)
    library_memory.remember("lens", name, PROMPT, "of the model of before")
    assert library_models.in_memory(name) is None
    library_models.model_named(name)
    assert library_memory.known("lens", name, PROMPT) is None


def test_what_was_made_of_other_weights_than_a_handed_over_model_has_is_stale(loaded):
    mine, name = probe.stamp(loaded), models.hand_over(loaded)
    made = [
        Manifest("graph", "g", replace(mine, name=name, **other))
        for other in ({}, {"weights": "w"}, {"tokenizer": "t"})
    ]
    said = [library_models.stale(one) or "" for one in made]
    assert said[0] == "" and "other weights" in said[1] and "other tokenizer" in said[2]


def test_pages_let_go_of_a_model_with_the_notebook(home):
    model = probe.load_model("toy")
    name = models.hand_over(model)
    assert models.handed_over(name) is not None
    del model
    gc.collect()
    assert models.handed_over(name) is None


def test_paths_of_every_prompt_reading(loaded):
    identity = prompts.prompt_id(PROMPT)
    for record, start in (
        (probe.head_patterns(loaded, PROMPT), "/heads?"),
        (probe.top_units(loaded, PROMPT), f"/p/{identity}?"),
        (probe.edited_run(loaded, PROMPT, [probe.Zero(probe.head(1, 0))]), f"/p/{identity}?"),
    ):
        assert views.path_of(record).startswith(start)
    lens = replace(probe.logit_lens(loaded, PROMPT))
    with pytest.raises(BadInput, match=r"open\(model\)"):
        views.path_of(lens)
    assert views.path_of(lens, loaded) and views.path_of(lens, "toy")


def test_a_sweep_is_where_its_page_looks(loaded):
    from app.methods.method_jobs import found, key_for
    from app.pages.patching.address import asked_in

    sides = ("The capital of France is", "The capital of Italy is")
    sweep = circuits.patch_sweep(loaded, *sides, answers=(" the", " a"), over="heads", direction="noise")
    query = dict(parse_qsl(urlsplit(views.path_of(sweep)).query))
    asked = asked_in(query)
    target = {"token": " the", "other": " a"}
    assert asked.pair == {"clean": sides[0], "corrupted": sides[1], "target": target}
    one = found(query.pop("sweep"))
    assert asked_in(query).swept == {"over": "heads", "direction": "noise"}  # said too, should nobody keep the result
    assert one.record is sweep and one.call == asked_in(query).sweep() and one.reference == key_for(one.call)
    reading = probe.read_head(loaded, PROMPT, 1, 2)
    assert views.path_of(reading) == f"/heads?m={probe.stamp(loaded).name}&p={prompts.prompt_id(PROMPT)}&h=1.2"


def test_a_graph_is_stored_once_under_a_name_of_its_content(home):
    graph = small_graph()
    path = views.path_of(graph)
    name = path.rpartition("/")[2]
    assert re.fullmatch(r"/circuits/one-b-two-[0-9a-f]{8}", path)
    mark = (home / "graphs" / name / "manifest.json").stat().st_mtime_ns
    assert (
        views.path_of(small_graph()) == path and (home / "graphs" / name / "manifest.json").stat().st_mtime_ns == mark
    )
    assert views.path_of(replace(graph, pinned=[2])) != path  # what is pinned is part of it
    assert views.path_of(circuits.load_graph(name)) == path  # loaded by name, opened by it
    assert views.path_of(graph.prune()) == path
    pinned = circuits.load_graph(views.path_of(circuits.subgraph_scores(graph, [2])).rpartition("/")[2])
    assert pinned.pinned


def test_what_no_page_shows_says_so(home, tmp_path):
    with pytest.raises(BadInput, match="No page"):
        views.path_of(circuits.check_edges)
    graph = small_graph()
    graph.save(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="not in"):
        views.path_of(circuits.load_graph(tmp_path / "elsewhere"))


def test_without_a_dashboard_a_plain_sentence(monkeypatch):
    monkeypatch.setattr(opening, "entry_points", lambda **_: ())
    with pytest.raises(Unavailable, match="No dashboard is installed"):
        small_graph().open()


def test_the_entry_point_is_the_notebooks_opener():
    assert opening.opener() is notebook.open_record


def test_only_listed_origins_may_frame():
    assert policy([]).endswith("frame-ancestors 'self'")
    assert policy([], ("http://localhost:*",)).endswith("frame-ancestors 'self' http://localhost:*")
    for bad in ("*", "https://a b", "https://a; script-src *", "javascript:", "'none'", "https://*", ""):
        with pytest.raises(BadInput, match="no origin"):
            notebook.serve(origins=(bad,))


def test_a_view_is_a_frame_with_its_address(home, monkeypatch):
    monkeypatch.setattr(notebook, "_running", [notebook.Served("http://127.0.0.1:1", notebook.LOOPBACK)])
    view = small_graph().open(height=300)
    html = view._repr_html_()
    assert (
        "<iframe src='http://127.0.0.1:1/circuits/one-b-two-" in html and "height:300px" in html and "ssh -L 1:" in html
    )
    with pytest.raises(BadInput, match="running already"):
        notebook.serve(origins=("https://lab.example.org",))


def test_the_served_dashboard_keeps_to_itself(home):
    from app.server.main import create_app

    answer = create_app().server.test_client().get("/", base_url="http://127.0.0.1")
    assert answer.headers["Content-Security-Policy"].endswith("frame-ancestors 'self'")
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert urlsplit(notebook.LOOPBACK[0]).hostname == "localhost"


NO_PAGE = {  # plans, sets of tokens, what weights alone say of connections, and what pages of others draw of a record
    *("FeaturePlan", "HarvestPlan", "TokenSet", "NodeEdges", "Activations", "Pairs"),
    *("LayerConnections", "TopTokens", "Embeddings", "TokenRanking"),
    *("Appearances", "GraphShown", "NodesShown", "RunComparison", "StoredReport"),
    *(
        "SubgraphTest",
        "Alike",
        "EdgeCheck",
        "PatchedCell",
        "TrainingRun",
    ),  # parts of what has a page, or of a graph, which they open
}


def records_that_draw_themselves():
    modules = [m.name for package in (probe, circuits) for m in walk_packages(package.__path__, f"{package.__name__}.")]
    classes = [c for name in modules for c in vars(import_module(name)).values() if isinstance(c, type)]
    records = {c for c in classes if issubclass(c, Record) and c is not Record}
    return {c for c in records if c._page or shows.of(c) is not record_html or c.rows is not Record.rows}


def made_by(declared):
    """Names of what methods return, whose stored results have a page of their own, or tools, which have none."""
    functions = [getattr(import_module(m.module), m.function) for m in declared]
    kinds = [f.__annotations__.get("return") for f in functions]
    return {kind if isinstance(kind, str) else getattr(kind, "__name__", "") for kind in kinds}


def test_every_record_opens_or_has_no_page():
    """A record with a page says so, and one without is what a method finds, or on the list above."""
    records = {
        c for c in records_that_draw_themselves() if c._page or c.__name__ not in made_by((*methods(), *tools()))
    }
    assert {c.__name__ for c in records if not c._page} == NO_PAGE
    assert {c.__name__ for c in records if c._page} == set(views._PATHS)


def test_what_a_method_found_is_stored_and_opens(loaded):
    found = probe.sinks(loaded, PROMPT, ratio=5)
    path = views.path_of(found)
    name = path.removeprefix("/results/")
    assert load_record(name).to_dict() == found.to_dict()
    manifest = read_manifest(place("result", name), "result")
    assert call_of(found) == call_of(load_record(name)) and manifest.model == probe.stamp(loaded)
    assert views.path_of(found) == views.path_of(load_record(name)) == path
    again = read_manifest(load_record(name).save(place("result", "again")), "result")  # with what it was made of
    assert again.model == manifest.model and again.facts["call"] == manifest.facts["call"]
    assert views.path_of(probe.sinks(loaded, PROMPT, ratio=6)) != path
    assert ".open()" in repr(found)


def test_what_a_method_found_of_a_graph_is_stored_and_opens(loaded):
    circuits.save_graph(circuits.trace(loaded, PROMPT, max_nodes=9), place("graph", "kept"), model=loaded)
    tried = circuits.subgraph_test(loaded, "kept", "top:2", n_random=0)
    path = views.path_of(tried)
    assert path.startswith("/results/") and views.path_of(load_record(path.removeprefix("/results/"))) == path
    again = circuits.load_graph("kept").save(place("graph", "again"))
    assert read_manifest(again, "graph").model == probe.stamp(loaded)
    assert views.path_of(circuits.check_subgraph(loaded, "kept", "top:2", n_random=0)) == "/circuits/kept"


def test_paths_of_heads_units_tokens_and_pairs(loaded):
    name, identity = probe.stamp(loaded).name, prompts.prompt_id(PROMPT)
    other = "The capital of Italy is"
    heads = f"/heads?m={name}&p={identity}"
    assert views.path_of(probe.direct_logits(loaded, PROMPT)) == heads
    assert views.path_of(probe.head_table(loaded, PROMPT)) == heads
    assert views.path_of(probe.follow_token(loaded, PROMPT, ["next", 7])) == f"/lens?m={name}&p={identity}&q=next"
    assert views.path_of(probe.follow_token(loaded, PROMPT, [7, "next"])).endswith("&q=7")
    compared = probe.compare_prompts(loaded, PROMPT, other)
    assert load_record(views.path_of(compared).removeprefix("/results/")).prompts == compared.prompts
    assert views.path_of(unit_weights(loaded, 1, 3)) == f"/units/neuron/1/3?m={name}"
    assert views.path_of(on_text(loaded, PROMPT, 3, layer=1)) == f"/units/neuron/1/3?m={name}&p={identity}"
    pair = circuits.read_pair(loaded, PROMPT, other, metric="kl")
    assert views.path_of(pair) == f"/patching?m={name}&p={identity}&corrupted={prompts.prompt_id(other)}&metric=kl"


def test_a_latents_records_open_its_page_while_the_dictionary_lives(loaded):
    made = Transcoder(64, 8, 64, sparsifier=TopK(2), site_in="mlp_in.1", site_out="mlp_out.1")
    save_dictionary(made, place("dictionary", "learned"), model=probe.stamp(loaded))
    learned = load_dictionary(place("dictionary", "learned"), loaded)
    weights, own = unit_weights(loaded, learned, 5), on_text(loaded, PROMPT, 5, dictionary=learned)
    assert views.path_of(weights) == "/units/latent/learned/5"
    assert views.path_of(own) == f"/units/latent/learned/5?p={prompts.prompt_id(PROMPT)}"
    del learned
    gc.collect()
    with pytest.raises(BadInput, match="not in memory any more"):
        views.path_of(weights)


def test_what_was_made_of_a_graph_opens_the_graph(home):
    graph, other = small_graph(), small_graph("two <b>one")
    path = views.path_of(graph)
    for record in (collapse_groups(graph, {"both": [2, 3]}), came_from(Sufficiency("", 0, 0, "zero", [], {}), graph)):
        assert views.path_of(record) == path
    between = circuits.difference(graph, other)
    assert views.path_of(between) == f"{path}/beside/{views.path_of(other).rpartition('/')[2]}"
    twice = small_graph()
    with pytest.raises(BadInput, match="one and the same"):
        views.path_of(circuits.difference(graph, twice))
    grouped = views.path_of(stored_supernodes(replace(graph, supernodes={"a": [2, 3]}))).rpartition("/")[2]
    assert circuits.load_graph(grouped).supernodes == {"a": [2, 3]}
    del graph, record
    gc.collect()
    with pytest.raises(BadInput, match="not in memory any more"):
        views.path_of(between)


def test_what_was_made_of_a_stored_graph_outlives_it_in_memory(home):
    circuits.save_graph(small_graph(), place("graph", "kept"))
    record = came_from(Sufficiency("", 0, 0, "zero", [], {}), circuits.load_graph("kept"))
    gc.collect()
    assert views.path_of(record) == "/circuits/kept"


def test_a_record_of_weights_that_were_edited_says_so(loaded):
    """Its page would show the model as it is now under the record's name."""
    lens, before = probe.logit_lens(loaded, PROMPT), probe.stamp(loaded)
    assert opening.unchanged(lens)
    with torch.no_grad():
        loaded.embed.weight.mul_(1.5)
    assert not opening.unchanged(lens)
    with pytest.raises(BadInput, match="weights were changed after this LensResult"):
        views.path_of(lens)
    path = views.path_of(lens, loaded)  # asked for all the same: the page reads the prompt in the model as it is
    assert probe.stamp(loaded) != before and path.startswith("/lens?")
    assert library_memory.known("lens", dict(parse_qsl(urlsplit(path).query))["m"], PROMPT) is None
