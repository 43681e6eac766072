"""Declared methods on the dashboard: forms and addresses hold what a call holds, results of every door have one page."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import plotly.graph_objects as go
import pytest
import sample_method
from pages import as_json
from records import store_graph
from test_still import components

import circuits
from app import links
from app.frame import search
from app.jobs import table as jobs
from app.jobs import work as job_work
from app.library import models, prompts, recent_records
from app.methods import (
    addresses,
    block,
    drawing,
    follow_selection,
    form,
    method_jobs,
    result_links,
    result_view,
    token_box,
)
from app.pages import method as page
from app.pages import methods as catalogue_page
from app.pages import report, two_prompts
from probe.artifacts.folder import place
from probe.errors import BadInput
from probe.methods import catalogue
from probe.methods.call import Call
from probe.methods.form_fields import texts_of
from probe.methods.panel_sorts import sorts_of
from probe.methods.read_declarations import declared_in
from probe.methods.results import results_of
from probe.model.toy import toy_model
from probe.show.panels import Chosen, Figure, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.tasks.catalogue import TASKS

PROMPT = 'The capital of <b>"France"</b> is'
ARGUMENTS = [
    {"prompt": PROMPT},
    {"prompt": [5, 6, 7]},
    {"prompt": PROMPT, "target": " a"},
    {"prompt": PROMPT, "target": {"token": " a", "other": 3}, "layers": "0-1,-1"},
    {"prompt": PROMPT, "times": 9, "share": 0.25, "by": "two", "again": True, "names": ["a", "b c"]},
]


@pytest.fixture
def about(home, monkeypatch):
    """The sample method, as if it were public, in a home of its own."""
    (found,) = declared_in("sample_method")
    known = (*catalogue.methods(), found)
    monkeypatch.setattr(catalogue, "methods", lambda: known)
    recent_records.forget()
    return found


def call_of(arguments) -> Call:
    return Call.checked("count-tokens", "toy", arguments)


def query(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query))


def run(call: Call) -> str:
    """The key of the call's job, once it is done."""
    key = job_work.submit(method_jobs.work_of(call))
    if (job := jobs.job_table().latest(key)) is not None:
        jobs.job_table().wait(job.id)
    return key


def test_a_page_says_what_its_file_says_of_it(about):
    shown = as_json(page.layout("count-tokens", {"m": "toy"}))
    assert about.definitions.startswith("A method as a contributor") and about.definitions in shown


# -- addresses and forms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_a_call_comes_back_from_its_address_and_from_its_form(about, arguments):
    call = call_of(arguments)
    address = addresses.address_of(call)
    assert "France" not in address and addresses.call_of(about, *addresses.asked_in(about, query(address))) == call
    parts = [part for p in form.form("here", about, "toy", call.arguments) for part in walked(p)]
    kept, asked = next(p.data for p in parts if p.id["type"] == form.KEPT), []
    for sort, name in ((form.FIELD, "value"), (token_box.TOKEN, "value"), (form.SWITCH, "checked")):
        mine = [p for p in parts if p.id["type"] == sort]
        asked += [[getattr(p, name, None) for p in mine], [p.id for p in mine]]
    assert block.asked_by({"method": about.name}, None, "toy", *asked, kept) == call


def test_a_token_is_found_by_what_is_written(about):
    call, box = call_of({"prompt": PROMPT, "target": " a"}), {"at": "x", "of": "target", "part": ""}
    assert token_box.answers("a", "toy", box)["rows"] == []
    run(call)  # reads the vocabulary
    rows = token_box.answers("a", "toy", box)["rows"]
    assert [r["token"] for r in rows[:2]] == ["a", " a"] and rows[0]["pick"] == {"pick.x.target.": f"{rows[0]['id']}|a"}
    assert token_box.answers("a", "toy", {**box, "at": "selection"})["rows"][0]["pick"] == {
        "target": int(rows[0]["id"])
    }
    assert token_box.answers(f"id:{rows[0]['id']}", "toy", box)["note"] == f"the token {rows[0]['token']!r}"
    assert token_box.answers("id:99999999", "toy", box)["note"] == token_box.answers("id:-1", "toy", box)["note"] == ""
    assert "No token begins" in token_box.answers("no such token", "toy", box)["note"]


