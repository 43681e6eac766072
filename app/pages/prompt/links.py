"""From the prompt to every other page: one click, with token, layer and head kept."""

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from app import links
from app.components.drawn import Drawn
from app.components.inputs import choose, write
from app.components.parts import Parts, icon
from app.library import prompts
from app.library.artifacts import library
from app.selection import Selection
from probe.artifacts.manifest import Manifest

_SHOWN = 40


def link_bar(model: str, prompt: str, selection: Selection) -> Parts:
    """A chip for each page that can show this prompt."""
    chosen = {k: selection.get(k) for k in ("token", "layer", "head") if selection.get(k) is not None}
    head = str(chosen.get("head") or "")
    places = [
        ("lens", "Lens", links.lens_page(model, prompt, **{k: v for k, v in chosen.items() if k != "head"})),
        (
            "heads",
            f"Head L{head.replace('.', 'H')}" if head else "All heads",
            links.heads_page(model, prompt, **chosen),
        ),
        ("patching", "Patching, as the clean prompt", links.patching_page(model, prompt, token=chosen.get("token"))),
        ("units", "Neurons and features", links.address(links.UNITS, model=model)),
    ]
    chips = [
        dcc.Link([icon(symbol, small=True), text], href=href, className="ow-chip") for symbol, text, href in places
    ]
    return [html.Span("Open it in", className="ow-partial"), *chips]


def compare_menu(model: str, prompt: str) -> html.Details:
    """Which other prompt to set beside this one."""
    others = [p for p in prompts.recent(_SHOWN) if p.id != prompt]
    options = {p.id: " ".join(p.text.split())[:70] for p in others}
    hint = "A prompt opened before" if options else "No other prompt was opened yet"
    within = {"size": "sm", "searchable": True, "clearable": True, "comboboxProps": {"withinPortal": False}}
    pick = choose("compare-with", options, None, "Another prompt", placeholder=hint, **within)
    box = write("compare-text", "Write another prompt", hint="or write one", lines=2, size="sm")
    go = dmc.Button("Set side by side", id="compare-go", size="xs")
    body = html.Div(
        [html.H3("Compare with another prompt"), pick, box, html.Div(go, className="ow-actions")],
        className="ow-popout-body",
    )
    return html.Details([html.Summary([icon("beside", small=True), "Compare"]), body], className="ow-popout")


def circuits_of(model: str, text: str) -> list[Manifest]:
    """Stored graphs of this prompt, newest first."""
    found = library().kinds["graph"]
    return [m for _, m in found if m.facts.get("prompt") == text and m.model and m.model.name == model]


def circuit_rows(model: str, text: str) -> Drawn:
    """A row for each circuit of this prompt."""
    rows = [
        {
            "name": m.name,
            "basis": str(m.config.get("basis", "")).replace("mixed", "latents and neurons"),
            "nodes": f"{m.facts['n_nodes']:,}" if isinstance(m.facts.get("n_nodes"), int) else "",
            "with": ", ".join(m.parents) or "the model's own neurons",
            "made": m.created[:16].replace("T", " "),
            "href": links.circuit_page(m.name),
        }
        for m in circuits_of(model, text)
    ]
    columns = [
        {"key": "name", "label": "circuit", "kind": "text"},
        {"key": "basis", "label": "nodes are", "kind": "text"},
        {"key": "with", "label": "traced with", "kind": "text"},
        {"key": "nodes", "label": "nodes", "kind": "text"},
        {"key": "made", "label": "made", "kind": "text"},
    ]
    return {"columns": columns, "rows": rows, "label": "Circuits of this prompt"}


def register(app: Dash) -> None:
    @app.callback(Output("prompt-links", "children"), Input("selection", "data"), State("prompt-args", "data"))
    def follow(selection: Selection | None, args: dict[str, str]):
        return link_bar(args["model"], args["id"], selection or {})

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("compare-go", "n_clicks"),
        State("compare-with", "value"),
        State("compare-text", "value"),
        State("prompt-args", "data"),
        prevent_initial_call=True,
    )
    def compare(clicks: int | None, other: str | None, text: str | None, args: dict[str, str]):
        if not clicks or not (other or (text or "").strip()):
            return no_update
        other = prompts.store(text or "", args["model"]).id if (text or "").strip() else str(other)
        return links.beside_page(args["id"], other, args["model"])
