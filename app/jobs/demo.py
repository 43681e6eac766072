"""The demonstration as a job."""

from typing import Any

from app.jobs import table as jobs
from app.library import models
from app.links import circuit_page
from probe.errors import BadInput

DEMOS = {"demo": "demo-transcoder", "toy-demo": "toy-demo-transcoder"}
"""The two demos by name, and the graph that each ends with."""


def start_demo(name: str) -> jobs.Job:
    """Queue the bundled demo: the default model's, or the toy's. What an earlier run finished is opened, not made again."""
    if name not in DEMOS:
        raise BadInput(f"'{name}' is no demo; there are {' and '.join(DEMOS)}.")
    title = "The demo" if name == "demo" else "The small demo"
    link = circuit_page(DEMOS[name])
    return jobs.table().submit(
        "demo", title, lambda p: _demo(name, link, p), key=f"demo:{name}", link=link, again=["demo", {"name": name}]
    )


def _demo(name: str, link: str, progress: Any) -> str:
    from app.demo import SMALL, DemoConfig, run_demo

    run_demo(DemoConfig() if name == "demo" else SMALL, progress, models.model_named)
    return link
