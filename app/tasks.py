"""Model work that pages ask for, queued as jobs."""

from typing import Any
from urllib.parse import quote

from app import analyses, jobs, prompts
from app.links import circuit_page
from app.trace_asked import TraceAsked
from probe.errors import BadInput


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
