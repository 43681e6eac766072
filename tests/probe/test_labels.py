"""Labels of units: kept beside the table, one of each author, nothing lost between writers, hostile files refused."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from big_table import big_table
from typer.testing import CliRunner

from probe.artifacts.manifest import check_files, read_manifest
from probe.errors import BadInput, Unavailable
from probe.features import import_labels, labels_of, open_features, set_label
from probe.features.labels import FILE, MOST


@pytest.fixture
def folder(home) -> Path:
    return big_table("small", 20)


def test_a_label_is_kept_read_replaced_and_taken_away(folder: Path) -> None:
    assert labels_of(folder) == {}
    made = set_label(folder, 3, "  years after a war ", author="ana")
    assert made is not None and made.text == "years after a war" and made.score is None and made.date.startswith("20")
    set_label(folder, 3, "numbers", author="program", score=0.7, method="detection")
    set_label(folder, 3, "years", author="ana")
    assert [(x.author, x.text) for x in labels_of(folder)[3]] == [("program", "numbers"), ("ana", "years")]
    assert set_label(folder, 3, "", author="program") is None
    assert [x.text for x in labels_of(folder)[3]] == ["years"]
    set_label(folder, 3, "", author="ana")
    assert labels_of(folder) == {}


def test_scored_labels_come_first_then_the_newest(folder: Path) -> None:
    given = {
        "0": [
            {"text": "old", "author": "a", "date": "2020-01-01"},
            {"text": "new", "author": "b", "date": "2021-01-01"},
            {"text": "low", "author": "c", "score": 0.1, "method": "m"},
            {"text": "high", "author": "d", "score": 0.9, "method": "m"},
        ]
    }
    assert import_labels(folder, given) == 4
    assert [x.text for x in labels_of(folder)[0]] == ["high", "low", "new", "old"]


def test_the_manifest_and_its_checksums_stay(folder: Path) -> None:
    before = (folder / "manifest.json").read_bytes()
    set_label(folder, 0, "a", author="b")
    assert (folder / "manifest.json").read_bytes() == before
    assert check_files(folder, read_manifest(folder)) == []


def test_an_open_table_sees_what_is_written_later(folder: Path) -> None:
    table = open_features(folder)
    assert table.labels == {} and "label" not in table.rows([0])[0]
    set_label(folder, 4, "Verbs <b>", author="ana")
    assert table.labels[4][0].text == "Verbs <b>"
    rows = table.rows([3, 4])
    assert [r["label"] for r in rows] == ["", "Verbs <b>"]
    assert table.search(label="verb").units == [4] and table.search(label="*").units == [4]
    assert table.search(label="noun").total == 0
    then = (folder / "labels.json").stat().st_mtime_ns
    set_label(folder, 4, "Nouns", author="ana")
    os.utime(folder / "labels.json", ns=(then, then))  # two writes within one tick of the file system's clock
    assert table.labels[4][0].text == "Nouns"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": "x" * 501}, "at most 500"),
        ({"author": ""}, "a text and an author"),
        ({"author": "x" * 81}, "at most 80"),
        ({"score": 0.5}, "with the method"),
        ({"score": float("nan"), "method": "m"}, "finite|wanted"),
        ({"score": True, "method": "m"}, "number or nothing|wanted"),
        ({"text": "a\ud800"}, "half of a character"),
        ({"author": "\udfffb"}, "half of a character"),
    ],
)
def test_labels_that_cannot_be_are_refused(folder: Path, change: dict, said: str) -> None:
    given = {"text": "a", "author": "b"} | change
    with pytest.raises(BadInput, match=said):
        set_label(folder, 0, given.pop("text"), **given)
    assert not (folder / FILE).exists()


def test_units_there_are_not_are_refused_and_nothing_is_written(folder: Path) -> None:
    for unit in (20, -1):
        with pytest.raises(BadInput, match="units 0 to 19"):
            set_label(folder, unit, "a", author="b")
    with pytest.raises(BadInput, match="units 0 to 19"):
        import_labels(folder, {"1": "fine", "20": "not"}, author="b")
    with pytest.raises(BadInput, match="no number of a unit"):
        import_labels(folder, {"one": "a"}, author="b")
    with pytest.raises(BadInput, match="two labels by 'b'"):  # else the first would be lost without a word
        import_labels(folder, {"1": "a", "2": ["one", {"text": "two", "author": " b "}]}, author="b")
    with pytest.raises(BadInput, match="no number of a unit"):
        import_labels(folder, {"9" * 5000: "a"}, author="b")
    with pytest.raises(BadInput, match="author"):
        import_labels(folder, {"1": "a"})
    with pytest.raises(BadInput, match="more than"):
        import_labels(folder, {"1": [{"text": "a", "author": str(i)} for i in range(MOST + 1)]})
    assert labels_of(folder) == {}


def test_writers_at_once_lose_nothing(folder: Path) -> None:
    """Eight threads and two processes, each with labels of its own, on one file."""
    code = "import sys\nfrom probe.features import set_label as s\nfor i in range(8): s(sys.argv[1], i, 'x', author=sys.argv[2])"
    root = Path(__file__).parents[2]
    others = [subprocess.Popen([sys.executable, "-c", code, str(folder), f"process {i}"], cwd=root) for i in range(2)]

    def write(author: str) -> None:
        for unit in range(8):
            set_label(folder, unit, f"by {author}", author=author)

    threads = [threading.Thread(target=write, args=(f"thread {i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [child.wait(60) for child in others] == [0, 0]
    wanted = {*(f"thread {i}" for i in range(8)), "process 0", "process 1"}
    found = labels_of(folder)
    assert sorted(found) == list(range(8)) and all({x.author for x in found[u]} == wanted for u in range(8))


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": 1}', '{"schema": 9, "labels": {}}', '{"schema": 1, "labels": {"0": [{"text": 5}]}}']
)
def test_damaged_files_say_so_and_are_not_overwritten(folder: Path, text: str) -> None:
    (folder / FILE).write_text(text)
    with pytest.raises(Unavailable, match=r"labels\.json"):
        labels_of(folder)
    with pytest.raises(Unavailable):
        set_label(folder, 0, "a", author="b")
    assert (folder / FILE).read_text() == text


def test_the_command(folder: Path, tmp_path: Path) -> None:
    from app.cli import cli as whole

    cli = whole()
    run = CliRunner().invoke
    assert run(cli, ["label", "small", "5", "dates", "--author", "ana"]).exit_code == 0
    given = tmp_path / "given.json"
    given.write_text(
        json.dumps({"6": "names", "7": {"text": "\x1b[31mred", "author": "m", "score": 0.25, "method": "detection"}})
    )
    found = run(cli, ["label", "small", "--import", str(given), "--author", "bob"])
    assert found.exit_code == 0 and "names" in found.stdout and "0.25" in found.stdout and "\x1b" not in found.stdout
    told = json.loads(run(cli, ["label", "small", "5", "--json"]).stdout)
    assert told["5"][0]["text"] == "dates" and list(told) == ["5"]
    assert isinstance(run(cli, ["label", "none", "5", "a", "--author", "b"]).exception, BadInput | SystemExit)