def walked(part) -> list:
    """A part of a page with all that it holds that has an id."""
    inner = getattr(part, "children", None)
    inner = inner if isinstance(inner, list) else [inner] if hasattr(inner, "_prop_names") else []
    return [*([part] if getattr(part, "id", None) is not None else []), *(one for p in inner for one in walked(p))]


def test_an_address_holds_no_chat_and_its_form_keeps_it(about):
    call = call_of({"prompt": [{"role": "user", "content": "hi"}], "times": 3})
    asked = addresses.asked_in(about, query(addresses.address_of(call)))
    assert asked == ("toy", {"times": 3}) and addresses.call_of(about, *asked) is None
    assert "hi" not in addresses.address_of(call) and texts_of(about.parameter("prompt"), [{}]) is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"m": "/etc"}, "none of the models known here"),
        ({"prompt": "../../etc/passwd"}, "No prompt with this address"),
        ({"prompt": "ids:1,-5"}, "prompt is [1, -5]; a prompt"),
        ({"prompt": "ids:1,x"}, "prompt is 'ids:1,x'; a prompt"),
        ({"times": "10"}, "times is 10; a whole number from 1 to 9 was wanted"),
        ({"share": "nan"}, "share is nan"),
        ({"by": "three"}, 'one of "one", "two"'),
        ({"again": "perhaps"}, "again is 'perhaps'"),
        ({"target-minus": " b"}, "target is {'other': ' b', 'token': ''}; a token"),
        ({"depth": "3"}, "count-tokens takes no 'depth'"),
        ({"like": "nothing"}, "No result named 'nothing'"),
    ],
)
def test_what_an_address_cannot_ask_is_a_sentence_over_an_empty_form(about, wrong, words):
    shown = as_json(page.layout("count-tokens", {"m": "toy", **wrong}))
    assert "This cannot be asked" in shown and words in shown.replace('\\"', '"') and '"type": "block-run"' in shown
    with pytest.raises(BadInput):
        page.asked(about, {"m": "toy", **wrong})


def test_an_unknown_method_is_a_sentence(about):
    with pytest.raises(BadInput, match="Did you mean count-tokens"):
        page.layout("count-token", {})


def test_keys_of_one_letter_leave_the_selections_alone(about):
    assert addresses.key_in_address("t") == "t_" and addresses.key_in_address("beside") == "beside_"
    assert not {"t", "l", "h", "u", "n", "k", "p"} & set(addresses.keys_of(about))


def test_an_address_written_by_hand_says_a_parameter_of_one_letter_as_it_is_called():
    """`n` is also the key of a selected node, which a page of a method does not have; `t` stays the selected token."""
    eap = catalogue.method_named("eap")
    for asked in ({"n": "2"}, {"n_": "2"}, {"n": "9", "n_": "2"}):
        assert addresses.asked_in(eap, {"m": "toy", **asked}) == ("toy", {"n": 2})
    assert addresses.asked_in(eap, {"m": "toy", "t": "2"}) == ("toy", {})
    shown = page.layout("eap", {"m": "toy", "n": "2", "t": "3"})
    assert next(one for part in shown for one in walked(part) if one.id == "selection").data == {
        "token": 3,
        "model": "toy",
    }


# -- jobs and results ----------------------------------------------------------------------------------------------------


def test_equal_calls_are_one_job_and_its_result_opens_everywhere(about, toy):
    call = call_of({"prompt": PROMPT, "times": 3})
    key = run(call)
    name = key.replace(":", "-")
    direct = sample_method.count_tokens(toy, PROMPT, times=3)
    found = sample_method.Counted.load(name)
    assert found == direct and call == method_jobs.found(name).call
    recent_records.forget()
    assert run(call) == key and len(jobs.job_table().all()) == 1
    assert method_jobs.found(key).record == direct == method_jobs.found(name).record
    assert [m.name for m in results_of("count-tokens")] == [name]
    assert "Change and run again" in as_json(report.layout(name, {}))
    assert f"count {direct.count}" in as_json(result_view.shown(name, None, "light"))


