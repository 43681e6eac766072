"""Whatever lies in the home and whoever asks: every page still answers with a sentence, and nothing is lost or half written."""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import damaged
import pytest
from pages import drawn
from records import HOSTILE, heads_of, lens_of, small_graph, store_graph, units_of

from app import links
from app.frame import search, shell
from app.jobs import readings
from app.jobs import readings as jobs_readings
from app.jobs import repeat_job as repeating
from app.jobs import table as jobs
from app.jobs.job import Job, read_job
from app.library import artifacts, labels, models, prompts, recent_records
from app.library import models as library_models
from app.pages import PAGES
from app.pages.circuit import page as graph_page
from app.server.main import create_app
from probe.artifacts.folder import KINDS, place
from probe.artifacts.manifest import Manifest, ModelStamp, check_files, read_manifest
from probe.errors import BadInput
from probe.model.sizes import TOY, model_size

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server():
    return create_app().server


@pytest.fixture
def client(server, home):
    return server.test_client()


@pytest.fixture(autouse=True)
def _quiet():
    """What a page has queued ends with the test that laid it out."""
    yield
    for table in list(jobs._tables.values()):
        for job in table.active():
            table.cancel(job.id)
            table.wait(job.id, 120)


def addresses(names: dict[str, list[str]], prompt: str = "0123456789ab") -> list[str]:
    """Every page, with and without what these artifacts would put into its address."""
    found = [path for _, path, _, _ in search.PAGES]
    found += [f"/?shelf={kind}" for kind in KINDS]
    for name in [n for kind in names.values() for n in kind]:
        found += [
            links.circuit_page(name),
            links.circuit_of_result(name),
            links.circuits_beside(name, name),
            links.table_page(name),
            links.run_page(name),
            links.result_page(name),
            links.address(links.PATCHING, stored=name),
        ]
        found += [links.unit_page(name, 0), links.latent_page(name, 7)]
    for model in ("toy", "nothing", damaged.MARKUP):
        found += [links.heads_page(model, prompt), links.lens_page(model, prompt), links.prompt_page(prompt, model)]
        found += [
            links.patching_page(model, prompt, prompt),
            links.neuron_page(model, 1, 3),
            links.beside_page(prompt, prompt, model),
            links.method_page("sinks", {"m": model, "prompt": prompt, "ratio": "-1", "beside": model}),
            links.method_page(model),
        ]
    return found


def test_the_addresses_tried_reach_every_page():
    tried = addresses({"graph": ["x"]})
    for page in PAGES:
        assert any(re.fullmatch(page.pattern, urlsplit(a).path) for a in tried), page.pattern


# -- artifacts -------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_every_page_lives_with_damaged_artifacts_of_every_kind(home, monkeypatch):
    bad = {}
    for address in addresses(damaged.fill(home)):
        try:
            drawn(address, monkeypatch)
        except AssertionError as error:
            bad[address] = str(error).splitlines()[0]
    assert not bad, "\n".join(bad.values())
    text = drawn("/", monkeypatch)
    assert "cannot be read" in text and "openwork doctor" in text


def test_every_page_lives_in_an_empty_home(home, monkeypatch):
    for address in addresses({"graph": ["none"]}):
        drawn(address, monkeypatch)


@pytest.mark.parametrize("kind", KINDS)
def test_torn_and_foreign_manifests_are_told_not_shown(home, kind):
    damaged.fill(home)
    told = {name for name, _ in artifacts.library().damaged}
    for how in ("torn", "empty", "other", "binary", "list", "deep"):
        assert f"{KINDS[kind]}/{kind}-{how}" in told, how
    assert all(len(reason) < 600 for _, reason in artifacts.library().damaged)


