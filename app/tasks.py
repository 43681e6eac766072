"""Model work that pages ask for, queued as jobs."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from app import analyses, jobs, measuring, prompts, trainings, units
from app.library import models
from app.links import circuit_page
from app.trace_asked import TraceAsked
from probe.errors import BadInput, OpenworkError


def reading_key(model: str, prompt: prompts.Prompt) -> str:
    return f"read:{model}:{prompt.id}"


def start_reading(model: str, prompt: prompts.Prompt) -> None:
    """Queue the readings unless they are in memory."""
    if any(analyses.known(a, model, prompt.text) is None for a in analyses.READINGS):
        text = prompt.text
        jobs.table().submit(
            "read",
            f"Read “{text[:40].strip()}{'…' if len(text) > 40 else ''}”",
            lambda p: analyses.read_prompt(model, text, p),
            key=reading_key(model, prompt),
            link=f"/p/{prompt.id}?m={quote(model)}",
            again=["read", {"model": model, "prompt": prompt.id}],
        )


def start_trace(model: str, text: str, asked: TraceAsked | None = None) -> str:
    """Queue a trace and return the page that shows it; another question is another graph."""
    asked = asked or TraceAsked()
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in text[:32].lower()).split()
    options = f":{asked.words}" if asked != TraceAsked() else ""
    name = f"{'-'.join(words) or 'prompt'}-{prompts.prompt_id(f'{model}:{text}{options}')[:8]}"
    link, kept = f"/circuits/{name}", prompts.store(text, model)
    jobs.table().submit(
        "trace",
        f"Trace “{text[:40].strip()}{'…' if len(text) > 40 else ''}”",
        lambda p: _trace(model, text, name, asked, p),
        key=f"trace:{name}",
        link=link,
        again=["trace", {"model": model, "prompt": kept.id, **asked.to_dict()}],
    )
    return link


def _trace(model: str, text: str, name: str, asked: TraceAsked, progress: Any) -> str:
    analyses.trace(model, text, asked, save=name, progress=progress)
    return f"/circuits/{name}"


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

    run_demo(DemoConfig() if name == "demo" else SMALL, progress, analyses.model_named)
    return link


def _traced(a: dict[str, Any]) -> None:
    start_trace(a["model"], prompts.load(a["prompt"]).text, TraceAsked.of(a))


def _tested(a: dict[str, Any]) -> None:
    from app.pages import graph_testing

    graph_testing.start(a["name"], a["of"], a["nodes"], a["options"], bool(a["enough"]))


def _grouped(a: dict[str, Any]) -> None:
    from app.pages import graph_editing

    graph_editing.start_suggestions(a["name"], a["of"], a["among"])


def _compared(a: dict[str, Any]) -> None:
    from app.pages import graphs_beside

    graphs_beside.asked(a["name"], a["other"], a["match"])


AGAIN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "read": lambda a: start_reading(a["model"], prompts.load(a["prompt"])),
    "trace": _traced,
    "demo": lambda a: start_demo(a["name"]),
    "measure": lambda a: measuring.start(a["model"], a["what"]),
    "train": lambda a: trainings.resume(a["name"]),
    "table": lambda a: units.start_table(a["model"], a["what"], a["cache"]),
    "test": _tested,
    "groups": _grouped,
    "compare": _compared,
}
"""Tasks that can be started from what a job's file remembers of them."""


def can_repeat(job: jobs.Job) -> bool:
    """Can this ended job be run again?"""
    return not job.active and (jobs.table().can_repeat(job) or bool(job.again and job.again[0] in AGAIN))


def repeat(job_id: str) -> None:
    """Run an ended job again: with its work where that is in memory, else from what its file remembers."""
    job = jobs.table().get(job_id)
    if job is None or not can_repeat(job):
        raise BadInput("This job cannot be run again from here; start it from its page.")
    if jobs.table().repeat(job_id) is None:
        _remade(job)


def _remade(job: jobs.Job) -> None:
    task, arguments = job.again
    if "model" in arguments and arguments["model"] not in models():
        raise BadInput("The model of this job is not among those known here; start it from its page.")
    try:
        AGAIN[task](arguments)
    except OpenworkError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("What this job's file remembers is damaged; start it from its page.") from error
