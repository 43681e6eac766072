"""The place on a page where work is waited for: it must never call work lost that has just ended."""

from types import SimpleNamespace

from app import jobs, work
from app.components.slot import slot
from app.job import Job

KEY = work.key_of("test", "slot")


def table_where(monkeypatch, look):
    monkeypatch.setattr(jobs, "table", lambda: SimpleNamespace(latest=look))


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
    assert "no longer in memory" in str(shown) and done is None and over


def test_work_that_runs_is_asked_for_again(home, monkeypatch):
    table_where(monkeypatch, lambda key: Job(id="1", kind="experiment", title="Work", key=key, state="running"))
    shown, done, over = state_of(slot("here", work.key_of("test", "running")))
    assert "Work" in str(shown) and done is None and not over