def test_damaged_prompts_and_job_files_are_passed_over(home, monkeypatch):
    sound = prompts.store("a sound prompt", "toy")
    for i, text in enumerate(("{", "[]", '{"id": 1}', "null", '{"id":"x","text":5,"model":[],"used":"y"}', "\x00\xff")):
        (home / "prompts" / f"{i:012x}.json").write_text(text)
    assert [p.id for p in prompts.recent()] == [sound.id]
    (home / "jobs").mkdir()
    bad = [
        {"created": "x"},
        {"state": "flying"},
        {"log": [1]},
        {"log": [["x", "y"]]},
        {"created": 1e300},
        {"again": [[]]},
    ]
    bad += [{"title": None}, {"pid": "1"}, {"total": "many"}, {"done": 10**30}]
    row = {"id": "a", "kind": "test", "title": "One", "state": "done", "created": 5.0, "finished": 6.0}
    for i, change in enumerate([{}, {"newer": "field"}, *bad]):
        (home / "jobs" / f"job-{i}.json").write_text(json.dumps({**row, **change}))
    (home / "jobs" / "torn.json").write_text('{"id": "a", "ki')
    assert sorted(j.id for j in jobs.job_table().all()) == ["job-0", "job-1"]
    drawn("/jobs", monkeypatch)
    drawn("/p", monkeypatch)


# -- tokens, prompts, vocabularies -----------------------------------------------------------------------------------


def read(text: str, tokens: list[str], model: str = "toy") -> prompts.Prompt:
    """A stored prompt with readings made by hand."""
    prompt = prompts.store(text, model)
    recent_records.remember("lens", model, text, lens_of(text, tokens))
    recent_records.remember("heads", model, text, heads_of(text, tokens))
    recent_records.remember("units", model, text, units_of(text, tokens))
    return prompt


BROKEN = ["\ufffd", "⟨e2 80⟩", "\ud83d", "\x00", "\x7f", "\u200b", *HOSTILE]


@pytest.mark.parametrize(
    "tokens", [BROKEN, [f" {i}" for i in range(1000)], ["only"]], ids=["broken", "thousand", "one"]
)
def test_pages_of_a_prompt_take_any_tokens(home, monkeypatch, tokens):
    prompt = read(f"tokens {len(tokens)}", tokens)
    for page in (links.prompt_page, lambda p, m: links.heads_page(m, p), lambda p, m: links.lens_page(m, p)):
        assert len(drawn(page(prompt.id, "toy"), monkeypatch).encode("utf8", "surrogatepass")) < 1_000_000


