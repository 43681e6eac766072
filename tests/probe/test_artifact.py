"""Artifacts are whole or absent, say what they are, and refuse to be taken for something else."""

import json

import pytest
from safetensors import SafetensorError

from probe.artifacts.folder import place, require_writable
from probe.artifacts.json import write_json
from probe.artifacts.manifest import Manifest, ModelStamp, check_files, read_manifest, writing
from probe.artifacts.refuse_other_model import check_model
from probe.errors import BadInput, Cancelled, Unavailable
from probe.progress import Watched

STAMP = ModelStamp("toy", "a" * 32, "b" * 32)


def make(name: str = "x", text: str = "hello", replace: bool = False):
    folder = place("result", name)
    with writing(folder, Manifest("result", name, STAMP, facts={"n": 1}), replace=replace) as scratch:
        (scratch / "a.txt").write_text(text)
    return folder


def make_half_of(scratch):
    (scratch / "a.txt").write_text("second")
    (scratch / "missing.txt").read_text()


def test_written_and_read_again(home):
    folder = make()
    manifest = read_manifest(folder, "result")
    assert manifest.model == STAMP and manifest.facts == {"n": 1} and manifest.created and manifest.command
    assert check_files(folder, manifest) == [] and list(folder.parent.iterdir()) == [folder]


def test_a_failure_leaves_the_old_one_whole_and_no_litter(home):
    folder = make(text="first")
    with (
        pytest.raises(Unavailable, match="No such file"),
        writing(folder, Manifest("result", "x"), replace=True) as scratch,
    ):
        make_half_of(scratch)
    assert (folder / "a.txt").read_text() == "first" and [p.name for p in folder.parent.iterdir()] == ["x"]
    with pytest.raises(BadInput, match="exists already"):
        make(text="third")
    assert (make(text="third", replace=True) / "a.txt").read_text() == "third"


def test_no_space_is_a_sentence(home):
    with pytest.raises(Unavailable, match="free some space"), writing(place("result", "x"), Manifest("result", "x")):
        raise OSError(28, "No space left on device")
    assert not place("result", "x").exists()


def test_a_full_disk_is_a_sentence_whoever_met_it(home):
    with pytest.raises(Unavailable, match="free some space"), writing(place("result", "x"), Manifest("result", "x")):
        raise SafetensorError("I/O error: No space left on device (os error 28)")
    assert not place("result", "x").exists()


def test_places_that_cannot_be_written_are_refused(tmp_path):
    require_writable(tmp_path / "new" / "x.json")
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "file" / "x.json", "Nothing can be written")):
        (tmp_path / "file").write_text("")
        with pytest.raises(BadInput, match=words):
            require_writable(path)


def test_changed_and_missing_files_are_named(home):
    folder = make()
    (folder / "a.txt").write_text("hellp")
    assert check_files(folder, read_manifest(folder)) == ["a.txt"]
    (folder / "a.txt").unlink()
    assert check_files(folder, read_manifest(folder)) == ["a.txt"]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda m: "{", Unavailable, "damaged"),
        (lambda m: json.dumps([1]), Unavailable, "damaged"),
        (lambda m: json.dumps({**m, "schema": 99}), BadInput, "Upgrade"),
        (lambda m: json.dumps({**m, "kind": "graph"}), Unavailable, "not what was written"),
        (lambda m: json.dumps({**m, "kind": "graph", "digest": None}), BadInput, "a result was wanted"),
        (lambda m: json.dumps({**m, "facts": {"fvu": [1]}, "digest": None}), Unavailable, "facts.fvu is"),
        (lambda m: json.dumps({**m, "files": {"../x": "0"}, "digest": None}), Unavailable, "files names"),
    ],
)
def test_manifests_that_cannot_be_used(home, change, error, words):
    folder = make()
    path = folder / "manifest.json"
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(error, match=words):
        read_manifest(folder, "result")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b"])
def test_names_cannot_leave_the_home(name, home):
    with pytest.raises(BadInput, match="cannot name"):
        place("graph", name)


def test_another_model_is_refused_by_what_differs(home):
    folder = make()
    check_model(read_manifest(folder), STAMP, folder)
    for other, part in (
        (ModelStamp("toy", "c" * 32, "b" * 32), "weights"),
        (ModelStamp("toy", "a" * 32, "c" * 32), "tokenizer"),
    ):
        with pytest.raises(BadInput, match=part):
            check_model(read_manifest(folder), other, folder)


def test_json_is_replaced_whole_and_refuses_nan(tmp_path):
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_watched_progress_tells_and_cancels():
    seen = []
    watched = Watched(seen.append, interval=0)
    with watched.stage("work", total=4, unit="tok") as step:
        step(2)
    assert seen[-1].done == 2 and seen[-1].total == 4 and seen[-1].eta is not None
    watched.cancel()
    with pytest.raises(Cancelled, match="cancelled"), watched.stage("work", total=4) as step:
        step(1)
