"""Tracing from the prompt hub: what the nodes are, how many, and what it will take, said before it starts."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update

from app import analyses, prompts
from app.commands.common import size
from app.components.parts import duration, icon, segmented
from app.library import require_offered
from app.tasks import MAX_NODES, start_trace
from app.trace_plan import MOST_NODES, chosen, newest, trace_plan, usable
from probe.errors import BadInput


def trace_menu(model: str) -> html.Details:
    """The form that opens below 'Trace this prompt'."""
    there, learned = usable(model), newest(model)
    bases = [("neurons", "neurons")] + [("newest", "newest dictionaries"), ("chosen", "choose")] * bool(there)
    names = dmc.MultiSelect(
        id="trace-names",
        data=[{"value": one.name, "label": one.label} for one in there],
        placeholder="Dictionaries, one a layer",
        searchable=True,
        size="sm",
        comboboxProps={"withinPortal": False},
        style={"display": "none"},
        **{"aria-label": "Dictionaries to trace with"},
    )
    nodes = dmc.NumberInput(
        id="trace-nodes",
        label="Nodes",
        description="Units that become nodes; the rest are summed, never dropped.",
        value=MAX_NODES,
        min=1,
        max=MOST_NODES,
        step=500,
        size="sm",
        clampBehavior="strict",
    )
    body = [
        html.H3("Trace its circuit"),
        html.P(_words(there, learned), className="ow-sub"),
        segmented("trace-basis", bases, "neurons"),
        names,
        nodes,
        html.Div(id="trace-plan", className="ow-partial", role="status"),
        html.Div(
            dmc.Button("Start tracing", id="trace", size="xs", leftSection=icon("play", small=True)),
            className="ow-actions",
        ),
    ]
    summary = html.Summary([icon("circuit", small=True), "Trace this prompt"])
    return html.Details([summary, html.Div(body, className="ow-popout-body")], className="ow-popout primary")


def _words(there: list[Any], learned: list[str]) -> str:
    if not there:
        return "In the neuron basis: no stored dictionary of this model can stand in a graph."
    newest_ones = ", ".join(learned[:3]) or "none of them a transcoder"
    many = "One stored dictionary" if len(there) == 1 else f"{len(there)} stored dictionaries"
    return f"{many} can stand in a graph; the newest: {newest_ones}."


def plan_words(model: str, text: str, max_nodes: Any, names: tuple[str, ...]) -> tuple[str, bool]:
    """What the trace will take, and whether it may start."""
    if not isinstance(max_nodes, int) or not 0 < max_nodes <= MOST_NODES:
        return f"Give a whole number of nodes, from 1 to {MOST_NODES:,}.", False
    lens = analyses.known("lens", model, text)
    if lens is None:
        return "What it will take is known when the prompt has been read.", True
    try:
        plan = trace_plan(model, len(lens.tokens), max_nodes, names)
    except BadInput as error:
        return str(error).replace("--max-nodes", "the number of nodes").replace(", or raise --memory", ""), False
    if plan is None:
        return "What it will take is known when the model is loaded.", True
    return (
        f"{plan.n_tokens} tokens, up to {plan.n_units:,} units and {plan.n_targets:,} × {plan.n_columns:,} edges: "
        f"{size(plan.bytes)} of memory, about {duration(plan.seconds)} on two cores.",
        True,
    )


def register(app: Dash) -> None:
    @app.callback(Output("trace-names", "style"), Input("trace-basis", "value"))
    def choose(basis: str):
        return {} if basis == "chosen" else {"display": "none"}

    @app.callback(
        Output("trace-plan", "children"),
        Output("trace", "disabled"),
        Input("trace-basis", "value"),
        Input("trace-names", "value"),
        Input("trace-nodes", "value"),
        Input("ready", "data"),
        State("prompt-args", "data"),
    )
    def announce(basis: str, names: list[str] | None, nodes: Any, _: Any, args: dict[str, str]):
        wanted = chosen(args["model"], basis, names)
        if basis != "neurons" and not wanted:
            return (
                "Choose at least one dictionary." if basis == "chosen" else "None of them is a transcoder; choose one.",
                True,
            )
        words, may = plan_words(args["model"], prompts.load(args["id"]).text, nodes, wanted)
        return words, not may

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("trace", "n_clicks"),
        State("trace-basis", "value"),
        State("trace-names", "value"),
        State("trace-nodes", "value"),
        State("prompt-args", "data"),
        prevent_initial_call=True,
    )
    def trace(clicks: int | None, basis: str, names: list[str] | None, nodes: Any, args: dict[str, str]):
        if not clicks:
            return no_update
        return started(args, basis, names, nodes)


def started(args: dict[str, str], basis: str, names: list[str] | None, nodes: Any) -> str:
    """Queue the trace; the page that shows it. BadInput where the plan beside the button says why not."""
    model, text = require_offered(args["model"]), prompts.load(args["id"]).text
    most, wanted = MAX_NODES if nodes in (None, "") else nodes, chosen(model, basis, names)
    words, may = plan_words(model, text, most, wanted)
    if not may:
        raise BadInput(words)
    return start_trace(model, text, max_nodes=most, dictionaries=wanted)