def saved_model(folder: Path, vocabulary: int) -> str:
    """A folder with a tiny random model; its tokenizer knows 466 entries, however many the model has."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from probe.model.toy import toy_tokenizer

    config = AutoConfig.for_model(
        "llama", vocab_size=vocabulary, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=24, max_position_embeddings=1100, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    toy_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> str:
    """262,144 entries, nearly all of which the tokenizer does not know."""
    return saved_model(tmp_path_factory.mktemp("wide"), 262_144)


def test_a_vocabulary_of_256k_is_read_and_shown(home, monkeypatch, wide):
    size = model_size(wide)
    assert size is not None and (size.layers, size.heads, size.vocabulary) == (2, 2, 262_144)
    store_result("wide", wide)  # its model is now one the pages offer
    prompt = prompts.store("one two three", wide)
    readings.read_prompt(wide, prompt.text)
    found = recent_records.known("lens", wide, prompt.text)
    assert found is not None and found.top_ids.max() > 1000  # ids the tokenizer has no text for
    for page in (
        links.prompt_page(prompt.id, wide),
        links.lens_page(wide, prompt.id),
        links.heads_page(wide, prompt.id),
    ):
        assert len(drawn(page, monkeypatch)) < 1_000_000
    assert len(found.figure().to_json()) < 1_000_000


def test_a_thousand_tokens_go_through_the_model(home, tmp_path):
    long = saved_model(tmp_path / "long", 466)
    store_result("long", long)  # its model is now one the pages offer
    text = "a" + " a" * 1020
    readings.reading("lens", long, text)
    found = recent_records.known("lens", long, text)
    assert found is not None and len(found.tokens) >= 1000
    with pytest.raises(BadInput, match="token"):  # more than the toy's positions: a sentence
        readings.reading("lens", "toy", text)


def test_texts_and_names_that_cannot_be_kept_are_refused_in_a_sentence(home):
    with pytest.raises(BadInput, match="half of a character"):
        prompts.store("a\ud800b", "toy")
    assert prompts.load(prompts.store("\x00 \u202e emoji 😀", "toy").id).text == "\x00 \u202e emoji 😀"
    for name in ("x" * 201, "é" * 101):
        with pytest.raises(BadInput, match="too long"):
            place("result", name)
    assert place("result", "x" * 200).name == "x" * 200


def test_no_request_loads_a_folder_of_the_machine(home, client, tmp_path, monkeypatch):
    """Not by an address, and not by a state that somebody posts by hand."""
    folder, text = saved_model(tmp_path / "other", 466), "one two three"
    loaded = []
    monkeypatch.setattr("probe.model.load.load_model", lambda name, **_: loaded.append(name))
    for name in (folder, str(tmp_path), "../other", "hub/name", "", None):
        with pytest.raises(BadInput, match="none of the models known here"):
            models.model_named(name)
    args = {"model": folder, "id": prompts.store(text, "toy").id}
    recent_records.remember("heads", folder, text, heads_of(text, ["one", " two", " three"]))
    known = client.get("/_dash-dependencies").get_json()
    one = next(c for c in known if "heads-elsewhere.children" in c["output"])
    values = {"selection": {"target": 5}, "heads-args": args}

    def named(text: str) -> object:
        return json.loads(text) if text.startswith("{") else text

    outputs = [o.rsplit(".", 1) for o in one["output"][2:-2].split("...")]
    body = {
        "output": one["output"],
        "outputs": [{"id": named(text), "property": part} for text, part in outputs],
        **{
            side: [{**s, "id": named(s["id"]), "value": values.get(s["id"])} for s in one[side]]
            for side in ("inputs", "state")
        },
        "changedPropIds": ["selection.data"],
    }
    answer = client.post("/_dash-update-component", json=body)
    assert answer.status_code == 200 and "headscores:" in answer.get_data(as_text=True)  # a job was queued
    for job in jobs.job_table().all():
        jobs.job_table().wait(job.id)
        assert (job.state, loaded) == ("failed", []) and "none of the models known here" in job.message


def store_result(name: str, model: str) -> None:
    """A result that says it is of this model."""
    from probe.artifacts.json import write_json
    from probe.artifacts.manifest import writing

    with writing(place("result", name), Manifest("result", name, ModelStamp(model, "w" * 32, "t" * 32))) as scratch:
        write_json(scratch / "report.json", {})


def test_what_another_models_weights_made_is_stale(home, toy):
    from probe.model.load import stamp

    models.model_named("toy")
    mine = stamp(toy)
    assert library_models.stale(Manifest("graph", "g", mine)) is None
    assert library_models.stale(Manifest("graph", "g", None)) is None
    assert library_models.stale(Manifest("graph", "g", ModelStamp("unknown", "w", "t"))) is None
    assert "other weights" in (
        library_models.stale(Manifest("graph", "g", ModelStamp("toy", "w", mine.tokenizer))) or ""
    )
    assert "other tokenizer" in (
        library_models.stale(Manifest("graph", "g", ModelStamp("toy", mine.weights, "t"))) or ""
    )


def test_the_page_of_a_stale_artifact_says_so(home, toy):
    from circuits.graph.store import save_graph
    from probe.model.load import stamp

    mine = stamp(toy)
    models.model_named("toy")
    for name, model in (("fits", mine), ("stale", replace(mine, weights="w" * 32))):
        save_graph(small_graph(), place("graph", name), model=model)
    notes = [graph_page.layout(name, {}) for name in ("fits", "stale")]
    said = ["other weights than toy" in str(laid) for laid in notes]
    assert said == [False, True]


def test_sizes_of_the_built_in_models_are_the_real_ones(toy):
    cfg = toy.cfg
    assert (cfg.n_layers, cfg.n_heads, cfg.d_model, cfg.d_mlp, cfg.d_vocab) == (
        *(TOY.layers, TOY.heads, TOY.d_model, TOY.d_mlp),
        TOY.vocabulary,
    )
    assert sum(p.numel() for p in toy.parameters()) == TOY.parameters


# -- requests --------------------------------------------------------------------------------------------------------

GETS = (
    "/",
    "/alive",
    "/search?q=a",
    "/export/graph/small/openwork.json",
    "/_dash-layout",
    "/_dash-dependencies",
    "/jobs",
)


@pytest.mark.parametrize("path", GETS)
def test_other_hosts_get_nothing(client, path):
    for host in ("evil.example", "127.0.0.1.evil.example", "[::2]:80"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 400 and answer.mimetype == "text/plain"


@pytest.mark.parametrize("path", ["/_dash-update-component", "/search", "/alive", "/export/graph/small/openwork.json"])
def test_posts_from_elsewhere_and_large_ones_are_refused(client, path):
    assert client.post(path, json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.post(path, json={}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    large = client.post(path, data=b"x" * 3_000_000, content_type="application/json")
    assert large.status_code in ((413,) if path == "/_dash-update-component" else (405, 413))


def test_another_sites_link_starts_no_work(client):
    """An address may run what it asks; where another site leads to it the form is filled, and nothing is run."""
    path = links.method_page("sinks", {"m": "toy", "prompt": "ids:1,2", "run": "1"})
    led = client.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert led.status_code == 302 and led.headers["Location"] == path.replace("&run=1", "").replace(":", "%3A")
    for site in ("none", "same-origin"):
        assert client.get(path, headers={"Sec-Fetch-Site": site}).status_code == 200
    assert client.get(led.headers["Location"], headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


CLIMBS = (
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "..\\..\\etc\\passwd",
    "%2e%2e%5cx",
    "../../../etc/passwd",
    "a/../../b",
    "x%00y",
)


@pytest.mark.parametrize(
    "base", ["", "/search", "/export/graph", "/assets", "/circuits", "/units/table", "/training", "/p", "/alive"]
)
def test_no_route_climbs_out(client, base):
    store_graph("small")
    for climb in CLIMBS:
        for tail in ("", "/openwork.json"):
            answer = client.get(f"{base}/{climb}{tail}")
            assert answer.status_code == 404, (base, climb, tail, answer.status_code)
            assert b"Traceback" not in answer.data and b"root:" not in answer.data and len(answer.data) < 500


def test_names_in_addresses_never_leave_their_folder(home, monkeypatch):
    (home / "secret").mkdir(parents=True)
    (home / "secret" / "manifest.json").write_text(json.dumps(damaged.manifest("graph", "SECRET")))
    for name in ("../secret", "..", ".", "/etc", "a\\..\\..\\secret", "x\0y", "~", "a" * 5000):
        for address in (
            links.circuit_page(name),
            links.table_page(name),
            links.run_page(name),
            links.latent_page(name, 1),
            links.result_page(name),
            links.address(links.PATCHING, stored=name),
        ):
            assert "SECRET" not in drawn(address, monkeypatch)


def test_links_out_of_the_home_are_not_followed(home, tmp_path, monkeypatch):
    """An artifact from elsewhere may hold symbolic links; a page shows no file of the machine through one."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "manifest.json").write_text(json.dumps(damaged.manifest("result", "SECRET")))
    (tmp_path / "outside" / "report.json").write_text('{"word": "SECRET"}')
    store_result("mine", "toy")
    (home / "results" / "away").symlink_to(tmp_path / "outside")
    (home / "results" / "mine" / "extra.json").symlink_to(tmp_path / "outside" / "report.json")
    for address in (links.result_page("away"), links.result_page("mine"), links.address(links.PATCHING, stored="away")):
        assert "SECRET" not in drawn(address, monkeypatch), address


