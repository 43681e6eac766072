"""What was stored before the files moved into rooms opens as before: by reader, command and page, with the same numbers.

The numbers were written down with the code of that day. `tests/before_rooms/README.md` says how its home was made.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from harvests import token_set
from pages import drawn

import circuits
import probe
from app import links
from app.cli import run
from app.jobs import repeat_job, work
from app.jobs.table import job_table
from app.library import prompts, recent_records
from app.library.graphs import marked
from probe.activations.harvest import harvest
from probe.artifacts.folder import KINDS, home, place
from probe.artifacts.manifest import check_files, read_manifest
from probe.artifacts.names import partial
from probe.model.load import stamp
from probe.text.model_samples import sample_text
from probe.training.recipes import Recipe, make
from probe.training.trainer import TrainConfig, train

BEFORE = Path(__file__).parents[1] / "before_rooms" / "home"
CLEAN, CORRUPTED = "Mary and John went to Rome", "Mary and Mary went to Rome"
WORK = {
    "test": "subgraph-test:dfbe50f5a154f97a",
    "groups": "supernodes:6ccf64256333be5a",
    "patch": "patch:1be385f0cd3e45a2",
    "text": "unit-text:febb66c51b294f7f",
    "edit": "edit:a4177e63c40b3c36",
}
SITES = ["mlp_in.2", "mlp_out.2"]


@pytest.fixture(autouse=True)
def _before(tmp_path, monkeypatch):
    shutil.copytree(BEFORE, tmp_path / "home")
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path / "home"))
    recent_records.forget()
    yield
    recent_records.forget()


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-3)


# -- readers ---------------------------------------------------------------------------------------------------------


def test_every_kind_is_there_whole_and_of_the_model_of_today(toy):
    assert {folder for folder in KINDS.values() if any((home() / folder).iterdir())} == set(KINDS.values())
    for kind, folder in KINDS.items():
        for path in (home() / folder).glob("*[!l]/"):  # not those that end in .partial
            manifest = read_manifest(path, kind)
            assert check_files(path, manifest) == [], path
            assert manifest.model is None or manifest.model.weights == stamp(toy).weights, path


def test_a_cache(toy):
    cache = probe.open_cache("cache", toy)
    assert len(cache) == 144 and int(cache.held_out.sum()) == 12 and cache.verify() == []
    assert float(cache.mean("mlp_in.2").sum()) == near(1.30125)
    first = cache.shard(0)["blocks.2.mlp.hook_in"].flatten()[:3]
    assert first.tolist() == [-1.6171875, 0.2041015625, -1.78125]


@pytest.mark.parametrize(("name", "total", "active"), [("transcoder", 56.50554, 4), ("sae", -0.7595387, 3)])
def test_dictionaries(toy, name, total, active):
    read = probe.load_dictionary(name, toy)(torch.linspace(-1, 1, 64)[None])
    assert float(read.recons.sum()) == near(total) and int((read.latents > 0).sum()) == active


def test_a_feature_table_with_its_label(toy):
    table = probe.open_features("features", toy)
    assert len(table) == 16 and [(x.text, x.author) for x in table.labels[3]] == [("a label", "somebody")]
    assert "active at 20 of 116 tokens (17.241%), mean 10.28, max 42.59" in table.unit(3).summary()


def test_graphs_with_pins_and_groups():
    neurons, latents = circuits.load_graph("neurons"), circuits.load_graph("latents")
    assert neurons.pinned == [58, 59, 60, 61, 62, 64] and neurons.supernodes == {"a pair": [58, 59]}
    assert [len(g.nodes) for g in (neurons, latents)] == [92, 158]
    assert [len(g.edges) for g in (neurons, latents)] == [1743, 5108]
    assert float(latents.nodes.value.astype(float)[latents.explained].sum()) == near(325.9579)
    assert latents.dictionaries == {"2": "transcoder"}
    now = marked("neurons")
    assert now.view.at == {"60": [12.5, -3.0]} and [step.words for step in now.history.past] == [
        "pinned L0N96@7 ' Rome'"
    ]


def test_a_patching_sweep_and_a_blind_study():
    sweep, study = circuits.load_patching("patching"), circuits.open_study("study")
    assert "L0H2 moves it most (restores 187 %)" in sweep.summary() and "−3.819 clean" in sweep.summary()
    assert (study.unit, study.hypothesis.text, len(study.evidence)) == ("L2F5", "something", 3)


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("patch", "resid_pre.1 at 4 ' John' / ' Mary' moves it most (restores 166 %)"),
        ("text", "L2F5 is active at 4 of 8 tokens, strongest at y (position 2, 20.64)."),
        ("edit", "the likeliest token ' single' (0.114) stays ' single' (0.122); KL 0.00206 nats."),
    ],
)
def test_what_jobs_found(which, words):
    assert words in work.required(WORK[which]).summary()


def test_what_jobs_on_a_graph_found():
    test, sufficient = work.required(WORK["test"])
    assert "logit ' single' moves −8.9 (predicted −2.07), random sets −8.68." in test.summary()
    assert "6 units kept, 18 silenced (zero)" in sufficient.summary() and "keeps 66.6 %" in sufficient.summary()
    suggested = work.required(WORK["groups"])
    assert suggested.compared == 19 and [(g.name, g.nodes) for g in suggested.groups] == [("all of them", (60, 61, 62))]


def test_rows_of_jobs_and_prompts():
    for file in (home() / "jobs").iterdir():
        row = json.loads(file.read_text())
        file.write_text(json.dumps({**row, "state": "running"}))  # as a server leaves them that is killed
    rows = job_table().all()
    assert sorted(row.key for row in rows) == sorted(WORK.values()) and {row.state for row in rows} == {"interrupted"}
    assert all(repeat_job.can_repeat(row) for row in rows)
    assert {prompt.text for prompt in prompts.recent()} == {CLEAN, CORRUPTED}


# -- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("graph show neurons", ["L0N96@7", "a pair"]),
        ("graph show latents --node L2F5", ["L2F5@"]),
        ("blind show study", ["L2F5", "something"]),
        ("runs", ["training", "153", "0.2616", "transcoder", "finished", "0.2375"]),
        ("features label features", ["a label", "somebody"]),
        ("features --dictionary transcoder --cache cache --name features --resume --unit 3", ["17.24", "42.59"]),
        ("eval --dictionary transcoder --cache cache --max-tokens 64 --name eval --resume --json", ["2.27376863517"]),
        ("doctor", []),
    ],
)
def test_commands_show_it(capsys, asked, words):
    code = run(asked.split())
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert not [w for w in words if w not in printed.out], printed.out


# -- pages -----------------------------------------------------------------------------------------------------------


def addresses() -> dict[str, tuple[str, list[str]]]:
    """Addresses, and what stands on each."""
    clean, corrupted = (prompts.prompt_id(text) for text in (CLEAN, CORRUPTED))
    sweep = {"right": " the", "wrong": " and", "over": "resid_pre", "dir": "denoise", "control": "1"}
    return {
        "home": (links.HOME, ["transcoder", "neurons"]),
        "cache": ("/?shelf=cache", ["cache"]),
        "prompts": (links.PROMPTS, [CORRUPTED]),
        "units": (links.UNITS, ["features"]),
        "table": (links.table_page("features"), ["features"]),
        "unit": (links.unit_page("features", 5, edit=WORK["edit"]), ["L2F5", "KL 0.00206 nats"]),
        "label": (links.unit_page("features", 3), ["a label"]),
        "circuits": (links.CIRCUITS, ["neurons", "latents"]),
        "circuit": (
            links.circuit_page("neurons", test=WORK["test"], groups=WORK["groups"]),
            ["the graph predicted", WORK["groups"]],
        ),
        "patching": (links.patching_page("toy", clean, corrupted, **sweep), ["resid_pre"]),
        "stored patching": (links.address(links.PATCHING, stored="patching"), [CLEAN]),
        "training": (links.TRAINING, ["transcoder", "training"]),
        "run": (links.run_page("transcoder"), ["skip"]),
        "result": (links.result_page("eval"), ["2.27"]),
        "sweep": (links.result_page("sweep"), ["skip_transcoder"]),
        "jobs": (links.JOBS, ["Jobs"]),
    }


@pytest.mark.parametrize("page", addresses())
def test_pages_show_it(page, monkeypatch):
    address, words = addresses()[page]
    text = drawn(address, monkeypatch)
    assert not [w for w in words if w not in text], text[:2000]
    assert "is damaged" not in text and "cannot be read" not in text


# -- unfinished ones -------------------------------------------------------------------------------------------------


def test_an_unfinished_harvest_goes_on(toy):
    begun = (partial(place("cache", "harvesting")) / "shard-00000.safetensors").stat().st_mtime_ns
    cache = harvest(
        toy,
        token_set(12),
        SITES,
        place("cache", "harvesting"),
        dtype="bfloat16",
        shard_tokens=48,
        held_out=0.2,
        resume=True,
    )
    assert (cache.folder / "shard-00000.safetensors").stat().st_mtime_ns == begun, "what was there is kept"
    whole = probe.open_cache("cache")
    torch.testing.assert_close(cache.mean("mlp_in.2"), whole.mean("mlp_in.2"), rtol=1e-3, atol=1e-4)


def test_an_unfinished_training_goes_on(tmp_path):
    cache, recipe = probe.open_cache("cache"), Recipe("skip_transcoder", "topk:4", 16)
    config = TrainConfig(epochs=2, batch=16, checkpoint_every=2)
    begun = partial(place("dictionary", "training"))
    assert (begun / "checkpoint.safetensors").stat().st_size > 50_000
    resumed = train(make(cache, recipe), cache, config, place("dictionary", "training"), resume=True).dictionary
    whole = train(make(cache, recipe), cache, config, tmp_path / "whole").dictionary
    for (name, one), two in zip(resumed.state_dict().items(), whole.state_dict().values(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4, msg=name)
    assert not begun.exists()


def test_an_unfinished_sample_goes_on(toy):
    first = (partial(place("text", "sampling")) / "00000000.json").read_bytes()
    sample_text(toy, place("text", "sampling"), 6, length=8, batch=2, resume=True)
    sample_text(toy, place("text", "anew"), 6, length=8, batch=2)
    whole, anew = (list(probe.text.corpus(place("text", n) / "text.parquet")) for n in ("sampling", "anew"))
    assert [d.text for d in whole] == [d.text for d in anew] and len(whole) == 6 and first
