"""What the page of patching asks beside its sweep: blocks of their own methods, which follow the clean prompt."""

import json

from pages import drawn

from app.jobs import table as jobs
from app.pages.patching import beyond
from app.pages.patching.address import Asked
from probe.methods.catalogue import method_named

BLOCKS = (beyond.TRACED, beyond.BLOCKED, beyond.PATHS)


def test_each_block_asks_what_its_method_takes():
    for block in BLOCKS:
        assert {*block.fields} <= {p.name for p in method_named(block.method).parameters}, block.method
        assert {*block.of} <= {p.name for p in method_named(block.method).parameters}


def test_the_page_has_them_and_gives_them_its_clean_prompt(home, monkeypatch):
    monkeypatch.setattr(jobs.Jobs, "_loop", lambda *_: None)  # the page asks; nothing needs to run
    page = drawn("/patching?m=toy&example=0", monkeypatch)
    for block in BLOCKS:
        assert block.title in page and block.note in page
    assert "patching-of-clean" in drawn("/patching?m=toy", monkeypatch)
    pair = {"clean": "When Mary went to", "corrupted": "When John went to"}
    parts = json.dumps(
        [part.to_plotly_json() for part in beyond.beyond(Asked("toy", pair), {})], default=lambda o: o.to_plotly_json()
    )
    assert parts.count('"data": {"prompt": "When Mary went to"}') == len(beyond.OF_PROMPT)
    assert beyond.of_clean({}) == {}
