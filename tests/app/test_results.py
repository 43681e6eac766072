"""What a job found is stored under its key: it outlives the memory and the process, and is shown where it was asked for."""

import json

import numpy as np
import pytest

from app.components.cards import artifact_card as card
from app.jobs import results, work
from app.jobs import table as jobs
from app.library import recent_records
from app.library.artifacts import library
from app.pages import report
from circuits.patching.pair import read_pair
from circuits.patching.sweep import patch_sweep
from circuits.supernodes.groups import Group
from circuits.supernodes.suggestions import Suggested
from circuits.validation.records import Movements, PromptTest, RootEffect, SetEffect, SubgraphTest
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest
from probe.artifacts.records import read_record, write_record
from probe.errors import Unavailable
from probe.features.on_text import on_text
from probe.interventions.edited_run import edited_run
from probe.methods.stored_report import stored_report
from probe.statistics import Agreement


@pytest.fixture(autouse=True)
def _forgetful():
    recent_records.forget()


def a_test() -> SubgraphTest:
    moved = Movements(*(np.array([0.1 * i, np.nan, -1.0]) for i in range(4)))
    root = RootEffect(
        root="logit ' b'",
        value=1.0,
        predicted_direct=0.1,
        direct=0.2,
        predicted_full=0.3,
        full=0.4,
        probability=0.7,
        probability_after=0.1,
    )
    effects = [SetEffect(0.0, 0.1 * i, -0.01 * i, 0.2) for i in range(3)]
    agrees = Agreement(1.0, float("nan"), 0.9, 0.1, 3)
    first = PromptTest(
        prompt="a b",
        nodes=["L0N1@0"],
        lacking=0,
        roots=[root],
        effect=effects[1],
        direct_agreement=agrees,
        full_agreement=agrees,
        random=effects,
        overlap=0.0,
        movements=moved,
    )
    return SubgraphTest("ablate", 0.0, [first], 0, {"ablation": "zero"})


def plain(record):
    """Everything in a record as nested plain values, arrays with their type."""
    if isinstance(record, np.ndarray):
        return (str(record.dtype), record.shape, [None if x != x else x for x in record.ravel().tolist()])
    if isinstance(record, dict):
        return {k: plain(v) for k, v in record.items()}
    if isinstance(record, list | tuple):
        return type(record)(plain(v) for v in record)
    if hasattr(record, "__dataclass_fields__"):
        return {k: plain(getattr(record, k)) for k in record.__dataclass_fields__} | {"": type(record).__name__}
    return None if isinstance(record, float) and record != record else record


@pytest.fixture(scope="module")
def found(toy):
    """One record of each kind that jobs store."""
    pair = ("one two three", "one two four")
    group = Group("g", (1, 2), 0.5, {"tops": None}, ("a",))
    return {
        "test": (a_test(), None),
        "groups": Suggested((group,), 12, "by neighbours"),
        "edit": edited_run(toy, pair[0], [], generate=2),
        "text": on_text(toy, pair[0], 3, layer=0),
        "sweep": patch_sweep(toy, *pair, metric="kl", over="resid_pre", control=1),
        "pair": read_pair(toy, *pair, metric="kl"),
    }


@pytest.fixture(scope="module")
def toy():
    from probe.model.load import load_model

    return load_model("toy")


@pytest.mark.parametrize("kind", ["test", "groups", "edit", "text", "sweep", "pair"])
def test_a_record_comes_back_as_it_was(kind, found, tmp_path):
    write_record(tmp_path, found[kind])
    assert plain(read_record(tmp_path)) == plain(found[kind])


OLD = {
    "circuits.validation.records": "circuits.truth.records",
    "probe.statistics": "circuits.truth.stats",
    "probe.interventions.edited_run": "probe.edited",
    "probe.artifacts.manifest": "probe.artifact",
}
"Modules by the names that results of before have."