def test_a_result_of_python_stands_beside_one_of_a_job(about, toy):
    sample_method.count_tokens(toy, PROMPT, times=2).save(place("result", "mine"))
    key = run(call_of({"prompt": PROMPT, "times": 3}))
    assert {m.name for m in results_of("count-tokens")} == {key.replace(":", "-"), "mine"}
    shown = as_json(result_view.shown(key, "mine", "light"))
    assert "Asked differently" in shown and '"asked": "times", "A": "3", "B": "2"' in shown
    assert page.asked(about, {"like": "mine"}) == ("toy", {"prompt": PROMPT})
    assert "cannot be shown" in as_json(result_view.shown(key, "gone", "light"))


def test_what_other_weights_found_is_stale_and_is_asked_anew(about, toy, monkeypatch):
    call = call_of({"prompt": PROMPT})
    key = run(call)
    now = models.stamp_in_memory("toy")
    other = type(now)(**{**vars(now), "weights": "f" * len(now.weights)})
    monkeypatch.setattr(models, "stamp_in_memory", lambda name: other)
    assert method_jobs.key_for(call) != key
    assert "Made from other weights" in as_json(result_view.shown(key, None, "light"))
    assert result_view.earlier(about)["rows"][0]["state"] == "stale"


def test_a_damaged_or_older_result_is_a_sentence_and_its_file_is_told(about, toy):
    sample_method.count_tokens(toy, PROMPT).save(place("result", "old"))
    record = place("result", "old") / "record.json"
    record.write_text(record.read_text().replace('"count"', '"counted"'))
    shown = as_json(result_view.shown("old", None, "light"))
    assert "This result cannot be shown" in shown and "raw=1" in shown


def test_a_method_that_raises_is_the_sentence_it_says(about):
    key = run(call_of({"prompt": PROMPT, "layers": "7"}))
    job = jobs.job_table().latest(key)
    assert job.state == "failed" and "There is no layer 7" in job.message and not job_work.is_there(key)


# -- blocks on other pages -----------------------------------------------------------------------------------------------


def test_blocks_of_one_page_keep_apart_and_find_what_was_asked(about):
    first = block.Block("first", "count-tokens", fields=("times",), key="one", title="Counted")
    other = block.Block("other", "count-tokens")
    key = run(call_of({"prompt": PROMPT, "times": 3}))
    run(call_of({"prompt": "another"}))
    other_key = run(call_of({"prompt": PROMPT}))
    shown = first.layout("toy", {"prompt": PROMPT, "times": 3})
    names = [str(part.id) for one in (shown, other.layout("toy", {"prompt": PROMPT})) for part in walked(one)]
    assert len(set(names)) == len(names)
    fields = [p.id["of"] for p in walked(shown) if p.id["type"] == form.FIELD]
    assert fields == ["times"] and "count" in as_json(shown) and "ask-model" not in str(fields)
    earlier = next(p.data["rows"] for p in walked(shown) if p.id["type"] == "block-earlier-data")
    assert [row["name"] for row in earlier] == [other_key.replace(":", "-")]
    elsewhere = as_json(first.layout("toy", {"prompt": "x y"}, {"one": key}))
    assert "was asked before" in elsewhere and "Not kept" in as_json(first.layout("toy", {}, {"one": "method:none"}))
    assert block.asked_by(
        {"method": "count-tokens", "model": "toy"}, {"prompt": PROMPT}, None, *[[]] * 6, None
    ) == call_of({"prompt": PROMPT})
    assert "No result" not in as_json(other.layout("toy", {}))


