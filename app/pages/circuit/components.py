"""What the page of a circuit has of one between components of a task: which of its edges are shown, its numbers, and how much of
the behaviour circuits of every size keep."""

from functools import lru_cache
from typing import Any

import numpy as np
from dash import html
from dash.development.base_component import Component

from app.components import drawn
from app.components.drawn import Drawn
from app.components.inputs import choose, count, write
from app.components.parts import Parts, empty, panel, stat
from app.library.graphs import graph_of
from app.library.models import models
from app.methods.block import Block
from circuits.graph.component_graph import FIRST, ComponentGraph
from circuits.graph.graph import CircuitGraph
from circuits.graph.node_positions import Arrangement, of_edges
from probe.errors import BadInput
from probe.methods.call import Call, call_of
from probe.words import counted, figures, percent

CURVE = Block(
    "curve",
    "faithfulness",
    fields=("rule", "signed", "ablation", "held_out", "random"),
    key="curve",
    title="How much do its best edges keep?",
    note="Circuits of every size by these scores, on pairs they were not found on, beside random ones of equal size.",
    of=("task", "by", "n"),
)
NOT_HERE = "This was not found by a call of `eap` or `eap-ig`. In Python: curve_of_scores(model, scores, pairs)."


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


def curve_panel(found: ComponentGraph, query: dict[str, str]) -> Component:
    """The curve of these scores that is stored, or the button that makes it; or why there is none."""
    given = curve_of(found)
    if given is None or found.model not in models():
        named = found.model[:60] or "not named in it"
        why = NOT_HERE if given is None else f"Its model ({named}) is none of those known here."
        return panel(CURVE.title, empty("Not to be measured here", why), note=CURVE.note, export=False)
    return CURVE.layout(found.model, given, query)


def curve_of(found: ComponentGraph) -> dict[str, Any] | None:
    """What the curve of a circuit's scores is asked, from the call that made them; None where no call can tell."""
    if (call := call_of(found)) is None:
        return None
    about = {name: value for name, value in call.arguments.items() if name in _shared()} | {"by": call.method}
    try:
        return {
            n: v for n, v in Call.checked(CURVE.method, found.model, about).arguments.items() if n in (*_shared(), "by")
        }
    except BadInput:
        return None


@lru_cache(maxsize=1)
def _shared() -> tuple[str, ...]:
    """What a curve is asked that its form does not ask for."""
    from probe.methods.catalogue import method_named

    return tuple(p.name for p in method_named(CURVE.method).parameters if p.name not in (*CURVE.fields, "by"))  # type: ignore[misc]
