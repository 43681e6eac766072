"""A unit on one's own text: where it fires there, and what the model predicts when it is changed. One text box serves both."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update

from app.components import drawn
from app.components.edited import register_edited
from app.components.parts import Part, Parts, icon, panel
from app.components.slot import register_slot, slot
from app.components.snippets import python, shell_line, snippets
from app.jobs import work
from app.jobs.edited import asked_before
from app.library import prompts, units
from app.library.units import PageUnit
from app.pages.unit.edit import _edit, _register_edit, owner_code
from app.pages.unit.panels import stored
from app.pages.unit.work import text_work
from app.selection import Selection
from probe.errors import BadInput, OpenworkError


def own_panels(found: PageUnit, chosen: Selection, beside: Part, edit: str | None = None) -> Parts:
    """The text, the strip, and the edit: the run of this key, as it was asked for, where there is one."""
    if found.kind == "latent" and not stored(found):
        words = f"The dictionary {found.dictionary} is not stored here, so its latents cannot be run on other text."
        return [
            html.Div(
                [panel("On your own text", html.P(words, className="ow-sub"), export=False), beside],
                className="ow-grid even",
            )
        ]
    before = asked_before(edit)
    text = _text_of(chosen.get("prompt")) or str(before.get("prompt", ""))
    box = dmc.Textarea(
        id="unit-text",
        value=text,
        autosize=True,
        minRows=2,
        maxRows=8,
        placeholder="Write a text to read with this unit",
        **{"aria-label": "Text"},
    )
    button = dmc.Button("Read it", id="unit-read", leftSection=icon("play", small=True), size="sm")
    read = panel(
        "On your own text",
        [
            box,
            html.Div(
                [button, html.Span(id="unit-read-words", className="ow-partial")],
                className="ow-actions",
                style={"margin": "10px 0"},
            ),
            html.Div(id="unit-read-problem", className="ow-units-error", role="status"),
            slot("unit-read", _known(found, text)),
            drawn.token_strip("unit-strip"),
        ],
        note="Exact: the model runs, and its activation is shown at every token.",
        foot=html.Div(id="unit-read-code"),
    )
    return [html.Div([read, _edit(edit, before)], className="ow-grid even"), beside]


def _text_of(identity: str | None) -> str:
    try:
        return prompts.load(identity).text if identity else ""
    except BadInput:
        return ""


def _known(found: PageUnit, text: str) -> str | None:
    """The key of a reading that is in memory: a permalink shows it at once, and nothing is computed unasked."""
    key = text_work(found, text, "").key
    return key if text and work.result(key) is not None else None


def register(app: Dash) -> None:
    register_slot(app, "unit-read")
    drawn.register_strip(app, "unit-strip")
    register_edited(app, "unit-edit")
    _register_read(app)
    _register_edit(app)


def _register_read(app: Dash) -> None:
    @app.callback(
        Output("unit-read-key", "data"),
        Output("unit-prompt", "data"),
        Output("unit-read-problem", "children"),
        Input("unit-read", "n_clicks"),
        State("unit-text", "value"),
        State("unit-args", "data"),
        prevent_initial_call=True,
    )
    def read(clicks: int | None, text: str | None, args: dict[str, str]):
        return asked(args, text or "") if clicks else (no_update, no_update, no_update)

    @app.callback(
        Output("unit-strip-data", "data"),
        Output("unit-read-words", "children"),
        Output("unit-read-code", "children"),
        Input("unit-read-done", "data"),
        State("unit-args", "data"),
    )
    def show(key: str | None, args: dict[str, str]):
        found = work.result(key)
        if found is None:
            return no_update, no_update, no_update
        strip = drawn.strip_data(found.tokens, found.token_ids, found.values, label=f"activation of {found.unit}")
        return strip, found.summary(), read_code(units.unit_of(args), found.text)


def asked(args: dict[str, str], text: str) -> tuple[Any, Any, Any]:
    """Queue the reading; its key, the prompt's id, and what went wrong."""
    try:
        found = units.unit_of(args)
        prompt = prompts.store(text, found.model)
        return work.submit(text_work(found, text, found.href(prompt=prompt.id))), prompt.id, None
    except OpenworkError as problem:
        return no_update, no_update, str(problem)


def read_code(found: PageUnit, text: str) -> html.Details:
    """Lines that read the same text."""
    names, line, owner = owner_code(found)
    run = f"on_text(model, {text!r}, {found.number}, {owner})"
    code = python(f"model = load_model({found.model!r})\n{line}{run}", probe=["on_text", *names])
    learned = ["--dictionary", str(found.dictionary)] if found.kind == "latent" else []
    return snippets(code, shell_line("unit", found.name, "--prompt", text, "--model", found.model, *learned))
