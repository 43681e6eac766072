"""One circuit: its scores, link graph, connections, the subgraph of what is pinned, and whether the model agrees."""

from dash import dcc, html
from dash.development.base_component import Component

from app import links
from app.components.cards import outdated_note
from app.components.inputs import choose
from app.components.parts import Parts, icon, link_button, moved, title
from app.components.polling import poll
from app.figures.dress import worn
from app.frame.shell import Page
from app.jobs import work
from app.library import prompts
from app.library.artifacts import is_registered, library
from app.library.graphs import is_of_task, opened_circuit, shown_graph
from app.library.models import models, short_model
from app.methods.method_jobs import found as result
from app.methods.method_jobs import maker_of
from app.pages.circuit import components
from app.pages.circuit.callbacks import WAITING, connected, plotted, register, shown_rows, starting_node, waiting
from app.pages.circuit.editing import subgraph_panel
from app.pages.circuit.panels import link_panels, made_panel, nodes_panel, shares
from app.pages.circuit.pinned import marks_data
from app.pages.circuit.scores import bar
from app.pages.circuit.suggestions import KINDS
from app.pages.circuit.validation import test_panel
from app.selection import selection_from
from circuits.graph.component_graph import ComponentGraph
from circuits.graph.graph import CircuitGraph
from probe.errors import BadInput

MOST_OFFERED = 100  # graphs to compare with


def layout(name: str, query: dict[str, str]) -> Parts:
    """The page of a stored graph; of one that is being traced, its progress."""
    job = maker_of(name)
    if (
        job is not None
        and (job.active or job.state in ("failed", "cancelled", "interrupted"))
        and not is_registered("graph", name)
    ):
        return [
            title("Tracing", eyebrow="Circuit"),
            dcc.Store(id="waiting-for", data=name),
            poll("waiting-poll", WAITING),
            html.Div(waiting(name), id="waiting"),
        ]
    found = shown_graph(name)
    keep, edges = shares(found, query)
    selection = starting_node(found, selection_from(query))
    link, node = plotted(name, keep, selection, worn(), edges), connected(name, keep, selection, "in", edges)
    return [
        dcc.Store(id="graph-name", data=name),
        dcc.Store(id="selection", data={**selection, "keep": keep}),
        dcc.Store(id="graph-marks", data=marks_data(name)),
        *(dcc.Store(id=id) for id in ("graph-act", "graph-look", "graph-view", "graph-seen")),
        title(
            found.prompt or "(a graph without a prompt)",
            eyebrow=f"Circuit · {name} · {short_model(found.model) or 'unnamed model'}",
            actions=[_prompt_link(found), None if found.of_task else _compare(name), *_exports(found, name)],
            clamp=True,
        ),
        *outdated_note("graph", name),
        bar(found),
        *link_panels(found, name, keep, edges, link, node),
        subgraph_panel(found, name, edges, work.given(query.get("groups"), *KINDS)),
        tested(found, name, query),
        nodes_panel(name, shown_rows(name, keep, selection, edges)),
        made_panel(found, name),
    ]


def tested(found: CircuitGraph, name: str, query: dict[str, str]) -> Component:
    """Whether the model agrees: of the graph of a prompt by changing it, of a circuit of components by circuits of every size."""
    if isinstance(found, ComponentGraph):
        return components.measured(found, name, query)
    return test_panel(found, name, query.get("test"))


def _prompt_link(found: CircuitGraph) -> Component | None:
    """To the hub of the graph's prompt, where its model is one the pages may load."""
    if found.of_task or found.model not in models() or "imported" in found.facts:
        return None
    identity = prompts.prompt_id(found.prompt)
    try:
        if not prompts.is_stored(identity):
            prompts.store(found.prompt, found.model)
    except BadInput:  # longer than a page reads, or blank: the graph is there all the same
        return None
    return link_button("The prompt", links.prompt_page(identity, found.model), "prompt", small=True)


def _compare(name: str) -> Component | None:
    """A menu of the other graphs; choosing one opens both beside each other."""
    others = [f.name for f, m in library().kinds["graph"] if f.name != name and not is_of_task(m)][:MOST_OFFERED]
    if not others:
        return None
    look = {"size": "xs", "w": 170, "leftSection": icon("beside", small=True), "placeholder": "Compare with …"}
    below = {"width": 300, "position": "bottom-end"}
    return choose(
        "graph-compare", others, None, "Compare with another graph", searchable=True, comboboxProps=below, **look
    )


def _exports(found: CircuitGraph, name: str) -> Parts:
    other = {"MIB JSON": "mib"} if found.of_task else {"Neuronpedia JSON": "neuronpedia"}
    forms = {**other, "Openwork JSON": "openwork"}
    return [
        link_button(label, export_address(name, form), "download", small=True, download=True)
        for label, form in forms.items()
    ]


def export_address(name: str, form: str) -> str:
    """Where a graph is downloaded."""
    return f"/export/graph/{links.quote(name, safe='')}/{form}.json"


def opened(name: str, query: dict[str, str]) -> Parts:
    """The address of a result that holds a circuit of components: stored as a graph, once, and gone to."""
    one = result(name)
    return moved(links.circuit_page(opened_circuit(one.record, one.name)))


OF_RESULT = Page(r"/circuits/of/(?P<name>[^/]+)", "Circuit", opened)
PAGE = Page(r"/circuits/(?P<name>[^/]+)", "Circuit", layout, register, ("links",))
