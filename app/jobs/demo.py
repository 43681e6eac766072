"""The demonstration as a job."""

from app.jobs.job import Job
from app.jobs.repeat_job import Arguments, task
from app.jobs.table import job_table
from app.library import models, prompts
from app.links import circuit_page
from probe.errors import BadInput
from probe.progress import Progress

DEMOS = {"demo": "demo-transcoder", "toy-demo": "toy-demo-transcoder"}
"""The two demos by name, and the graph that each ends with."""


def start_demo(name: str) -> Job:
    """Queue the bundled demo: the default model's, or the toy's. What an earlier run finished is opened, not made again."""
    if name not in DEMOS:
        raise BadInput(f"'{name}' is no demo; there are {' and '.join(DEMOS)}.")
    title = "The demo" if name == "demo" else "The small demo"
    link = circuit_page(DEMOS[name])
    return job_table().submit(
        "demo", title, lambda p: _demo(name, link, p), key=f"demo:{name}", link=link, again=["demo", {"name": name}]
    )


def _demo(name: str, link: str, progress: Progress) -> str:
    from circuits.demo.config import SMALL, DemoConfig
    from circuits.demo.run import run_demo

    config = DemoConfig() if name == "demo" else SMALL
    prompts.store(config.prompt, config.model)
    run_demo(config, progress, models.model_named)
    return link


@task("demo")
def _again(arguments: Arguments) -> None:
    start_demo(arguments["name"])