@pytest.mark.parametrize("kind", ["test", "edit", "pair"])
def test_a_result_that_names_modules_as_they_were_opens(kind, found, tmp_path):
    write_record(tmp_path, found[kind])
    text = (tmp_path / "record.json").read_text()
    for new, old in OLD.items():
        text = text.replace(f'"{new}:', f'"{old}:')
    assert any(f'"{old}:' in text for old in OLD.values())
    (tmp_path / "record.json").write_text(text)
    assert plain(read_record(tmp_path)) == plain(found[kind])


def test_a_file_names_no_other_code_and_a_damaged_one_is_refused(tmp_path):
    for tree in (
        {"@": "os:system", "command": "x"},
        {"@": "circuits.supernodes.suggestions:Suggested", "groups": []},
        {"@": "array", "name": "a0"},
        {"@": "nothing"},
        {"no": "mark"},
    ):
        (tmp_path / "record.json").write_text(json.dumps(tree))
        with pytest.raises(Unavailable, match="damaged"):
            read_record(tmp_path)
    with pytest.raises(TypeError, match="cannot be stored"):
        write_record(tmp_path, object())


def submitted(home, record, runs):
    key = work.key_of("subgraph-test", "g", 1)

    def run(progress):
        runs.append(1)
        return record

    said = {"page": f"/circuits/g?test={key}", "about": ("g",), "command": "openwork graph test g --pinned"}

    def store(found):
        results.keep(key, "Test 1 pinned node of g", found, options={"nodes": ["L0N1@0"], "mode": "ablate"}, **said)

    asked = work.Work(key, "Test 1 pinned node of g", run, f"/circuits/g?test={key}", "graph", store)
    assert work.submit(asked) == key
    if job := jobs.job_table().latest(key):
        assert jobs.job_table().wait(job.id).state == "done" and job.link == asked.link
    return key


def test_a_result_outlives_memory_and_process(home):
    runs, record = [], (a_test(), None)
    key = submitted(home, record, runs)
    recent_records.forget()  # as after a restart
    jobs.forget()
    assert plain(work.result(key)) == plain(record)
    submitted(home, record, runs)
    assert runs == [1]  # what is stored is not made again
    manifest = read_manifest(results.folder_of(key), "result")
    assert manifest.parents == ("g",) and manifest.config["nodes"] == ["L0N1@0"] and "graph test g" in manifest.command
    assert [m.name for m in results.of("subgraph-test", "g")] == [manifest.name] and not results.of("edit", "g")
    assert jobs.job_table().latest(key).link == f"/circuits/g?test={key}"  # its row leads to it after the restart


def test_a_stored_result_is_on_its_shelf_and_says_where_it_was_made(home):
    key = submitted(home, (a_test(), None), [])
    ((folder, manifest),) = library().kinds["result"]
    shown = card("result", folder, manifest)
    assert shown.href == f"/circuits/g?test={key}" and "Test 1 pinned node of g" in str(shown)
    page = str(report.layout(folder.name, {}))
    assert "Open it where it was made" in page and "@" not in str(stored_report(folder).report)
    for odd in ("//evil", "https://evil", "javascript:x", "/\\evil", 3, None):
        assert results.page_of(type(manifest)(**{**vars(manifest), "facts": {**manifest.facts, "page": odd}})) is None


def test_a_damaged_result_is_made_again(home):
    runs = []
    key = submitted(home, (a_test(), None), runs)
    path = place("result", key.replace(":", "-")) / "record.json"
    path.write_text(path.read_text().replace("0.7", "0.9"))
    recent_records.forget()
    assert work.result(key) is None
    submitted(home, (a_test(), None), runs)
    assert len(runs) == 2 and work.result(key)[0].first.roots[0].probability == 0.7


def test_an_address_gives_only_keys_of_its_kind_that_are_known(home):
    key = submitted(home, (a_test(), None), [])
    assert work.given(key, "subgraph-test") == key
    assert not any(
        work.given(odd, "subgraph-test") for odd in (None, "", key + "0", "edit:1", "../x", "subgraph-test:/")
    )
    assert work.given(key, "edit") is None
