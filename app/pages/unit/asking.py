"""A unit on one's own text: where it fires there, and what the model predicts when it is changed."""

from dash import Dash, Input, Output, html, no_update

from app.components.parts import Part, Parts, panel
from app.jobs import work
from app.library import prompts
from app.library.artifacts import is_registered
from app.library.units import PageUnit
from app.methods.block import Block
from app.methods.change_buttons import changing
from app.methods.form import FIELD
from app.methods.old_jobs import run_of_before
from app.selection import Selection
from probe.errors import BadInput
from probe.interventions.change_text import OF_UNIT

TEXT = Block(
    "text",
    "unit-on-text",
    fields=("text",),
    key="read",
    title="On your own text",
    note="Exact: the model runs, and its activation is shown at every token.",
)
CHANGE = Block(
    "change",
    "edit",
    fields=("prompt", "changes", "generate"),
    key="edit",
    title="Change it",
    note="What the model predicts after the text's last token, without and with the change.",
)


def blocks(found: PageUnit, chosen: Selection, query: dict[str, str]) -> Parts:
    """The unit on a text, and the text with the unit changed."""
    if found.kind == "latent" and not is_registered("dictionary", str(found.dictionary)):
        words = f"The dictionary {found.dictionary} is not stored here, so its latents cannot be run on other text."
        return [panel("On your own text", html.P(words, className="ow-sub"), export=False)]
    text = {"text": said} if (said := _text_of(chosen.get("prompt"))) else {}
    prompt = {"prompt": said} if said else {}
    changes = {"changes": [f"ablate:{found.name}"]}
    learned = {"dictionaries": [found.dictionary]} if found.dictionary else {}
    change: list[Part] = [
        changing(CHANGE.at, found.name, OF_UNIT),
        CHANGE.layout(found.model, {**prompt, **changes, **learned}, query),
        *run_of_before(query.get("edit")),
    ]
    read = TEXT.layout(found.model, {**text, **found.named}, query)
    return [
        html.Div(
            [html.Div(read, id="unit-own"), html.Div(change, id="unit-change", className="ow-stack")],
            className="ow-grid even",
        )
    ]


def _text_of(identity: str | None) -> str:
    try:
        return prompts.load(identity).text if identity else ""
    except BadInput:
        return ""


def register(app: Dash) -> None:
    @app.callback(
        Output({"type": FIELD, "at": CHANGE.at, "of": "prompt", "part": ""}, "value", allow_duplicate=True),
        Input(TEXT.part("done"), "data"),
        prevent_initial_call=True,
    )
    def same_text(done: str | None):
        """What was read is what is changed next."""
        found = work.result(done)
        return no_update if found is None else found.text
