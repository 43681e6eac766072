"""Groups suggested for a circuit's pinned units: the search as a job, and what of it is still to be taken or put aside."""

from typing import TYPE_CHECKING

from dash import Dash, Input, Output, State, no_update

from app import links
from app.components import snippets
from app.components.drawn import Drawn
from app.jobs import results, work
from app.jobs.again import Arguments, task
from app.library.graphs import body, graph_of, same_body, shown_graph
from app.library.models import model_named, models, stamp_in_memory
from app.pages.circuit.marks_on_disk import marked
from app.pages.circuit.suggested import Suggested, suggested
from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.naming import titled
from probe.errors import BadInput, OpenworkError
from probe.progress import Progress
from probe.words import counted

if TYPE_CHECKING:
    from numpy import ndarray


SUGGESTIONS = "supernodes"


FEWEST = 12  # pinned units from which suggestions are about them alone


def suggest(name: str) -> str:
    """Queue the search for groups: among the pinned units where there are some, else among the strongest."""
    now = marked(name)
    able = now.graph.nodes.where(*UNITS)
    units = [i for i in now.marks.chosen if able[i]]
    return start_suggestions(name, body(name), sorted(units) if len(units) >= FEWEST else None)


def start_suggestions(name: str, of: str, among: list[int] | None) -> str:
    """Queue the search for groups among these units of a graph whose edges have the digest `of`; None is the strongest."""
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


def _evidence(
    found: CircuitGraph, nodes: tuple[int, ...] | None, progress: Progress
) -> "tuple[dict[int, ndarray], dict[int, list[str]]]":
    from app.pages.circuit.validation_work import dictionaries_for
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


def suggestion_rows(name: str, key: str) -> Drawn:
    """The suggestions that were neither taken nor put aside."""
    record = work.required(key)
    now, graph = marked(name), shown_graph(name)
    rows = []
    for g in sorted(record.groups, key=lambda g: (g.weak, -(g.score or 0))):
        mark = ",".join(map(str, sorted(g.nodes)))
        taken = any(set(g.nodes) <= set(members) for members in now.marks.groups.values())
        if taken or mark in now.view.dismissed:
            continue
        listed = ", ".join(f"{titled(graph, i, 40)}@{graph.nodes.pos[i]}" for i in g.nodes[:8])
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
    def tell(key: str | None, _: object, name: str):
        return suggestion_rows(name, key) if key and work.result(key) is not None else no_update


@task("groups")
def _group_again(arguments: Arguments) -> None:
    start_suggestions(arguments["name"], arguments["of"], arguments["among"])