def test_an_unforeseen_failure_has_a_reference_in_page_and_log(monkeypatch, caplog, home):
    def bug(**_):
        raise ZeroDivisionError("secret detail")

    layout, _ = shell.route([shell.Page("/x", "X", bug)], "/x", "")
    text = json.dumps(layout, default=lambda c: c.to_plotly_json())
    reference = re.search(r"reference ([0-9a-f]{6})", text)
    assert reference and reference[1] in caplog.text and "secret detail" in caplog.text
    assert "secret" not in text and "This page could not be made" in text


# -- search ----------------------------------------------------------------------------------------------------------


def found(question: str, **here: str) -> dict[str, list[search.Hit]]:
    labels.forget()  # files of labels are looked at once a second
    return {group.name: group.hits for group in search.search(question, **here)}


def test_search_finds_pages_prompts_and_artifacts(home):
    kept = prompts.store("The capital of <b>France</b>", "toy")
    store_graph("small")
    assert [h.href for h in found("circ")["Pages"]] == ["/circuits"]
    (hit,) = found("FRANCE capital")["Prompts"]
    assert hit.href == links.prompt_page(kept.id, "toy") and hit.title == "The capital of <b>France</b>"
    assert found("small")["Circuits"][0].href == "/circuits/small"
    assert found("two <b>")["Circuits"][0].title == "small"  # by its prompt
    assert len(found("")["Pages"]) == len(search.PAGES) and found("")["Recent prompts"]
    assert found("nothing like this") == {}


