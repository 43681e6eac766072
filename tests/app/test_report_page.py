"""Any stored result has a page: numbers, tables, bounded; damaged files are a sentence."""

import json

import pytest
from pages import as_json

from app import links
from app.components.plain_rows import ROWS, row_data
from app.pages import report
from probe.artifacts.folder import place
from probe.artifacts.json import write_json
from probe.artifacts.manifest import Manifest, writing
from probe.errors import OpenworkError, Unavailable
from probe.methods import stored_report as module
from probe.methods.stored_report import numbers, tables

REPORT = {
    "fvu": 0.25,
    "kind": "<b>sae</b>",
    "errors": {"fvu": 0.01, "deep": {"er": 1}},
    "steps": [{"step": "a", "seconds": 1.5, "nested": [1]}, {"step": "b", "seconds": None, "ok": True}],
    "more": {"rows": [{"x": i} for i in range(500)]},
    "bulk": list(range(10)),
}


def stored(name: str, value) -> None:
    with writing(place("result", name), Manifest("result", name, None, (), facts={})) as folder:
        write_json(folder / "report.json", value)


def test_numbers_and_tables_are_found_by_place():
    assert numbers(REPORT) == [
        ("fvu", 0.25),
        ("kind", "<b>sae</b>"),
        ("errors fvu", 0.01),
        ("errors deep er", 1),
    ]
    assert [(name, len(rows)) for name, rows in tables(REPORT)] == [("steps", 2), ("more rows", 500)]
    data = row_data("steps", REPORT["steps"])
    kinds = [("step", "text"), ("seconds", "num"), ("nested", "text"), ("ok", "text")]
    assert [(c["key"], c["kind"]) for c in data["columns"]] == kinds and data["rows"][1]["ok"] == "yes"
    long = row_data("rows", REPORT["more"]["rows"])
    assert len(long["rows"]) == ROWS > long["page"] > 0  # the page shows so many at first, and a button for more


def test_a_result_has_a_page(home):
    stored("one", REPORT)
    page = as_json(report.layout("one", {}))
    assert "0.25" in page and "The first 300 of 500" in page and "errors fvu" in page
    stored("empty", {})
    assert "holds no numbers" in as_json(report.layout("empty", {}))


def test_damaged_or_huge_files_are_a_sentence(home, monkeypatch):
    stored("torn", REPORT)
    (place("result", "torn") / "report.json").write_text('{"a": ')
    with pytest.raises(OpenworkError):
        report.layout("torn", {})
    stored("deep", json.loads("[" * 900 + "]" * 900))
    with pytest.raises(Unavailable, match="nested"):
        report.layout("deep", {})
    monkeypatch.setattr(module, "LARGEST", 10)
    stored("large", REPORT)
    with pytest.raises(Unavailable, match="are read"):
        report.layout("large", {})


def test_results_open_the_page_that_shows_them():
    assert links.artifact_page("result", "e") == "/results/e"
    assert links.artifact_page("result", "p", "patching") == "/patching?stored=p"


@pytest.mark.parametrize("damage", ["a link to other bytes", "a link to the same bytes", "gone"])
def test_a_file_that_was_stored_is_not_passed_over_where_it_is_damaged(home, tmp_path, damage):
    stored("kept", REPORT)
    path, other = place("result", "kept") / "report.json", tmp_path / "other.json"
    other.write_bytes(path.read_bytes() if "same" in damage else b"{}")
    path.unlink()
    if damage != "gone":
        path.symlink_to(other)
    with pytest.raises(Unavailable, match=r"link|cannot be read"):
        report.layout("kept", {})