# -- drawing -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Seen(Record):
    """One panel of each sort, more than a page holds."""

    rows_: int = 1000

    def summary(self) -> str:
        return "Found <b>it</b>."

    def panels(self):
        rows = [{"unit": "L1N3", "token": " a", "value": 0.5, "layer": 2}] * self.rows_
        large = go.Figure(go.Scatter(y=np.zeros(drawing.POINTS + 1)))
        some = [
            Figure("Seen", lambda: go.Figure(go.Scatter(y=[1, 2]), layout={"height": 5000})),
            Figure("Large", lambda: large),
            Figure("Broken", lambda: 1 / 0),
            Rows("many", rows),
            Tokens("loss", [" <script>"] * 9000, [0.1, float("nan")] * 4500),
        ]
        return [*some, Sentence(self.summary()), *[Sentence("more")] * 30]


def test_panels_are_drawn_bounded_and_say_what_is_left_out(about):
    parts = drawing.drawn_panels(Seen(), "", drawing.Look("dark", result_links.link_of(call_of({"prompt": PROMPT}))))
    shown = as_json(parts)
    assert "Many \\u00b7 B" in as_json(drawing.drawn_panels(Seen(), "B", drawing.Look("dark")))
    assert parts[0].children == ["Found <b>it</b>."] and len(parts) == drawing.MOST + 1
    assert "The first 300 of 1,000" in shown and "The first 4,096 of 9,000 tokens" in shown
    assert "too many for a page" in shown and "This could not be drawn" in shown and "12 more panels" in shown
    assert f'"height": {drawing._HIGHEST}' in shown and links.neuron_page("toy", 1, 3) in shown
    assert '{"key": "layer", "label": "layer", "kind": "count"}' in shown and '"kind": "token"' in shown


def test_what_is_chosen_on_a_page_is_drawn_anew(about, toy):
    """A place that follows the selection, a figure that is turned; what an address has wrong is where it begins."""
    key = run(Call.checked("logit-lens", "toy", {"prompt": PROMPT}))
    panels = drawing.in_page_order(method_jobs.found(key).record)
    (place,) = [i for i, one in enumerate(panels) if isinstance(one, Chosen)]
    (map_,) = [i for i, one in enumerate(panels) if isinstance(one, Figure)]

    def drawn(at: int, **selection):
        of = {"reference": key, "path": [at], "side": "", "shown": {}}
        parts, of = follow_selection.redrawn(selection, of, "x", "dark")
        return as_json(parts), of["shown"]

    shown, at = drawn(place, token=1, layer=0)
    assert "(position 1), at the embedding" in shown and at == {"token": 1, "layer": 0}
    assert '"selected": true' in shown and '"pick": {"follow"' in shown
    assert "(position 1)" not in drawn(place, token=10**6, layer="x")[0]
    assert "length of the residual stream" in drawn(map_, **{"show-colour": "norm"})[0]
    assert drawn(map_, **{"show-colour": "<b>"})[0] == drawn(map_)[0]
    with pytest.raises(BadInput, match="load the page again"):
        drawn(99)
    assert as_json(result_view.shown(key, None, "light")).count(f'"reference": "{key}"') == 2


def test_two_prompts_lead_on_and_their_old_address_asks_the_method(about, toy):
    a, b = (prompts.store(text, "toy").id for text in (PROMPT, "one two"))
    moved = as_json(two_prompts.layout(a, b, {"m": "toy", "c": "2", "t": "1"}))
    (there,) = {part.split('"')[1] for part in moved.split('"data-to": ')[1:]}
    asked = query(there)
    assert urlsplit(there).path == "/methods/compare-prompts" and (asked["a_"], asked["b_"]) == (a, b)
    assert (asked["run"], asked["c"], asked["t"]) == ("1", "2", "1")
    compare = catalogue.method_named("compare-prompts")
    call = addresses.call_of(compare, *addresses.asked_in(compare, asked))
    shown = as_json(result_links.ways(call))
    assert "Swap" in shown and f"a_={b}&b_={a}" in shown and links.patching_page("toy", a, b) in shown


def test_pages_stay_small(about):
    run(call_of({"prompt": PROMPT}))
    assert components(page.layout("count-tokens", {"m": "toy"})) < 200
    assert components(result_view.shown(run(call_of({"prompt": PROMPT})), None, "light")) < 100


