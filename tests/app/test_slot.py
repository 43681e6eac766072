"""The place on a page where work is waited for: it must never call work lost that has just ended."""

import threading
from types import SimpleNamespace
from typing import Any

from app.components.polling import LOST
from app.components.slot import slot, waiting, waits_for
from app.jobs import table as jobs
from app.jobs import work
from app.jobs.job import Job
from app.methods.result_view import result_view
from app.server.main import create_app

KEY = work.key_of("test", "slot")


def table_where(monkeypatch, look):
    monkeypatch.setattr("app.components.slot.job_table", lambda: SimpleNamespace(latest=look))


def state_of(made):
    """What the slot shows, and the key it announces."""
    parts = {child.id: child for child in made.children}
    announced = getattr(parts["here-done"], "data", None)
    return parts["here-state"].children, announced, parts["here-tick"].disabled


def test_work_that_ends_while_it_is_looked_at_is_found(home, monkeypatch):
    def look(key):
        work.keep(key, "found")  # it ends at this very moment
        return Job(id="1", kind="experiment", title="Work", key=key, state="done")

    table_where(monkeypatch, look)
    assert state_of(slot("here", KEY)) == (None, KEY, True)


def test_work_that_has_ended_and_left_memory_says_so(home, monkeypatch):
    table_where(monkeypatch, lambda key: Job(id="1", kind="experiment", title="Work", key=key, state="done"))
    shown, done, over = state_of(slot("here", work.key_of("test", "forgotten")))
    assert "not kept any more" in str(shown) and done is None and over


def test_work_that_ends_while_a_page_is_laid_out_without_it_is_told_later(home, monkeypatch):
    """Between the page's look and the slot's: what is laid out calls nothing, so the page would wait for ever."""
    key = work.key_of("test", "between")
    work.keep(key, "found")
    assert state_of(slot("here", key, shown=False)) == (None, None, False)

    late = work.key_of("test", "a view")
    table_where(monkeypatch, lambda asked: work.keep(asked, "found"))
    laid_out: Any = result_view("here", {"method": "logit-lens"}, late)
    *_, box, _, panels = laid_out
    ticks = [child for child in box.children if child.id["type"] == "block-tick"]
    assert "ow-skeleton" in str(panels) and not ticks[0].disabled


def test_every_poll_rests_while_it_is_answered_and_asks_for_one_thing(home):
    """Without it a server slower than the poll is asked for ever: the browser drops an answer that a new asking overtook."""
    callbacks = create_app().server.test_client().get("/_dash-dependencies").json
    polls = [(i["id"], one) for one in callbacks for i in one["inputs"] if i["property"] == "n_intervals"]
    names = [name for name, _ in polls]
    assert len(names) > 8 and len(set(names)) == len(names)
    for name, callback in polls:
        assert callback["running"]["running"] == {f"{name}.interval": LOST}, name


def test_work_that_ends_after_its_result_was_looked_for_is_asked_for_again(home, monkeypatch):
    """The job is the table's own and changes: it runs when it is read, and is done when it is shown."""
    job = Job(id="1", kind="experiment", title="Work", key=KEY, state="running")
    table_where(monkeypatch, lambda key: job)

    def looked(key):
        job.state = "done"

    monkeypatch.setattr(work, "result", looked)
    shown, done, over = state_of(slot("here", KEY))
    assert "not kept" not in str(shown) and done is None and not over


def test_work_that_runs_is_asked_for_again(home, monkeypatch):
    table_where(monkeypatch, lambda key: Job(id="1", kind="experiment", title="Work", key=key, state="running"))
    shown, done, over = state_of(slot("here", work.key_of("test", "running")))
    assert "Work" in str(shown) and done is None and not over


def test_what_waits_says_for_what_and_stops_at_once(home):
    """Behind a running job a queued one names it; alone, nothing is said to be waited for; what runs no model waits for none."""
    table, gate, began = jobs.job_table(), threading.Event(), threading.Event()

    def hold(progress):
        began.set()
        gate.wait(20)

    long = table.submit("graph", "Test 10 pinned nodes", hold, key="a:1")
    began.wait(20)
    behind = table.submit("trace", "Trace a prompt", lambda p: None, key="a:2")
    reading = table.submit("read", "Read a prompt", lambda p: None, key="a:3")
    compared = table.submit("graph", "Compare g with h", lambda p: None, key="a:4", alone=True)
    try:
        assert table.wait(compared.id, 20).state == "done" and long.state == "running"
        assert waits_for(reading) == "waits for “Test 10 pinned nodes”"  # seconds of reading go first
        assert waits_for(behind) == "waits for “Test 10 pinned nodes” and 1 other job"
        assert "Cancel" in str(waiting(behind)) and "Cancel" in str(waiting(long))
        table.cancel(behind.id)
        assert behind.state == "cancelled"
    finally:
        gate.set()
    assert table.wait(long.id).state == table.wait(reading.id).state == "done"
    assert waits_for(Job(id="9", kind="trace", title="t")) == "about to begin"
