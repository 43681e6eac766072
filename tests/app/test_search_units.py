"""The dashboard's search finds units by the tokens and the examples they hold, and says which; the answer is known by the table's
making (`tests/support/big_table.py`) and, on a real table, by the library's own search."""

import sys

import numpy as np
from big_table import big_table

from app import links
from app.frame import search
from app.frame.search_units import matched_units, waiting
from app.library import tables
from probe.features.table import open_features

GROUP = "Units by token and example"


def by_text(question: str) -> list[search.Hit]:
    return next((g.hits for g in search.search(question) if g.name == GROUP), [])


def test_a_token_finds_the_units_that_hold_it_and_what_matched(home) -> None:
    folder = big_table("big", 400, words=["/com", "/commerce"])
    table = open_features(folder)
    promoting = [u for u in range(400) if (table.column("promoted")[u] == 1).any()]
    hits = by_text("/COMMERCE")
    found = {h.href: h.title for h in hits}
    some = [u for u in promoting if links.unit_page("big", u) in found]
    assert some and all("/commerce" in h.title.lower() for h in hits)
    assert found[links.unit_page("big", some[0])].startswith(f"{table.name(some[0])} ")
    assert hits[0].note == f"latent {hits[0].href.rpartition('/')[2]} of big" and len(hits) <= search.MAX_HITS
    many = by_text("word")
    assert len(many) == search.MAX_HITS and many[-1].href == links.table_page("big", q="word")
    assert {int(h.href.rpartition("/")[2]) for h in hits if "?" not in h.href} <= set(
        table.search("/commerce", limit=400).units
    )
    assert by_text("no such text anywhere") == [] and by_text("/") == []


def test_examples_are_read_and_a_damaged_table_is_passed_over(home) -> None:
    table = open_features(big_table("fine", 60))
    big_table("torn", 60)
    (table.folder.parent / "torn" / "examples.safetensors").write_bytes(b"torn")
    first = np.flatnonzero(np.diff(table.windows[0]))[0]
    window = table.examples(int(first))[0]
    pair = "".join(window.tokens[3:5]).strip()  # across two tokens, so in none
    hits = by_text(pair)
    assert any(h.title.startswith(f"{table.name(int(first))} example") and pair in h.title for h in hits)


def test_asked_again_it_is_remembered(home) -> None:
    table = tables.open_table(big_table("big", 60).name)
    by_text("word12")
    kept = {key: id(value) for key, value in table.answers.items()}
    by_text("word12")
    assert kept and {key: id(value) for key, value in table.answers.items()} == kept


def test_before_the_tables_can_be_read_the_page_is_told_to_ask_again(home, monkeypatch) -> None:
    big_table("big", 60)
    stored = search.library()
    begun: list[bool] = []
    monkeypatch.setattr(tables, "warm", lambda: begun.append(True))
    assert not waiting("word1", stored) and matched_units("word1", stored)
    monkeypatch.setitem(sys.modules, "probe.features.table", None)
    assert waiting("word1", stored) and begun == [True] and matched_units("word1", stored) == []
    assert not waiting("w", stored) and not waiting("", stored)
