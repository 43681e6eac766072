"""Groups suggested for a circuit's pinned units: the method that looks for them, and what it found beside what is marked."""

from dataclasses import replace

from dash import ClientsideFunction, Dash, Input, Output, State, no_update

from app import links
from app.components.drawn import Drawn
from app.jobs import work
from app.jobs.repeat_job import Arguments, task
from app.library.graphs import body, marked, same_body, shown_graph
from app.methods import method_jobs as calls
from app.pages.circuit.validation import cannot
from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.graph_arguments import names_to_ask
from circuits.supernodes.suggestions import suggestion_rows
from probe.methods.call import Call

KINDS = (calls.WHAT, "supernodes")
"""Of the keys under which what was suggested is found; the second before it was a method."""
FEWEST = 12  # pinned units from which suggestions are about them alone


def suggest(name: str) -> str:
    """Queue the search for groups: among the pinned units where there are some, else among the strongest."""
    now = marked(name)
    able = now.graph.nodes.where(*UNITS)
    units = sorted(i for i in now.marks.chosen if able[i])
    return _submit(name, now.graph, units if len(units) >= FEWEST else None)


def _submit(name: str, found: CircuitGraph, among: list[int] | None) -> str:
    """By what units write and promote where the model is at hand, else by the graph alone."""
    nodes = {} if among is None else {"nodes": names_to_ask(found, among)}
    which, model = ("group-by-neighbours", "") if cannot(found) else ("suggest-groups", found.model)
    wanted = calls.work_of(Call.checked(which, model, {"graph": name, **nodes}))
    again = ["groups", {"name": name, "of": body(name), "among": among}]
    return work.submit(replace(wanted, link=links.circuit_page(name, groups=wanted.key), again=again))


def told(name: str, key: str) -> Drawn:
    """The suggestions that were neither taken nor put aside."""
    now, graph = marked(name), shown_graph(name)
    rows, words = suggestion_rows(graph, work.required(key), now.marks, now.view.dismissed)
    return {"rows": rows, "words": words}


def register_suggestions(app: Dash) -> None:
    app.clientside_callback(
        ClientsideFunction("openwork", "inAddress"),
        Output("graph-suggested", "data-asked"),
        Input("graph-suggest-key", "data"),
        State("graph-suggest-address", "data"),
        prevent_initial_call=True,
    )

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
        return told(name, key) if key and work.result(key) is not None else no_update


@task("groups")
def _again(arguments: Arguments) -> None:
    _submit(arguments["name"], same_body(arguments["name"], arguments["of"]), arguments["among"])