def test_search_knows_units_by_name(home):
    kept = prompts.store("x", "toy")
    assert [h.href for h in found("L3H1")["Units"]] == [
        *([links.heads_page("smollm2-135m", head="3.1")] if model_size("smollm2-135m") else []),
        links.heads_page("toy", head="3.1"),
    ]
    assert found("l2n5", model="toy", prompt=kept.id)["Units"][0].href == links.neuron_page("toy", 2, 5)
    assert found("3.1", model="toy", prompt=kept.id)["Units"][0].href == links.heads_page("toy", kept.id, head="3.1")
    assert all("toy" not in h.note for h in found("L9H1").get("Units", []))  # the toy has four layers
    assert "Units" not in found("L9999N999999999")


def test_search_knows_latents_and_labels(home):
    table = {"units": "latent", "n_units": 12, "layers": [[0, 1]]}
    for kind, name, facts in (
        ("features", "tab <i>", table),
        ("dictionary", "dict", {"d_dict": 8, "site_in": "mlp_in.1"}),
    ):
        folder = place(kind, name)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps(damaged.manifest(kind, name, facts=facts)))
    assert [h.href for h in found("L1F7")["Units"]] == [links.unit_page("tab <i>", 7), links.latent_page("dict", 7)]
    assert [h.href for h in found("L1F9")["Units"]] == [links.unit_page("tab <i>", 9)]
    assert "Units" not in found("L1F12") and "Units" not in found("L2F1")
    entry = {"text": "Years after <b>", "author": "ana", "date": "2026"}
    file = place("features", "tab <i>") / "labels.json"
    file.write_text(json.dumps({"schema": 1, "labels": {"3": [entry]}}))
    (hit,) = found("years")["Labels"]
    assert (hit.title, hit.href) == ("Years after <b>", links.unit_page("tab <i>", 3))
    for text in ("{", "[]", '{"labels": {"x": [{"text": 5}]}}', '{"labels": [1]}', '{"labels": {"1": 5}}'):
        file.write_text(text)
        os.utime(file, ns=(time.time_ns(), time.time_ns() + len(text)))
        assert "Labels" not in found("years")


def test_search_reads_labels_as_they_are_written(home, toy):
    from probe.features.labels import add_labels, made_label

    folder = place("features", "t")
    folder.mkdir(parents=True)
    facts = {"units": "neuron", "n_units": 9, "layers": [[0, 1]]}
    (folder / "manifest.json").write_text(json.dumps(damaged.manifest("features", "t", facts=facts)))
    add_labels(folder, {4: [("ana", made_label("months of the year", "ana"))]})
    assert [h.href for h in found("months")["Labels"]] == [links.unit_page("t", 4)]


def test_the_search_endpoint_answers_with_bounds(client, home):
    damaged.fill(home)
    answer = client.get(f"/search?q={quote(damaged.MARKUP[:12])}")
    assert answer.status_code == 200 and answer.mimetype == "application/json"
    assert sum(len(g["hits"]) for g in answer.get_json()["groups"]) <= 80
    assert client.get(f"/search?q={'x' * 201}").status_code == 400
    assert "200 characters" in client.get(f"/search?q={'x' * 201}").get_json()["error"]
    for question in ("..", "../../etc/passwd", "\x00", "%", "\\", "(", "[a", "L1H", "١٢", "L" + "9" * 190):
        answer = client.get("/search", query_string={"q": question, "m": "../x", "p": "../y"})
        assert answer.status_code == 200 and b"Traceback" not in answer.data
    assert client.get("/search", query_string={"q": "a"}, headers={"Host": "evil.example"}).status_code == 400


