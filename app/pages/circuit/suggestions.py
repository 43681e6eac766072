"""Groups suggested for a circuit's pinned units: the search as a job, and what of it is still to be taken or put aside."""

from dash import Dash, Input, Output, State, no_update

from app import links
from app.components import snippets
from app.components.drawn import Drawn
from app.jobs import results, work
from app.jobs.again import Arguments, task
from app.library.graphs import body, graph_of, marked, same_body, shown_graph
from app.library.models import model_named, models, stamp_in_memory
from app.pages.circuit.suggested import Suggested, suggested
from circuits.graph.graph import UNITS
from circuits.graph.naming import titled
from probe.artifacts.json import Json
from probe.errors import BadInput, OpenworkError
from probe.progress import Progress
from probe.words import counted

SUGGESTIONS = "supernodes"
FEWEST = 12  # pinned units from which suggestions are about them alone
MOST, NAMED = 60, 8  # groups listed, members named


def suggest(name: str) -> str:
    """Queue the search for groups: among the pinned units where there are some, else among the strongest."""
    now = marked(name)
    able = now.graph.nodes.where(*UNITS)
    units = [i for i in now.marks.chosen if able[i]]
    return start_suggestions(name, body(name), sorted(units) if len(units) >= FEWEST else None)


def start_suggestions(name: str, of: str, among: list[int] | None) -> str:
    """Queue the search for groups among these units of a graph whose edges have the digest `of`; None is the strongest."""
    found = same_body(name, of)
    able = found.nodes.where(*UNITS)
    if among is not None and not all(type(i) is int and 0 <= i < len(able) and able[i] for i in among):
        raise BadInput(f"These are not units of {name}; look for groups on its page.")
    key = work.key_of(SUGGESTIONS, name, of, among)
    origin = results.Origin(
        (name,),
        {"nodes": None if among is None else [found.name(i) for i in among]},
        snippets.shell_line("graph", "supernodes", name, "--suggest"),
        lambda: stamp_in_memory(found.model),
    )
    title, link = f"Suggest groups in {name}", links.circuit_page(name, groups=key)
    again = ["groups", {"name": name, "of": of, "among": among}]
    return work.submit(work.Work(key, title, lambda p: search(name, among, p), link, "graph", origin, again=again))


def search(name: str, among: list[int] | None, progress: Progress) -> Suggested:
    """Groups by what units write and promote where the model is at hand, else by the graph alone; the words say which."""
    from circuits.supernodes.evidence import suggest_groups
    from circuits.supernodes.suggest import suggest_supernodes

    found, words = graph_of(name), "the model of this graph is not at hand."
    if found.model in models() and "imported" not in found.facts:
        try:
            record = suggest_groups(model_named(found.model, progress), found, among, progress=progress)
            return suggested(record, "By shared tokens, direction written, and shared neighbours.")
        except OpenworkError as error:
            words = str(error)
    return suggested(suggest_supernodes(found, among), f"By shared neighbours alone: {words}")


def suggestion_rows(name: str, key: str) -> Drawn:
    """The suggestions that were neither taken nor put aside."""
    record, now, graph = work.required(key), marked(name), shown_graph(name)
    taken = [set(members) for members in now.marks.groups.values()]
    left = [
        g
        for g in sorted(record.groups, key=lambda g: (g.weak, -(g.score or 0)))
        if _mark(g.nodes) not in now.view.dismissed and not any(set(g.nodes) <= members for members in taken)
    ]
    found = "No group is alike enough, or all were taken or put aside."
    if left:
        found = f"{counted(len(left), 'group')} suggested of {counted(record.compared, 'unit')} compared."

    def row(name: str, nodes: tuple[int, ...]) -> Json:
        listed = ", ".join(f"{titled(graph, i, 40)}@{graph.nodes.pos[i]}" for i in nodes[:NAMED])
        more = f", and {len(nodes) - NAMED} more" if len(nodes) > NAMED else ""
        fresh = f"{name} (2)" if name in now.marks.groups else name
        return {"key": _mark(nodes), "name": fresh[:100], "nodes": list(nodes), "members": listed + more}

    rows = [{**row(g.name, g.nodes), "score": g.score, "weak": g.weak} for g in left[:MOST]]
    return {"rows": rows, "words": f"{found} {record.words}"}


def _mark(nodes: tuple[int, ...]) -> str:
    """What a group that was put aside is known by."""
    return ",".join(map(str, sorted(nodes)))


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