# -- the catalogue -------------------------------------------------------------------------------------------------------


def test_the_catalogue_finds_methods_by_words_and_paper(about):
    everything = as_json(catalogue_page.layout({}))
    assert all(
        word in everything for word in ("Count tokens", "Sinks", "QK attribution", "Nobody (2026)", "needs prompt")
    )
    for question, found in (("nobody", True), ("tokens number", True), ("circuit zebra", False)):
        assert ("Count tokens" in as_json(catalogue_page.found(question))) == found
    assert "Nothing found" in as_json(catalogue_page.found("zebra"))
    hits = {g.name: g.hits for g in search.search("count tok")}["Methods"]
    assert [h.href for h in hits] == ["/methods/count-tokens"]
    assert sorts_of(catalogue.method_named("sinks")) == ("Figure", "Rows", "Tokens")
    assert sorts_of(catalogue.method_named("study")) == ("Rows", "Figure")  # its record is defined elsewhere


def test_a_prompt_of_an_address_is_stored(about):
    asked = query(addresses.address_of(call_of({"prompt": PROMPT})))
    assert prompts.load(asked["prompt"]).text == PROMPT


def test_every_declared_method_has_a_form_and_a_place_in_the_catalogue(home):
    everything = as_json(catalogue_page.layout({}))
    for one in catalogue.methods():
        assert f'"/methods/{one.name}"' in everything and components(page.layout(one.name, {})) < 200
        shown = as_json(page.layout(one.name, {}))
        assert "This cannot be asked" not in shown and all(f'"of": "{p.name}"' in shown for p in one.parameters)


def test_what_a_field_says_in_backticks_is_code(home):
    said = as_json(form.form("here", catalogue.method_named("study"), "toy", {}))
    assert "openwork study --list" in said and "`" not in said


def test_a_form_offers_the_tasks_and_the_stored_scores_and_circuits(home):
    """Of results those alone that hold what is asked for, whichever door stored them, in words; a task by its name."""
    scores = circuits.eap(toy_model(), "greater-than", n=2)
    scores.save(place("result", "scores"))
    mine = method_jobs.keep(Call.checked("eap", "toy", {"task": "greater-than", "n": 2}), scores)
    named = method_jobs.keep(
        Call.checked("named-circuit", "toy", {"names": ["input->m0"], "kind": "edges"}),
        circuits.named_circuit(toy_model(), ["input->m0"], kind="edges"),
    )
    circuits.choose_edges(scores, 9, "optimal").save(place("result", "circuit"))
    asked = form.form("here", catalogue.method_named("faithfulness"), "toy", {"task": "capitals"})
    parts = [part for p in asked for part in walked(p)]
    fields = {part.id["of"]: part for part in parts if isinstance(getattr(part, "id", None), dict) and "of" in part.id}
    offered = {name: {one["value"]: one["label"] for one in fields[name].data} for name in ("task", "scores", "known")}
    assert fields["task"].value == "capitals" and [*offered["task"]] == list(TASKS)
    assert offered["scores"].keys() == {"scores", mine} and offered["known"].keys() == {"circuit", named}
    assert offered["scores"]["scores"].startswith("scores · ")
    assert offered["scores"][mine].startswith("EAP: task greater-than, n 2 · ")
    places = [type(part).__name__ for part in asked]
    assert places == ["Store", "Div", "Textarea"]  # templates that are not seen may be named, so they stand last


def test_a_form_that_is_asked_of_a_graph_begins_with_its_model(home):
    store_graph("small")
    asked = form.form("here", catalogue.method_named("subgraph-test"), "", {"graph": "small"})
    (model,) = [p for part in asked for p in walked(part) if p.id["type"] == token_box.MODEL]
    assert model.value == "toy" != models.first_model()


def test_a_study_is_picked_by_its_name(home):
    parts = [part for p in form.form("here", catalogue.method_named("study"), "toy", {}) for part in walked(p)]
    (name,) = [p for p in parts if isinstance(p.id, dict) and p.id.get("of") == "name"]
    assert "two-circuits" in {one["value"] for one in name.data}
