"""What the page of a circuit has of one between components of a task: which of its edges are shown, its numbers, and how much of
the behaviour circuits of every size keep."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from dash import html
from dash.development.base_component import Component

from app.components import drawn
from app.components.drawn import Drawn
from app.components.inputs import choose, count, write
from app.components.parts import Parts, empty, panel, stat
from app.library.artifacts import is_registered, registered
from app.library.graphs import graph_of
from app.library.models import models
from app.methods.block import Block
from circuits.graph.component_graph import FIRST, ComponentGraph
from circuits.graph.graph import CircuitGraph
from circuits.graph.node_positions import Arrangement, of_edges
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput
from probe.methods.call import Call, call_of
from probe.methods.catalogue import method_named
from probe.tasks.catalogue import TASKS
from probe.words import counted, figures, percent

CURVE = Block(
    "curve",
    "faithfulness",
    fields=("rule", "signed", "ablation", "held_out", "random"),
    key="curve",
    title="How much do its best edges keep?",
    note="Circuits of every size by these scores, on pairs they were not found on, beside random ones of equal size.",
    of=("task", "scores"),
)
REPORT = Block(
    "report",
    "circuit-report",
    fields=("n", "ablation", "random", "subsets", "greedy", "needed"),
    key="report",
    title="Does the circuit do it alone?",
    note="Is it faithful, complete and minimal: on pairs of its task, beside random circuits of its size.",
    of=("circuit",),
)
NOT_HERE = "Its scores or circuit are not stored here as a result of a method, which is what is measured. In Python: "
NOT_HERE += "curve_of_scores(model, scores, pairs), circuit_report(model, circuit, task)."


def asked(query: dict[str, str]) -> tuple[float, str]:
    """How many edges are shown, and which, as the address says, or to begin with."""
    from circuits.search.as_graph import MOST, SHOWN

    many = int(query["k"]) if query.get("k", "").isdecimal() and len(query["k"]) < 6 else FIRST
    return min(max(many, 1), MOST), query.get("e", "") if query.get("e") in SHOWN else next(iter(SHOWN))


@lru_cache(maxsize=32)
def arranged(name: str, mark: int, size: int, rule: str) -> Arrangement:
    """The shown edges in their places; `mark` changes when the graph is replaced."""
    from circuits.search.as_graph import shown_edges

    found = graph_of(name)
    assert isinstance(found, ComponentGraph)
    return of_edges(found, shown_edges(found, size, rule))


def tools(found: CircuitGraph, keep: float, rule: str, words: str) -> html.Div:
    """Search, how many edges are shown, which, and what they hold."""
    from circuits.search.as_graph import MOST, SHOWN

    many = count("keep", int(keep), "Edges shown", least=1, most=MOST, w=80, debounce=400, step=20)
    signed = isinstance(found, ComponentGraph) and found.signed
    options = {one: said for one, said in SHOWN.items() if signed or one not in ("for", "against")}
    which = choose("edges-kept", options, rule, "Which edges are shown", w=190)
    parts = [
        write("graph-find", "Find a node", hint="Find a component: a5.h3, m2", w=210, debounce=200),
        html.Span([many, " edges"], className="ow-partial ow-in-line"),
        which,
        html.Span(words, id="shown", className="ow-partial num", style={"whiteSpace": "normal"}),
    ]
    return html.Div(parts, className="ow-bar-tools")


def height(n_layers: int) -> int:
    """Of the picture, in pixels: names beside components need room, and many layers the whole of a screen."""
    return int((n_layers + 2) * np.clip(640 / (n_layers + 2), 29, 62) + 120)


def said_of(found: ComponentGraph, shown: Arrangement) -> str:
    """How much of the circuit is shown."""
    n = int(shown.edges.sum()) if shown.edges is not None else 0
    held = f", {percent(shown.held)} of the sum of |score|" if found.scored else ""
    return f"{n:,} of {counted(len(found.edges), 'edge')} between {counted(len(shown.nodes), 'component')}{held}"


def strip() -> Drawn:
    """No tokens: pairs of a task share no prompt."""
    return drawn.strip_data([])


def stats(found: ComponentGraph, shown: Arrangement | None) -> Parts:
    """The numbers in sight."""
    metric = str(found.convention.get("metric", ""))
    ends = [(which, found.facts.get(which)) for which in ("clean", "corrupted")]
    runs = [stat(f"{which} runs", figures(value), metric) for which, value in ends if isinstance(value, float)]
    many, of = len(found.edges), found.edges_of_model
    share = "all of the model's" if many == of else f"{percent(many / max(1, of))} of the model's {of:,}"
    return [
        *runs,
        stat("edges", f"{many:,}", share),
        stat("components", f"{len(found.nodes):,}", "heads, MLPs, the input and the logits"),
        *([stat("shown", percent(shown.held), "of the sum of |score|")] if shown is not None and found.scored else []),
    ]


def measured(found: ComponentGraph, name: str, query: dict[str, str]) -> Component:
    """The stored curve of these scores, or report on this circuit, or the button that makes it; or why there is none."""
    block = REPORT if "pairs" not in found.facts else CURVE
    given = asked_of(block, found, name)
    if given is None or found.model not in models():
        named = found.model[:60] or "not named in it"
        why = NOT_HERE if given is None else f"Its model ({named}) is none of those known here."
        return panel(block.title, empty("Not to be measured here", why), note=block.note, export=False)
    asks = block if "task" in given else replace(block, fields=("task", *(block.fields or ())), of=("circuit",))
    return asks.layout(found.model, given, query)


def asked_of(block: Block, found: ComponentGraph, name: str) -> dict[str, Any] | None:
    """What is asked of the result that a graph was opened from, with the pairs its call drew; None where that is not stored."""
    parents = read_manifest(registered("graph", name), "graph").parents
    if not parents or not is_registered("result", parents[0]):
        return None
    call, about = call_of(found), method_named(block.method)
    asks = {p.name for p in about.parameters} - {*block.fields}  # type: ignore[misc]
    drawn = {key: value for key, value in (call.arguments if call else {}).items() if key in asks}
    if found.task not in TASKS and block is CURVE:  # of a file, which no page names
        return None
    task = {"task": found.task} if found.task in TASKS else {}  # a circuit that was named has none
    given = {**drawn, **task, "circuit" if block is REPORT else "scores": parents[0]}
    try:
        checked = Call.checked(about.name, found.model, given).arguments
    except BadInput:
        return None
    return {key: value for key, value in checked.items() if key in given}
