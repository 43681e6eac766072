"""The pinned subgraph tested in place: changed in the model, compared with the graph's prediction and with random subgraphs."""

from typing import TYPE_CHECKING

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app.components import drawn, snippets
from app.components.parts import Parts, empty, graph, panel
from app.components.slot import register_slot, slot
from app.components.still import still
from app.figures.dress import dress
from app.jobs import results, work
from app.pages.circuit.validation_words import enough_meaning, meaning, table, verdict_table
from app.pages.circuit.validation_work import MOST_RANDOM, ask, cannot, stored_tests
from circuits.graph.graph import CircuitGraph
from probe.artifacts.manifest import Manifest
from probe.words import counted

if TYPE_CHECKING:
    pass


MODES = [("ablate", "Set to zero"), ("scale", "Multiply by"), ("restore", "Values of another prompt")]
EARLIER = 8  # stored tests that are listed
TABLES = ("graph-test-verdicts", "graph-test-roots", "graph-test-random", "graph-test-agreement", "graph-enough-roots")


def test_panel(found: CircuitGraph, name: str, key: str | None) -> html.Section:
    """What is changed and how, the button, the record of the test of this key, and the tests that are stored; or why this
    graph cannot be tested here."""
    lead = "Do the pinned nodes move the prediction? They are changed in the model; the graph says what should happen."
    if reason := cannot(found):
        return panel("Is it true?", empty("Not to be tested here", reason), note=lead, export=False)
    python = _python(found, name)
    shell = f"openwork graph test {snippets.shlex.quote(name)} --pinned --sufficient"
    return panel(
        "Is it true?",
        [
            _fields(),
            slot("graph-test", key, "test"),
            html.Div(_record(), id="graph-test-record", hidden=True),
            html.Div(still(earlier(name)), id="graph-test-earlier"),
        ],
        note=lead,
        foot=snippets.snippets(python, shell),
    )


def _python(found: CircuitGraph, name: str) -> str:
    used = list(dict.fromkeys(found.dictionaries.values()))
    options = f"dictionaries={snippets.loaded(used)}, n_random=20" if used else "n_random=20"
    lines = [
        f"graph, model = load_graph({name!r}), load_model({found.model!r})",
        f"record = check_subgraph(model, graph, {options})",
        "record.figure()",
    ]
    names = ["load_dictionary", "load_model"] if used else ["load_model"]
    return snippets.python("\n".join(lines), circuits=["check_subgraph", "load_graph"], probe=names)


def _fields() -> html.Div:
    mode = dmc.Select(
        id="graph-test-mode", data=[{"value": v, "label": t} for v, t in MODES], value="ablate", size="xs", w=190,
        allowDeselect=False, label="Pinned nodes are",
    )  # fmt: skip
    factor = dmc.NumberInput(
        id="graph-test-factor", value=2.0, step=0.5, size="xs", w=90, label="Factor", min=-100, max=100
    )
    other = dmc.TextInput(
        id="graph-test-prompt",
        size="xs",
        w=300,
        label="The other prompt, of as many tokens",
        placeholder="The capital of Italy is",
    )
    random = dmc.NumberInput(
        id="graph-test-random-n", value=20, min=0, max=MOST_RANDOM, step=5, size="xs", w=130, label="Random subgraphs"
    )
    enough = dmc.Checkbox(
        id="graph-test-enough", checked=True, size="xs", label="also: are they enough by themselves?", mb=6
    )
    return html.Div(
        [
            mode,
            html.Div(factor, id="graph-test-factor-box", hidden=True),
            html.Div(other, id="graph-test-prompt-box", hidden=True),
            random,
            enough,
            dmc.Button("Test the pinned subgraph", id="graph-test-go", size="xs", mb=1),
        ],
        className="ow-fields",
    )  # fmt: skip


