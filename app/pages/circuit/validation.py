"""Is it true? The test of a subgraph asked of what is pinned on the page, and tests that were stored before it was a method."""

from typing import TYPE_CHECKING

from dash import Dash, Input, Output, State, html
from dash.development.base_component import Component

from app import links
from app.components.parts import Parts, empty, panel
from app.figures.dress import worn
from app.jobs import results, work
from app.jobs.repeat_job import Arguments, task
from app.jobs.table import job_table
from app.library.artifacts import is_registered, registered
from app.library.graphs import marked, same_body
from app.library.models import models
from app.methods import method_jobs as calls
from app.methods.block import Block
from app.methods.drawing import Look, drawn_panels
from circuits.graph.graph import CircuitGraph
from circuits.graph.graph_arguments import names_to_ask
from probe.artifacts.json import Json
from probe.artifacts.manifest import read_manifest
from probe.methods.call import Call
from probe.methods.results import results_of, stored_call

if TYPE_CHECKING:
    from circuits.faithfulness.subgraph_test import TriedSubgraph

WHAT = "subgraph-test"
TEST = Block(
    "truth",
    WHAT,
    fields=("mode", "factor", "level", "restore", "n_random", "sufficient", "generate"),
    key="test",
    title="Is it true?",
    note="Do the pinned nodes move the prediction? They are changed in the model; the graph says what should happen.",
    of=("graph",),
)


def test_panel(found: CircuitGraph, name: str, asked: str | None) -> Component:
    """What is changed and how, the result of this key, and the graph's other tests; or why this graph cannot be tested here."""
    if reason := cannot(found):
        return panel("Is it true?", empty("Not to be tested here", reason), note=TEST.note, export=False)
    key = shown_first(name, asked)
    old = key if key and work.given(key, WHAT) else ""
    block = TEST.layout(found.model, {**given(name), "sufficient": True}, {"test": "" if old else key})
    return html.Div([block, *_of_before(old)], className="ow-stack ow-truth")


def cannot(found: CircuitGraph) -> str:
    """Why a graph cannot be tested from its page; empty where it can."""
    if "imported" in found.facts:
        return "This graph was imported, so the model it was traced in may not be here. Trace its prompt to test one."
    if found.model not in models():
        named = found.model[:60] or "not named in it"
        return (
            f"The model of this graph ({named}) is none of those known here. `openwork graph test --model` takes any."
        )
    if lost := [d for d in found.dictionaries.values() if not is_registered("dictionary", d)]:
        return f"The dictionary '{lost[0][:60]}' of this graph is not stored here. Trace the prompt again with one that is."
    return ""


def given(name: str) -> Json:
    """What the page gives the test: the graph, and what is pinned in it by name."""
    now = marked(name)
    return {"graph": name, "nodes": names_to_ask(now.graph, sorted(now.marks.chosen)) or ["pinned"]}


def shown_first(name: str, asked: str | None) -> str | None:
    """The key of the test that a page opens with: the address's, the one that is under way, or the newest of this graph that is
    stored."""
    if key := work.given(asked, WHAT, calls.WHAT):
        return key
    page = links.circuit_page(name)
    running = [j for j in job_table().active() if j.link.partition("?")[0] == page and "test=" in j.link]
    if running:
        return running[0].key
    traced = read_manifest(registered("graph", name), "graph").created
    made = [m for m in results_of(WHAT) if (c := stored_call(m)) and c.arguments.get("graph") == name]
    kept = [m for m in (*made, *results.of(WHAT, name)) if m.created >= traced and "key" in m.facts]
    return str(max(kept, key=lambda m: m.created).facts["key"]) if kept else None


# -- tests of before -----------------------------------------------------------------------------------------------------------


def tested_before(key: str) -> "TriedSubgraph":
    """A stored test that was two records, as the one it would be now."""
    from circuits.faithfulness.subgraph_test import TriedSubgraph

    test, alone = work.required(key)
    return TriedSubgraph(test=test, alone=alone)


def _of_before(key: str) -> Parts:
    if not key:
        return []
    panels = drawn_panels(tested_before(key), "", Look(worn()), at="tested")
    return [html.Div(panels, className="ow-stack ow-block-panels")]


@task("test")
def _test_again(arguments: Arguments) -> None:
    """A test that was asked for before, and was interrupted."""
    found = same_body(arguments["name"], arguments["of"])
    nodes = names_to_ask(found, arguments["nodes"])
    asked = {"graph": arguments["name"], "nodes": nodes, "sufficient": bool(arguments["enough"])}
    work.submit(calls.work_of(Call.checked(WHAT, found.model, {**asked, **arguments["options"]})))


# -- callbacks -----------------------------------------------------------------------------------------------------------------


def register(app: Dash) -> None:
    @app.callback(
        Output(TEST.part("fixed"), "data"),
        Input("graph-marks", "data"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def pinned(_: object, name: str):
        return given(name)
