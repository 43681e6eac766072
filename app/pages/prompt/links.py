"""From the prompt to every other page: one click, with token, layer and head kept."""

from dash import Dash, Input, Output, State, dcc, html

from app import links
from app.components.drawn import Drawn
from app.components.parts import Parts, icon
from app.library import prompts
from app.library.artifacts import library, read_by
from app.library.prompts import Prompt
from app.methods.block import Block
from app.selection import Selection
from probe.artifacts.manifest import Manifest
from probe.show.columns import column

_SHOWN = 40
BESIDE = Block("beside", "compare-prompts", fields=("b",), title="Compare with another prompt", note="", leads=True)


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


def compare_menu(model: str, prompt: Prompt) -> html.Details:
    """Which other prompt to set beside this one: one that was opened before, or one that is written here."""
    others = [p for p in prompts.recent(_SHOWN) if p.id != prompt.id]
    before = [
        dcc.Link(html.Span(" ".join(p.text.split())[:70], dir="auto"), href=links.beside_page(prompt.id, p.id, model))
        for p in others
    ]
    form = BESIDE.layout(model, {"a": prompt.text, "dictionaries": read_by(model)})
    body = [form, html.Div(before, className="ow-before", hidden=not before, **{"aria-label": "Opened before"})]
    return html.Details(
        [html.Summary([icon("beside", small=True), "Compare"]), html.Div(body, className="ow-popout-body")],
        className="ow-popout",
    )


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
    labels = {"name": "circuit", "basis": "nodes are", "with": "traced with", "nodes": "nodes", "made": "made"}
    columns = [column(key, label) for key, label in labels.items()]
    return {"columns": columns, "rows": rows, "label": "Circuits of this prompt"}


def register(app: Dash) -> None:
    @app.callback(Output("prompt-links", "children"), Input("selection", "data"), State("prompt-args", "data"))
    def follow(selection: Selection | None, args: dict[str, str]):
        return link_bar(args["model"], args["id"], selection or {})