def _record() -> Parts:
    def part(heading: str, table: str, height: int) -> html.Div:
        return html.Div([html.H3(heading, className="ow-partial"), drawn.rows(table, height)])

    tables = [
        part("Each logit", "graph-test-roots", 260),
        part("Against random subgraphs", "graph-test-random", 260),
        part("Prediction and measurement, over all nodes", "graph-test-agreement", 200),
    ]
    enough = [
        html.P(id="graph-enough-words", className="ow-sentence", style={"marginTop": 16}, dir="auto"),
        graph("graph-enough-figure", 300, "Share of each logit that is left"),
        drawn.rows("graph-enough-roots", 260),
    ]
    return [
        html.P(id="graph-test-words", className="ow-sentence", dir="auto"),
        drawn.rows("graph-test-verdicts", 320),
        graph("graph-test-figure", 400, "Predicted against measured, and the subgraph beside random ones"),
        html.Div(tables, className="ow-grid"),
        html.Div(enough, id="graph-enough-box"),
    ]


def earlier(name: str) -> Component | None:
    """Links to the stored tests of a graph; nothing where there is none."""
    found = stored_tests(name)[:EARLIER]
    if not found:
        return None
    return html.Div(
        [
            html.H3("Tests of this graph", className="ow-partial"),
            html.Ul([_earlier(m) for m in found], className="ow-notes"),
        ]
    )


def _earlier(manifest: Manifest) -> html.Li:
    asked, when = manifest.config, manifest.created[:16].replace("T", " ")
    nodes = asked.get("nodes")
    size = counted(len(nodes), "node") if isinstance(nodes, list) else "nodes"
    how = dict(MODES).get(str(asked.get("mode")), "changed").lower()
    words = f"{when}: {size} {how}, {asked.get('n_random', 0)} random subgraphs"
    return html.Li(dcc.Link(words, href=results.page_of(manifest) or "", refresh=True))


def shown(key: str, scheme: str) -> dict[str, object]:
    """Everything the record's panel shows."""
    test, enough = work.required(key)
    return {
        "hidden": False,
        "words": meaning(test),
        "figure": dress(test.figure(), scheme),
        "enough_hidden": enough is None,
        "enough_words": enough_meaning(enough) if enough else "",
        "enough_figure": dress(enough.figure(), scheme) if enough else no_update,
        "tables": [
            verdict_table(test, enough),
            table(test.rows(), "Each logit: predicted and measured"),
            table(test.comparison_rows(), "Against random subgraphs"),
            table(test.agreement_rows(), "Prediction and measurement"),
            table(enough.rows() if enough else [], "What is left of each logit"),
        ],
    }


# -- callbacks -------------------------------------------------------------------------------------------------------------


def register(app: Dash) -> None:
    register_slot(app, "graph-test", "test")
    for name in TABLES:
        drawn.register_rows(app, name)

    @app.callback(
        Output("graph-test-factor-box", "hidden"),
        Output("graph-test-prompt-box", "hidden"),
        Input("graph-test-mode", "value"),
    )
    def fields(mode: str):
        return mode != "scale", mode != "restore"

    @app.callback(
        Output("graph-test-key", "data"),
        Output("graph-test-record", "hidden", allow_duplicate=True),
        Input("graph-test-go", "n_clicks"),
        State("graph-name", "data"),
        State("graph-test-mode", "value"),
        State("graph-test-factor", "value"),
        State("graph-test-prompt", "value"),
        State("graph-test-random-n", "value"),
        State("graph-test-enough", "checked"),
        prevent_initial_call=True,
    )
    def go(clicks: int | None, name: str, mode: str, factor: object, other: str, n: object, enough: bool):
        return (ask(name, mode, factor, other, n, enough), True) if clicks else (no_update, no_update)

    @app.callback(
        {
            "hidden": Output("graph-test-record", "hidden"),
            "words": Output("graph-test-words", "children"),
            "figure": Output("graph-test-figure", "figure"),
            "enough_hidden": Output("graph-enough-box", "hidden"),
            "enough_words": Output("graph-enough-words", "children"),
            "enough_figure": Output("graph-enough-figure", "figure"),
            "tables": [Output(f"{name}-data", "data") for name in TABLES],
            "earlier": Output("graph-test-earlier", "children"),
        },
        Input("graph-test-done", "data"),
        State("scheme", "data"),
        State("graph-name", "data"),
    )
    def show(key: str | None, scheme: str, name: str):
        return {**shown(key, scheme), "earlier": still(earlier(name))} if key else no_update