# -- jobs ------------------------------------------------------------------------------------------------------------


def test_a_job_keeps_a_bounded_log_and_what_to_report(home, caplog):
    table = jobs.job_table()

    def work(progress):
        for i in range(200):
            with progress.stage(f"stage {i}", total=5, unit="tok") as step:
                step(5)
        raise RuntimeError("secret detail")

    job = table.wait(table.submit("test", "Many stages", work).id)
    words = [line[1] for line in job.log]
    assert words[:3] == ["queued", "began", "stage 0, 5 tok"] and "failed: " in words[-1] and len(words) <= 80
    assert "stage 199, 5 tok" in words and job.state == "failed"
    reference = re.search(r"reference ([0-9a-f]{6})", job.details)
    assert reference and reference[1] in job.message and reference[1] in caplog.text and "secret" not in job.details
    assert read_job(home / "jobs" / f"{job.id}.json") == job


def test_jobs_that_were_called_off_and_forgotten_leave_the_worker_alive(home, monkeypatch):
    """Each click on another head calls off what the click before asked for; behind long work that makes hundreds."""
    monkeypatch.setattr(jobs, "_KEPT", 2)
    table, go = jobs.job_table(), threading.Event()
    table.submit("x", "long", lambda _: go.wait(20) and None)
    for _ in range(5):
        table.cancel(table.submit("x", "not wanted", lambda _: None).id)
    last = table.submit("x", "last", lambda _: None)
    go.set()
    assert table.wait(last.id, 20).state == "done"


def test_work_that_leaves_the_program_fails_alone(home, caplog):
    table = jobs.job_table()
    left, after = table.submit("x", "leaves", lambda _: sys.exit(3)), table.submit("x", "after", lambda _: None)
    assert table.wait(left.id, 20).state == "failed" and table.wait(after.id, 20).state == "done"
    assert "SystemExit" in left.details and "went wrong" in left.message


def test_an_ended_job_runs_again(home, monkeypatch):
    table, runs = jobs.job_table(), []

    def work(progress):
        runs.append(1)
        if len(runs) == 1:
            raise BadInput("Not the first time.")
        return "/done"

    def start(arguments):
        return table.submit("test", "Twice", work, key="twice", again=["twice", arguments])

    monkeypatch.setitem(repeating.TASKS, "twice", start)
    job = table.wait(start({}).id)
    assert job.state == "failed" and repeating.can_repeat(job)
    repeating.repeat(job.id)
    again = table.latest("twice")
    assert again is not None and again.id != job.id and table.wait(again.id).link == "/done"
    with pytest.raises(BadInput, match="start it from its page"):
        repeating.repeat("no-such-job")


def test_a_job_of_an_earlier_server_runs_again_from_its_file(home, toy):
    prompt = prompts.store("one two", "toy")
    jobs_readings.start_reading("toy", prompt)
    kept = jobs.job_table().wait(jobs.job_table().all()[0].id, 120)
    file = home / "jobs" / f"{kept.id}.json"
    raw = {**json.loads(file.read_text()), "state": "running", "pid": 0}
    (home / "jobs" / "old.json").write_text(json.dumps(raw))
    (home / "jobs" / "evil.json").write_text(json.dumps({**raw, "again": ["read", {"model": "/etc", "prompt": "x"}]}))
    (home / "jobs" / "odd.json").write_text(json.dumps({**raw, "again": ["read", {}]}))
    jobs.forget()
    old = jobs.job_table().get("old")
    assert (
        old is not None and old.state == "interrupted" and "stopped before" in old.message and repeating.can_repeat(old)
    )
    recent_records.forget()
    repeating.repeat("old")
    assert jobs.job_table().wait(jobs.job_table().latest(kept.key).id, 120).state == "done"
    for bad in ("evil", "odd"):
        with pytest.raises(BadInput):
            repeating.repeat(bad)


