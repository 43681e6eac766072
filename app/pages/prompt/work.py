"""The model work of the prompt page: a trace."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.jobs.again import Arguments, prompt_in, task
from app.jobs.readings import _resolve, dictionaries_of
from app.jobs.table import job_table
from app.library import prompts
from app.library.graphs import _graphs, graph_mark
from app.library.trace_asked import TraceAsked
from probe.artifacts.claims import claim
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest
from probe.errors import OpenworkError
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.graph.graph import CircuitGraph


def trace(
    model: "str | TransformerBridge",
    prompt: str,
    asked: TraceAsked | None = None,
    *,
    save: str | None = None,
    progress: Progress = SILENT,
) -> "CircuitGraph":
    """The attribution graph of a prompt, as asked for; `save` stores it under that name."""
    from circuits.attribution.trace import trace as run
    from circuits.graph.store import save_graph
    from probe.model.load import stamp

    asked = asked or TraceAsked()
    folder = place("graph", save) if save else None
    with claim(folder) if folder else nullcontext():
        _, bridge = _resolve(model, progress)
        chosen = dictionaries_of(bridge, asked.dictionaries) if asked.dictionaries else []
        graph = run(
            bridge, prompt, dictionaries=chosen, target=asked.targets(), config=asked.config(), progress=progress
        )
        said = replace(asked, target=_as_text(bridge, asked.target), minus=_as_text(bridge, asked.minus))
        graph.facts["asked"] = said.to_dict()
        if folder:
            graph = _marked_before(folder, graph, stamp(bridge).weights, asked.dictionaries)
            save_graph(graph, folder, model=stamp(bridge), parents=asked.dictionaries, replace=True)
            _graphs.put(folder.name, (graph_mark(folder.name), graph))
    return graph


def _marked_before(
    folder: Path | None, graph: "CircuitGraph", weights: str, dictionaries: Sequence[str]
) -> "CircuitGraph":
    """The graph with the pins, groups and labels of the one that it replaces, if there is one and its units are the same:
    of the same weights, and of dictionaries that were not learned anew since."""
    from circuits.comparison.carry_marks import carried
    from circuits.graph.store import load_graph

    try:
        before = read_manifest(folder, "graph")
        learned = [read_manifest(place("dictionary", name), "dictionary").created for name in dictionaries]
        if before.model is None or before.model.weights != weights or any(one > before.created for one in learned):
            return graph
        return carried(load_graph(folder), graph)
    except OpenworkError:  # there is none, or a damaged one, which is why it is traced again
        return graph


def _as_text(bridge: "TransformerBridge", token: int | str) -> int | str:
    """A token's text where that names it, so that people read what was asked; else its id."""
    if not isinstance(token, int):
        return token
    from probe.text.targets import single
    from probe.text.tokens import display_tokens

    (text,) = display_tokens(bridge, [token])
    return text if text and single(bridge, text) == token else token


def start_trace(model: str, text: str, asked: TraceAsked | None = None) -> str:
    """Queue a trace and return the page that shows it; another question is another graph."""
    asked = asked or TraceAsked()
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in text[:32].lower()).split()
    options = f":{asked.words}" if asked != TraceAsked() else ""
    name = f"{'-'.join(words) or 'prompt'}-{prompts.prompt_id(f'{model}:{text}{options}')[:8]}"
    link, kept = f"/circuits/{name}", prompts.store(text, model)
    job_table().submit(
        "trace",
        f"Trace “{text[:40].strip()}{'…' if len(text) > 40 else ''}”",
        lambda p: _trace(model, text, name, asked, p),
        key=f"trace:{name}",
        link=link,
        again=["trace", {"model": model, "prompt": kept.id, **asked.to_dict()}],
    )
    return link


def _trace(model: str, text: str, name: str, asked: TraceAsked, progress: Progress) -> str:
    trace(model, text, asked, save=name, progress=progress)
    return f"/circuits/{name}"


@task("trace")
def _trace_again(arguments: Arguments) -> None:
    start_trace(arguments["model"], prompt_in(arguments).text, TraceAsked.of(arguments))
