"""The subgraph of a circuit's page and the edits made in it: pins, groups, labels, suggestions, undo and redo."""

from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update

from app.components import drawn
from app.components.parts import icon, panel
from app.components.slot import register_slot, slot
from app.components.snippets import of_call
from app.library.graphs import look, mark
from app.pages.circuit.panels import full_button
from app.pages.circuit.pinned import drawing, marks_data, pin_table, seen_again
from app.pages.circuit.suggestions import register_suggestions
from circuits.graph.graph import CircuitGraph
from probe.artifacts.json import Json


def subgraph_panel(found: CircuitGraph, name: str, edges: float | str, suggestions: str | None = None) -> html.Section:
    """The drawing with its tools, the suggested groups (of the search of this key), and what is pinned as a table."""
    data, words = drawing(name, edges)
    frame = html.Div(
        [dcc.Store(id="subgraph-data", data=data), html.Div(id="subgraph", className="ow-subgraph ow-data")],
        style={"marginBottom": 8},
    )
    does = "Drag moves a box, Ctrl and the wheel zoom, Shift and click marks for a group, a click opens a group."
    legend = f"{found.lines_mean} {does}"
    return panel(
        "Subgraph",
        [
            _tools(found.of_task),
            frame,
            html.Div(
                [
                    html.Div(words, id="subgraph-words", className="ow-partial num"),
                    html.Div(legend, className="ow-partial"),
                ]
            ),
            html.Details(
                [
                    html.Summary("Pinned nodes and groups as a table", className="ow-partial"),
                    drawn.rows("graph-pins", 360, pin_table(name)),
                ],
                open=True,
                style={"marginTop": 12},
            ),
            _suggested(suggestions),
        ],
        note=f"Direct edges between what you pin, with {'input' if found.of_task else 'tokens'} and logits around it. "
        "Every edit is stored at once.",
        tools=html.Div(
            [
                _does("−", "out", "Smaller", **{"aria-label": "Zoom out"}),
                _does("+", "in", "Larger", **{"aria-label": "Zoom in"}),
                _does("Fit", "fit", "Fit into the frame (f)"),
                _does("Tidy", "tidy", "Put dragged boxes back in their places"),
                full_button(),
            ],
            className="ow-actions",
        ),
        foot=None if found.of_task else of_call("subgraph-scores", graph=name),
    )


def _tools(of_task: bool) -> html.Div:
    """of_task: of components nothing is kept by influence, and no groups are suggested by what units do at tokens."""
    gap = html.Span(className="gap")
    field = dcc.Input(
        id="graph-top", type="number", min=1, max=300, value=10, className="ow-small-field", debounce=True
    )
    return html.Div(
        [
            _does("Pin", "pin", "Pin or unpin the selected node (p)", "pin"),
            html.Label(["the ", field, " strongest"], htmlFor="graph-top", className="ow-partial"),
            _does("Pin them", "top", "Pin the most influential units"),
            None if of_task else _does("Pin what the sliders keep", "prune", "Pin every unit of the pruned graph"),
            gap,
            _does("Group", "group", "Group the nodes marked with Shift and click (g)"),
            _does("Name", "label", "Label the selected unit, or name the focused group (l)"),
            _does("Ungroup", "ungroup", "Take the group of the selected node apart"),
            html.Button(
                "Suggest groups",
                id="graph-suggest",
                className="ow-button",
                type="button",
                title="Look for units that play one part",
                hidden=of_task,
            ),
            gap,
            _does("Undo", "undo", "Undo (Ctrl+Z)", "undo", id="graph-undo", disabled=True),
            _does("Redo", "redo", "Do again (Ctrl+Shift+Z)", "redo", id="graph-redo", disabled=True),
            _does("Unpin all", "clear", "Unpin everything and dissolve all groups"),
            html.Span(id="subgraph-marked", className="ow-partial"),
            html.Span(id="graph-said", className="ow-said", role="status"),
        ],
        className="ow-bar-tools",
    )


def _does(words: str, does: str, hint: str, symbol: str | None = None, **more: object) -> html.Button:
    """A button that `assets/subgraph.js` answers."""
    inner = [icon(symbol, small=True), words] if symbol else words
    return html.Button(inner, className="ow-button", type="button", title=hint, **{"data-do": does}, **more)


def _suggested(key: str | None) -> html.Div:
    return html.Div(
        [
            slot("graph-suggest", key),
            dcc.Store(id="graph-suggest-address", data="groups"),
            dcc.Store(id="graph-suggested-data"),
            html.Div(id="graph-suggested", className="ow-data"),
        ]
    )


# -- callbacks -------------------------------------------------------------------------------------------------------------


def register(app: Dash) -> None:
    drawn.register_rows(app, "graph-pins")
    register_slot(app, "graph-suggest")
    register_edits(app)
    register_drawing(app)
    register_suggestions(app)


def register_edits(app: Dash) -> None:
    """What a page asks to be edited is edited, and the page is told how the graph is marked now; so is one that is seen again."""

    @app.callback(
        Output("graph-marks", "data"),
        Input("graph-act", "data"),
        Input("graph-seen", "data"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def edit(request: Json | None, seen: Json | None, name: str):
        if ctx.triggered_id == "graph-seen":
            return (seen_again(name, seen.get("revision")) or no_update) if seen else no_update
        return marks_data(name, mark(name, request, request.get("revision"))) if request else no_update

    @app.callback(
        Output("graph-view", "data"),
        Output("graph-look", "data"),
        Input("graph-look", "data"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def see(change: Json | None, name: str):
        if not change:
            return no_update, no_update
        look(name, change)
        return change.get("at"), None


def register_drawing(app: Dash) -> None:
    @app.callback(
        Output("subgraph-data", "data"),
        Output("subgraph-words", "children"),
        Output("graph-pins-data", "data"),
        Input("graph-marks", "data"),
        Input("graph-view", "data"),
        Input("edges-kept", "value"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def draw(_: object, __: object, edges: float | str, name: str):
        return *drawing(name, edges), pin_table(name)

    def client(function: str, output: Output, *inputs: Input) -> None:
        app.clientside_callback(ClientsideFunction("openwork", function), output, *inputs)

    client("subgraph", Output("subgraph", "data-drawn"), Input("subgraph-data", "data"))
    client("marks", Output("graph-said", "data-revision"), Input("graph-marks", "data"))
    client("picked", Output("subgraph", "data-picked"), Input("selection", "data"))
    client("suggestions", Output("graph-suggested", "data-drawn"), Input("graph-suggested-data", "data"))
    client("kept", Output("shown", "data-kept"), Input("keep", "value"), Input("edges-kept", "value"))
