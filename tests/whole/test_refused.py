"""What the machine refuses (a full disk, no memory, a home that is gone) ends in a sentence on every door of the dashboard."""

import errno
import logging
import os

import pytest

from app.frame import shell
from app.jobs.table import Jobs
from app.server.main import create_app
from probe.artifacts.folder import home as artifacts

MEMORY = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"
)
REFUSED = {
    "full disk": (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x"), "free some space"),
    "read-only": (OSError(errno.EROFS, os.strerror(errno.EROFS), "x"), "OPENWORK_HOME"),
    "disk error": (OSError(errno.EIO, os.strerror(errno.EIO), "x"), "check it"),
    "memory": (MEMORY, "not enough memory"),
}


def raises(error: Exception):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize("what", REFUSED)
def test_a_job_a_page_a_callback_and_a_request_say_what_the_machine_refused(what, home, monkeypatch, caplog):
    error, words = REFUSED[what]
    jobs = Jobs(artifacts() / "jobs")
    job = jobs.wait(jobs.submit("experiment", "x", raises(error)).id)
    assert job.state == "failed" and words in job.message

    page = shell.Page("/full", "Full", raises(error), lambda _: None)
    shown, _ = shell.route([page], "/full", "")
    assert words in str(shown) and "went wrong" not in str(shown)

    told: list[str] = []
    monkeypatch.setattr(shell, "set_props", lambda _, given: told.append(given["sendNotifications"][0]["message"]))
    shell.explain(error)
    assert words in told[0]

    monkeypatch.setattr("app.pages.circuit_list.graph_files.stored_graph", raises(error))
    answer = create_app().server.test_client().get("/export/graph/g/openwork.json")
    assert answer.status_code == 500 and words in answer.text
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING and r.exc_info and r.name == "openwork.app"]


def test_a_bug_keeps_its_reference(home, caplog):
    jobs = Jobs(artifacts() / "jobs")
    job = jobs.wait(jobs.submit("experiment", "x", raises(RuntimeError("shape '[2]' is invalid"))).id)
    assert job.state == "failed" and "reference" in job.details and "shape" not in job.message


def test_new_work_is_queued_though_old_rows_cannot_be_removed(home, monkeypatch):
    monkeypatch.setattr("app.jobs.table._KEPT", 0)
    jobs = Jobs(artifacts() / "jobs")
    jobs.wait(jobs.submit("experiment", "x", lambda _: None).id)
    monkeypatch.setattr("pathlib.Path.unlink", raises(REFUSED["read-only"][0]))
    assert jobs.wait(jobs.submit("experiment", "y", lambda _: None).id).state == "done"
