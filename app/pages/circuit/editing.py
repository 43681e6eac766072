"""The subgraph of a circuit's page and the edits made in it: pins, groups, labels, suggestions, undo and redo."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from app import links
from app.components import drawn, snippets
from app.components.parts import icon, panel
from app.components.slot import register_slot, slot
from app.figures import linkgraph
from app.jobs import results, work
from app.library import labels as labelled
from app.library.graphs import body, graph_mark, graph_of, reading
from app.library.models import model_named, models, stamp_in_memory
from app.pages.circuit import connections, subgraph
from app.pages.circuit.marks_on_disk import Marked, act, look, marked
from app.pages.circuit.panels import EDGES_KEPT, full_button, opening
from app.pages.circuit.suggested import Suggested, suggested
from circuits.graph.figures import PUSHES
from circuits.graph.graph import UNITS, CircuitGraph
from probe.errors import BadInput, OpenworkError
from probe.progress import Progress
from probe.words import counted

SUGGESTIONS = "supernodes"
LABELLED = 3000  # labels sent to the page at once, to be edited there
FEWEST = 12  # pinned units from which suggestions are about them alone


def subgraph_panel(found: CircuitGraph, name: str, edges: float, suggestions: str | None = None) -> html.Section:
    """The drawing with its tools, the suggested groups (of the search of this key), and what is pinned as a table."""
    python = (
        f"graph = load_graph(place('graph', {name!r}))\nrecord = subgraph_scores(graph, graph.pinned)\nrecord.figure()"
    )
    shell = f"openwork graph pin {snippets.shlex.quote(name)}"
    data, words = drawing(name, edges)
    frame = html.Div(
        [dcc.Store(id="subgraph-data", data=data), html.Div(id="subgraph", className="ow-subgraph ow-data")],
        style={"marginBottom": 8},
    )
    legend = (
        f"{PUSHES} Drag moves a box, Ctrl and the wheel zoom, Shift and click marks for a group, a click opens a group."
    )
    return panel(
        "Subgraph",
        [
            _tools(),
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
                    drawn.rows("graph-pins", 360, pin_rows(name)),
                ],
                open=True,
                style={"marginTop": 12},
            ),
            _suggested(suggestions),
        ],
        note="Direct edges between what you pin, with tokens and logits around it. Every edit is stored at once.",
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
        foot=snippets.snippets(opening(python, "subgraph_scores"), shell),
    )


def _tools() -> html.Div:
    gap = html.Span(className="gap")
    field = dcc.Input(
        id="graph-top", type="number", min=1, max=300, value=10, className="ow-small-field", debounce=True
    )
    return html.Div(
        [
            _does("Pin", "pin", "Pin or unpin the selected node (p)", "pin"),
            html.Label(["the ", field, " strongest"], htmlFor="graph-top", className="ow-partial"),
            _does("Pin them", "top", "Pin the most influential units"),
            _button("Pin what the sliders keep", "graph-prune", "Pin every unit of the pruned graph"),
            gap,
            _does("Group", "group", "Group the nodes marked with Shift and click (g)"),
            _does("Name", "label", "Label the selected unit, or name the focused group (l)"),
            _button("Ungroup", "graph-ungroup", "Take the group of the selected node apart"),
            _button("Suggest groups", "graph-suggest", "Look for units that play one part"),
            gap,
            _does("Undo", "undo", "Undo (Ctrl+Z)", "undo", id="graph-undo", disabled=True),
            _does("Redo", "redo", "Do again (Ctrl+Shift+Z)", "redo", id="graph-redo", disabled=True),
            _does("Unpin all", "clear", "Unpin everything and dissolve all groups"),
            html.Span(id="subgraph-marked", className="ow-partial"),
            html.Span(id="graph-said", className="ow-said", role="status"),
        ],
        className="ow-bar-tools",
    )


def _does(words: str, does: str, hint: str, symbol: str | None = None, **more: Any) -> html.Button:
    """A button that `assets/subgraph.js` answers."""
    inner = [icon(symbol, small=True), words] if symbol else words
    return html.Button(inner, className="ow-button", type="button", title=hint, **{"data-do": does}, **more)


def _button(words: str, id: str, hint: str) -> html.Button:
    """A button that a callback answers."""
    return html.Button(words, id=id, className="ow-button", type="button", title=hint)


def _suggested(key: str | None) -> html.Div:
    return html.Div(
        [
            slot("graph-suggest", key, "groups"),
            dcc.Store(id="graph-suggested-data"),
            html.Div(id="graph-suggested", className="ow-data"),
        ]
    )


# -- what the page is told -------------------------------------------------------------------------------------------------


def marks_data(name: str, now: Marked | None = None) -> dict[str, Any]:
    """The marks of a graph for its page, with what can be undone and what the last request came to."""
    now = now or marked(name)
    m, history = now.marks, now.history
    return {
        "graph": name,
        "revision": m.revision,
        "pinned": list(m.pinned),
        "groups": [{"name": k, "members": list(v)} for k, v in m.groups.items()],
        "labels": dict(list(m.labels.items())[:LABELLED]),
        "undo": history.past[-1].words if history.past else None,
        "redo": history.future[-1].words if history.future else None,
        "said": now.said,
        "state": "wrong" if now.wrong else "stale" if now.stale else "",
    }


@lru_cache(maxsize=32)
def _drawing(name: str, mark: tuple[int, int], edges: float, view: str) -> dict[str, Any]:
    """`mark` changes with every edit and label, `view` with every look, so what is kept is never of another state."""
    now = marked(name)
    return subgraph.drawing(now.graph, now.marks, edges, now.view.opened, now.view.at)


def drawing(name: str, edges: float | None) -> tuple[dict[str, Any], str]:
    """What is drawn, and how much of it in words."""
    with reading:
        view, mark = str(marked(name).view), (graph_mark(name), labelled.mark())
        found = _drawing(name, mark, round(float(edges or EDGES_KEPT), 2), view)
    more = f"; {found['left_out']:,} pinned nodes of little influence are not drawn" if found["left_out"] else ""
    return found, f"{found['words']}{more}"


def pin_rows(name: str) -> dict[str, Any]:
    """What is pinned as rows, group by group."""
    now = marked(name)
    found, marks = now.graph, now.marks
    rows = []
    for node in sorted(marks.chosen, key=lambda i: (marks.group_of(i) or "\uffff", -found.influence[i])):
        one = connections.node_row(found, node)
        rows.append(
            {**one, "group": marks.group_of(node) or "", "row": "pinned" if node in marks.pinned else "in its group"}
        )
    columns = [
        {"key": "unit", "label": "node", "kind": "unit"},
        {"key": "group", "label": "group", "kind": "text"},
        {"key": "kind", "label": "kind", "kind": "text"},
        {"key": "token", "label": "token", "kind": "token"},
        {"key": "pos", "label": "position", "kind": "text"},
        {"key": "influence", "label": "influence", "kind": "num"},
        {"key": "activation", "label": "activation or probability", "kind": "num"},
    ]
    note = "" if rows else "Nothing is pinned."
    return {"columns": columns, "rows": rows, "note": note, "label": "Pinned nodes", "sorts": True}


# -- suggestions -----------------------------------------------------------------------------------------------------------


def suggest(name: str) -> str:
    """Queue the search for groups: among the pinned units where there are some, else among the strongest."""
    now = marked(name)
    able = now.graph.nodes.where(*UNITS)
    units = [i for i in now.marks.chosen if able[i]]
    return start_suggestions(name, body(name), sorted(units) if len(units) >= FEWEST else None)


def start_suggestions(name: str, of: str, among: list[int] | None) -> str:
    """Queue the search for groups among these units of a graph whose edges have the digest `of`; None is the strongest."""
    from app.pages.circuit.validation import same_body

    found, now = same_body(name, of), body(name)
    able = found.nodes.where(*UNITS)
    if among is not None and not all(type(i) is int and 0 <= i < len(able) and able[i] for i in among):
        raise BadInput(f"These are not units of {name}; look for groups on its page.")
    nodes = None if among is None else tuple(among)
    key = work.key_of(SUGGESTIONS, name, now, nodes)
    origin = results.Origin(
        (name,),
        {"nodes": None if nodes is None else [found.name(i) for i in nodes]},
        f"openwork graph supernodes {snippets.shlex.quote(name)} --suggest",
        lambda: stamp_in_memory(found.model),
    )
    title, link = f"Suggest groups in {name}", links.circuit_page(name, groups=key)
    again = ["groups", {"name": name, "of": now, "among": among}]
    wanted = work.Work(key, title, lambda p: _suggestions(name, nodes, p), link, "graph", origin, again=again)
    return work.submit(wanted)


def _suggestions(name: str, nodes: tuple[int, ...] | None, progress: Progress) -> Suggested:
    """Groups by what units write and promote where the model is at hand, else by the graph alone; the words say which."""
    from circuits.supernodes.suggest import suggest_supernodes

    found = graph_of(name)
    directions = tops = None
    words = "By shared neighbours alone: the model of this graph is not at hand."
    if found.model in models() and "imported" not in found.facts:
        try:
            directions, tops = _evidence(found, nodes, progress)
            words = "By shared tokens, direction written, and shared neighbours."
        except OpenworkError as error:
            words = f"By shared neighbours alone. {error}"
    with progress.stage("clustering", total=1, unit="step") as step:
        record = suggest_supernodes(found, nodes, directions=directions, tops=tops)
        step(1)
    return suggested(record, words)


def _evidence(found: CircuitGraph, nodes: tuple[int, ...] | None, progress: Progress) -> Any:
    from app.pages.circuit.validation import dictionaries_for
    from circuits.supernodes.evidence import unit_evidence
    from circuits.supernodes.suggest import MOST

    model = model_named(found.model, progress)
    units = list(nodes or strongest_kept(found, MOST))
    return unit_evidence(model, found, units, dictionaries=dictionaries_for(found, model))


def strongest_kept(found: CircuitGraph, n: int) -> list[int]:
    """The strongest units of the pruned graph, as suggestions are made among."""
    kept = found.prune().nodes & found.nodes.where(*UNITS)
    order = found.influence.argsort()[::-1]
    return [int(i) for i in order if kept[i]][:n]


def suggestion_rows(name: str, key: str) -> dict[str, Any]:
    """The suggestions that were neither taken nor put aside."""
    record = work.found(key)
    now = marked(name)
    rows = []
    for g in sorted(record.groups, key=lambda g: (g.weak, -(g.score or 0))):
        mark = ",".join(map(str, sorted(g.nodes)))
        taken = any(set(g.nodes) <= set(members) for members in now.marks.groups.values())
        if taken or mark in now.view.dismissed:
            continue
        listed = ", ".join(f"{linkgraph.titled(now.graph, i, 40)}@{now.graph.nodes.pos[i]}" for i in g.nodes[:8])
        more = f", and {len(g.nodes) - 8} more" if len(g.nodes) > 8 else ""
        fresh = g.name if g.name not in now.marks.groups else f"{g.name} (2)"
        rows.append(
            {
                "key": mark,
                "name": fresh[:100],
                "nodes": list(g.nodes),
                "score": g.score,
                "weak": g.weak,
                "members": listed + more,
            }
        )
    found = (
        f"{counted(len(rows), 'group')} suggested of {counted(record.compared, 'unit')} compared."
        if rows
        else "No group is alike enough, or all were taken or put aside."
    )
    return {"rows": rows[:60], "words": f"{found} {record.words}"}  # fmt: skip


# -- callbacks -------------------------------------------------------------------------------------------------------------


def register(app: Dash) -> None:
    drawn.register_rows(app, "graph-pins")
    register_slot(app, "graph-suggest", "groups")
    register_edits(app)
    register_drawing(app)
    register_suggestions(app)


def register_edits(app: Dash) -> None:
    @app.callback(
        Output("graph-marks", "data"),
        Input("graph-act", "data"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def edit(request: dict[str, Any] | None, name: str):
        return marks_data(name, act(name, request, request.get("revision"))) if request else no_update

    @app.callback(
        Output("graph-marks", "data", allow_duplicate=True),
        Input("graph-seen", "data"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def seen(request: dict[str, Any] | None, name: str):
        return (seen_again(name, request.get("revision")) or no_update) if request else no_update

    @app.callback(
        Output("graph-view", "data"),
        Output("graph-look", "data"),
        Input("graph-look", "data"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def see(change: dict[str, Any] | None, name: str):
        if not change:
            return no_update, no_update
        look(name, change)
        return change.get("at"), None

    @app.callback(
        Output("graph-act", "data", allow_duplicate=True),
        Input("graph-prune", "n_clicks"),
        State("graph-name", "data"),
        State("keep", "value"),
        State("edges-kept", "value"),
        State("graph-marks", "data"),
        prevent_initial_call=True,
    )
    def prune(clicks: int | None, name: str, keep: float, edges: float, now: dict[str, Any]):
        return (
            {"op": "pin", "nodes": kept_units(name, keep, edges), "revision": now["revision"], "at": clicks}
            if clicks
            else no_update
        )

    @app.callback(
        Output("graph-act", "data", allow_duplicate=True),
        Input("graph-ungroup", "n_clicks"),
        State("graph-name", "data"),
        State("selection", "data"),
        State("graph-marks", "data"),
        prevent_initial_call=True,
    )
    def ungroup(clicks: int | None, name: str, selection: dict[str, Any] | None, now: dict[str, Any]):
        if not clicks:
            return no_update
        group = marked(name).marks.group_of((selection or {}).get("node", -1))
        if group is None:
            raise BadInput("The selected node is in no group. Select a member of the group first.")
        return {"op": "ungroup", "name": group, "revision": now["revision"], "at": clicks}

    @app.callback(
        Output("graph-said", "children"),
        Output("graph-said", "className"),
        Input("graph-marks", "data"),
        prevent_initial_call=True,
    )
    def say(now: dict[str, Any] | None):
        return (now["said"], f"ow-said {now['state']}") if now else (no_update, no_update)


def seen_again(name: str, revision: Any) -> dict[str, Any] | None:
    """The marks for a page that was left and is looked at again; None where nobody edited the graph meanwhile."""
    now = marked(name)
    if now.marks.revision == revision:
        return None
    said = "Edited meanwhile, in another tab or in the shell; this is how it is now."
    return marks_data(name, replace(now, said=said, stale=True))


def kept_units(name: str, keep: float, edges: float) -> list[int]:
    """The units that the sliders leave; `act` says so where they are too many to pin."""
    found = graph_of(name)
    left = found.prune(keep, edges).nodes & found.nodes.where(*UNITS)
    return [int(i) for i in left.nonzero()[0]]


def register_drawing(app: Dash) -> None:
    @app.callback(
        Output("subgraph-data", "data"),
        Output("subgraph-words", "children"),
        Input("graph-marks", "data"),
        Input("graph-view", "data"),
        Input("edges-kept", "value"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def draw(_: Any, __: Any, edges: float, name: str):
        return drawing(name, edges)

    @app.callback(
        Output("graph-pins-data", "data"),
        Input("graph-marks", "data"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def pins(_: Any, name: str):
        return pin_rows(name)

    def client(function: str, output: Output, *inputs: Input) -> None:
        app.clientside_callback(ClientsideFunction("openwork", function), output, *inputs)

    client("subgraph", Output("subgraph", "data-drawn"), Input("subgraph-data", "data"))
    client("marks", Output("graph-said", "data-revision"), Input("graph-marks", "data"))
    client("picked", Output("subgraph", "data-picked"), Input("selection", "data"))
    client("suggestions", Output("graph-suggested", "data-drawn"), Input("graph-suggested-data", "data"))
    client("kept", Output("shown", "data-kept"), Input("keep", "value"), Input("edges-kept", "value"))


def register_suggestions(app: Dash) -> None:
    @app.callback(
        Output("graph-suggest-key", "data"),
        Input("graph-suggest", "n_clicks"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def ask(clicks: int | None, name: str):
        return suggest(name) if clicks else no_update

    @app.callback(
        Output("graph-suggested-data", "data"),
        Input("graph-suggest-done", "data"),
        Input("graph-marks", "data"),
        State("graph-name", "data"),
    )
    def tell(key: str | None, _: Any, name: str):
        return suggestion_rows(name, key) if key and work.result(key) is not None else no_update