def test_jobs_of_a_second_server_are_listed_and_followed(home):
    from probe.processes import born

    ticks = itertools.count(step=5.0)
    table, other = jobs.Jobs(home / "jobs", clock=lambda: next(ticks)), os.getppid()
    assert table.all() == []
    theirs = Job("theirs", "trace", "Of the other", state="running", created=5.0, pid=other, born=born(other))
    theirs.write(home / "jobs")
    assert [(j.id, j.state) for j in table.all()] == [("theirs", "running")]
    theirs.state, theirs.finished = "done", 6.0
    theirs.write(home / "jobs")
    assert [(j.id, j.state) for j in table.all()] == [("theirs", "done")]
    Job("gone", "trace", "Of a dead one", state="running", created=7.0, pid=2**30).write(home / "jobs")
    assert [j.state for j in table.all()] == ["interrupted", "done"]


def test_a_process_id_used_again_does_not_keep_a_job_running(home):
    from app.jobs.job import alive
    from probe.processes import born

    other = os.getppid()
    assert alive(Job("a", "t", "T", pid=other, born=born(other)))
    assert born(other) == "" or not alive(Job("a", "t", "T", pid=other, born="1"))
    assert not alive(Job("a", "t", "T", pid=2**30))


# -- a server that is killed -----------------------------------------------------------------------------------------


def start_server(home: Path) -> tuple[subprocess.Popen, str]:
    """`openwork serve` on a free port, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "app.cli", "serve", "--port", port, "--no-browser"]
    environment = {**os.environ, "OPENWORK_HOME": str(home), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return process, found[0]
    raise AssertionError("the server did not start")


def press(base: str, demo: str) -> None:
    """What the browser sends when the button of a demo is pressed."""
    with urllib.request.urlopen(f"{base}/_dash-dependencies") as answer:
        (target,) = [d for d in json.load(answer) if any('"type":"demo"' in i["id"] for i in d["inputs"])]
    button = {"name": demo, "type": "demo"}
    name = json.dumps(button, separators=(",", ":"), sort_keys=True)
    identity, _, prop = target["output"].partition(".")
    body = {
        "output": target["output"],
        "outputs": {"id": identity, "property": prop},
        "inputs": [[{"id": button, "property": "n_clicks", "value": 1}]],
        "changedPropIds": [f"{name}.n_clicks"],
        "parsedChangedPropsIds": [f"{name}.n_clicks"],
    }
    request = urllib.request.Request(
        f"{base}/_dash-update-component", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request).close()


def job_on_disk(home: Path) -> Job:
    """The one job's file, as soon as it is there."""
    end = time.monotonic() + 20
    while not (files := list((home / "jobs").glob("[!.]*.json"))):
        assert time.monotonic() < end
        time.sleep(0.02)
    job = read_job(files[0])
    assert job is not None  # never half written
    return job


@pytest.mark.slow
def test_a_killed_server_loses_nothing_and_says_so(tmp_path, monkeypatch):
    home = tmp_path / "home"
    process, base = start_server(home)
    try:
        press(base, "toy-demo")
        end = time.monotonic() + 120
        while (job := job_on_disk(home)).stage not in ("harvest", "affine map", "train", "reconstruction"):
            assert time.monotonic() < end and job.active, job
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    monkeypatch.setenv("OPENWORK_HOME", str(home))
    stored = artifacts.library()
    assert not stored.damaged and stored.kinds["graph"]  # the neurons' graph was finished before
    for pairs in stored.kinds.values():
        for folder, manifest in pairs:
            assert check_files(folder, manifest) == [], folder
    process, base = start_server(home)
    try:
        urllib.request.urlopen(f"{base}/alive").close()
        press(base, "toy-demo")  # goes on; its table was read first, and so the old job was settled
        old = read_job(home / "jobs" / f"{job.id}.json")
        assert old is not None and old.state == "interrupted" and "stopped before" in old.message
        assert prompts.recent() and read_manifest(stored.kinds["graph"][0][0]) == stored.kinds["graph"][0][1]
        end = time.monotonic() + 120
        while not (place("graph", "toy-demo-transcoder") / "manifest.json").is_file():
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
