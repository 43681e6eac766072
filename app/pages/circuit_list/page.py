"""Circuits: every stored attribution graph, to open, compare, download, import and delete."""

from collections.abc import Collection

from dash import ClientsideFunction, Dash, Input, Output, dcc, html, no_update

from app import links
from app.components import snippets
from app.components.drawn import Drawn
from app.components.parts import Parts, copyable, empty, icon, panel, title
from app.frame.shell import Page
from app.library.artifacts import Library, library
from app.library.graphs import circuit_results, component_results, is_of_task
from app.library.models import short_model
from app.pages.circuit_list import graph_files
from circuits.graph.in_words import stored_row
from probe.artifacts.json import Json
from probe.artifacts.manifest import Manifest
from probe.artifacts.trash import discard, put_back
from probe.errors import OpenworkError
from probe.methods.in_words import label
from probe.methods.results import line, stored_call, when

MOST = 500  # rows sent; the newest
COMPARED = "compare-circuits"


def layout(query: dict[str, str]) -> Parts:
    """The list, newest first, with its tools; or how to make a first graph."""
    rows = listed(library())
    head = title(
        "Circuits",
        lead="A graph of a prompt says which parts of the model wrote what its prediction reads; one of a task, which edges "
        "between heads and MLPs its metric needs.",
    )
    asked = query.get("q", "")[:200]
    stores = [
        dcc.Store(id="circuits-data", data=rows),
        dcc.Store(id="circuits-act"),
        dcc.Store(id="circuits-asked", data=asked),
    ]
    sentence = "Open a prompt and press “Trace this prompt”, import a file below, or trace one in the shell:"
    first = empty("No circuit yet", sentence, copyable('openwork trace --prompt "The capital of France is"'))
    stored = panel(
        "Stored graphs",
        html.Div(id="circuits", className="ow-data ow-list-scroll"),
        note="Open one, or mark two to compare them: two graphs of prompts, or two circuits of a task.",
        foot=snippets.snippets(
            "from app.library.artifacts import library\n\n[folder.name for folder, _ in library().kinds['graph']]"
        ),
    )
    none = html.Div(first, id="circuits-none", hidden=bool(rows["rows"]))
    some = html.Div(stored, id="circuits-some", hidden=not rows["rows"])
    return [head, *stores, none, some, _import()]


def _import() -> html.Section:
    choose = html.Label(
        [icon("upload", small=True), "Choose a file", html.Span(id="circuits-file")],
        className="ow-button main",
        htmlFor="circuits-file-field",
    )
    most = graph_files.LARGEST >> 20
    words = (
        f"or drop it here: JSON of Neuronpedia, circuit-tracer, attribute or Openwork, up to {most} MB. It stays here."
    )
    box = html.Div(
        [choose, html.Span(words), html.Span(id="circuits-said", className="ow-said", role="status")],
        className="ow-drop",
        id="circuits-drop",
    )
    lines = "graph = read_neuronpedia('graph.json')\nsave_graph(graph, home() / 'graphs' / 'imported')"
    python = snippets.python(lines, circuits=["read_neuronpedia", "save_graph"], probe=["home"])
    return panel(
        "Import a graph",
        box,
        note="Graphs from elsewhere open like our own; what their file does not hold is shown as unknown.",
        foot=snippets.snippets(python, "openwork graph import graph.json"),
        export=False,
    )


def listed(stored: Library) -> Drawn:
    """Rows of the list, from the manifests alone."""
    compared = circuit_results()
    rows = [row(folder.name, manifest, compared) for folder, manifest in stored.kinds["graph"][:MOST]]
    found = [unopened(manifest, compared) for manifest in component_results()[:MOST]]
    rows = sorted([*rows, *found], key=lambda one: one["made"], reverse=True)
    broken = [
        {"name": name.partition("/")[2], "prompt": name.partition("/")[2], "damaged": reason}
        for name, reason in stored.damaged
        if name.startswith("graphs/")
    ]
    return {
        "rows": [*broken, *rows],
        "total": len(stored.kinds["graph"]) + len(broken) + len(found),
        "largest": graph_files.LARGEST,
        "compare": links.method_page(COMPARED),
    }


def row(name: str, manifest: Manifest, compared: Collection[str] = ()) -> Json:
    """One graph in a few words and numbers, its page and its downloads. compared: results that are circuits of edges."""
    found = stored_row(manifest)
    return {
        **found,
        "name": name,
        "prompt": found["prompt"] or "(a graph without a prompt)",
        "model": short_model(found["model"]),
        "href": links.circuit_page(name),
        "save": f"/export/graph/{links.quote(name, safe='')}/",
        "forms": [["MIB", "mib"] if is_of_task(manifest) else ["Neuronpedia", "neuronpedia"], ["Openwork", "openwork"]],
        "of_task": is_of_task(manifest),
        "circuit": next((parent for parent in manifest.parents if parent in compared), None),
    }


def unopened(manifest: Manifest, compared: Collection[str] = ()) -> Json:
    """A result that holds a circuit of components: opened, it becomes a graph, which can be marked."""
    call = stored_call(manifest)
    title = str(manifest.facts.get("title") or manifest.name)
    return {
        "name": manifest.name,
        "prompt": f"{label(call.method)}: {line(manifest)}" if call else title[:400],
        "model": short_model(manifest.model.name if manifest.model else call.model if call else ""),
        "basis": "components of a task",
        **dict.fromkeys(("nodes", "edges", "replacement")),
        "made": when(manifest),
        "href": links.circuit_of_result(manifest.name),
        "of_task": True,
        "circuit": manifest.name if manifest.name in compared else None,
        "result": True,
    }


def changed(request: Json) -> tuple[Json, Json]:
    """The list after a deletion, or after one was taken back, and what to say."""
    try:
        if "delete" in request:
            name = str(request["delete"])
            where = discard("graph", name)
            said = {"words": f"'{name}' was moved to {where}.", "back": where}
        else:
            said = {"words": f"'{put_back('graph', str(request.get('back')))}' is back.", "back": None}
    except OpenworkError as error:
        said = {"words": str(error), "wrong": True}
    return listed(library()), said


def register(app: Dash) -> None:
    graph_files.register(app.server)
    app.clientside_callback(
        ClientsideFunction("openwork", "circuits"),
        Output("circuits", "data-drawn"),
        Input("circuits-data", "data"),
        Input("circuits-asked", "data"),
    )

    @app.callback(
        Output("circuits-data", "data"),
        Output("circuits-none", "hidden"),
        Output("circuits-some", "hidden"),
        Input("circuits-act", "data"),
        prevent_initial_call=True,
    )
    def act(request: Json | None):
        if not request:
            return no_update, no_update, no_update
        rows, said = changed(request)
        return {**rows, "said": said}, bool(rows["rows"]), not rows["rows"] and not said.get("back")


PAGE = Page(r"/circuits", "Circuits", layout, register)
