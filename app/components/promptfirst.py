"""What a page that needs a prompt shows before it has one: the box, and the prompts read last."""

from dash import Dash, dcc, html

from app.components import promptbox
from app.components.parts import Parts, panel, title
from app.library import prompts
from app.library.models import require_offered, short_model
from app.library.prompts import Prompt
from app.links import address


def prompt_first(name: str, path: str, heading: str, lead: str) -> Parts:
    """The whole page."""
    box = html.Section(
        html.Div(promptbox.prompt_box(name), className="body", style={"paddingTop": 16}), className="ow-panel"
    )
    cards = [
        dcc.Link(
            [html.Div(p.text, className="name ow-clamp", dir="auto"), html.Div(short_model(p.model), className="meta")],
            href=address(path, model=p.model, prompt=p.id),
            className="ow-card",
        )
        for p in prompts.recent(9)
    ]
    recent = [panel("Recent prompts", html.Div(cards, className="ow-cards"), export=False)] if cards else []
    return [title(heading, lead=lead), box, *recent]


def register_prompt_first(app: Dash, name: str, path: str) -> None:
    """Its box opens the same page with the prompt."""
    promptbox.register(app, name, lambda prompt, model: address(path, model=model, prompt=prompt))


def prompt_and_model(query: dict[str, str]) -> tuple[Prompt, str]:
    """The prompt that an address names, and the model that it names, or else the one the prompt was last opened with.

    BadInput where there is none, or no menu offers the model.
    """
    prompt = prompts.load(query["p"])
    model = query.get("m") or prompt.model
    return prompt, require_offered(model)
