"""The prompt hub: one prompt seen through tokens, lens, stream, heads, units and circuits, all following one selection."""

from dash import dcc, html

from app import links
from app.components import drawn
from app.components.parts import Parts, link_button, panel, title
from app.components.polling import poll
from app.frame.shell import Page
from app.jobs.readings import start_reading
from app.library import prompts
from app.library.models import require_offered, short_model
from app.pages.prompt.callbacks import EVERY, register
from app.pages.prompt.links import circuit_rows, circuits_of, compare_menu, link_bar
from app.pages.prompt.panels import panels
from app.pages.prompt.trace import trace_menu
from app.selection import selection_from


def layout(identity: str, query: dict[str, str]) -> Parts:
    """Panels with skeletons; the callbacks fill them as the readings arrive."""
    prompt = prompts.load(identity)
    model = query.get("m") or prompt.model
    require_offered(model)
    start_reading(model, prompt)
    selection = {**selection_from(query), "model": model, "prompt": identity}
    return [
        dcc.Store(id="prompt-args", data={"id": identity, "model": model}),
        dcc.Store(id="ready", data={}),
        poll("reading-poll", EVERY),
        dcc.Store(id="selection", data=selection),
        title(
            prompt.text,
            eyebrow=f"Prompt · {short_model(model)}",
            actions=[
                *newest_circuit(model, prompt.text),
                compare_menu(model, prompt),
                trace_menu(model, prompt.text),
            ],
            clamp=True,
        ),
        html.Nav(
            link_bar(model, identity, selection),
            id="prompt-links",
            className="ow-link-bar",
            **{"aria-label": "This prompt on other pages"},
        ),
        html.Div(id="reading"),
        html.Div([*panels(model, prompt.text), *circuits_panel(model, prompt.text)], className="ow-stack ow-fills"),
    ]


def newest_circuit(model: str, text: str) -> Parts:
    """A button to the newest stored graph of this prompt, if there is one."""
    found = circuits_of(model, text)[:1]
    return [link_button("Open its circuit", links.circuit_page(m.name)) for m in found]


def circuits_panel(model: str, text: str) -> Parts:
    """The table of its circuits, where there are any."""
    data = circuit_rows(model, text)
    if not data["rows"]:
        return []
    return [
        panel(
            "Circuits of this prompt",
            drawn.rows("prompt-circuits", 300, data),
            note="Attribution graphs that were traced from it.",
        )
    ]


PAGE = Page(
    r"/p/(?P<identity>[^/]+)", "Prompt", layout, register, ("lens-figure", "forming", "norms", "growth", "pattern")
)
