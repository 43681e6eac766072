"""Model work that pages ask for, queued as jobs."""

from typing import Any
from urllib.parse import quote

from app import analyses, jobs, prompts

MAX_NODES = 2000  # units of a graph; `circuits.TraceConfig`'s default, repeated because that module imports torch


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
        )


def start_trace(model: str, text: str, *, max_nodes: int = MAX_NODES, dictionaries: tuple[str, ...] = ()) -> str:
    """Queue a trace and return the page that shows it; other options are another graph."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in text[:32].lower()).split()
    options = "" if (max_nodes, dictionaries) == (MAX_NODES, ()) else f":{max_nodes}:{','.join(dictionaries)}"
    name = f"{'-'.join(words) or 'prompt'}-{prompts.prompt_id(f'{model}:{text}{options}')[:8]}"
    link = f"/circuits/{name}"
    jobs.table().submit(
        "trace",
        f"Trace “{text[:40].strip()}{'…' if len(text) > 40 else ''}”",
        lambda p: _trace(model, text, name, max_nodes, dictionaries, p),
        key=f"trace:{name}",
        link=link,
    )
    return link


def _trace(model: str, text: str, name: str, max_nodes: int, dictionaries: tuple[str, ...], progress: Any) -> str:
    analyses.trace(model, text, max_nodes=max_nodes, dictionaries=dictionaries, save=name, progress=progress)
    return f"/circuits/{name}"
