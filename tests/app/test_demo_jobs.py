"""The demos as jobs: each runs with its own settings."""

from app.jobs.demo import DEMOS, start_demo
from app.jobs.table import job_table
from circuits.demo.config import SMALL, DemoConfig


def test_each_demo_runs_with_its_settings(home, monkeypatch):
    ran = []
    monkeypatch.setattr("circuits.demo.run.run_demo", lambda config, *_: ran.append(config))
    assert [job_table().wait(start_demo(name).id, 20).state for name in DEMOS] == ["done", "done"]
    assert ran == [DemoConfig(), SMALL]
