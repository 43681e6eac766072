"""A unit on one's own text: where it fires there, and what the model predicts when it is changed. One text box serves both."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update

from app.components import drawn
from app.components.edited import asked_before, edited_view, register_edited
from app.components.parts import icon, panel, segmented
from app.components.slot import register_slot, slot
from app.components.snippets import snippets
from app.jobs import work
from app.library import prompts
from app.pages.unit import address
from app.pages.unit.address import Looked
from app.pages.unit.panels import stored
from app.pages.unit.work import MODES, edit_work, text_work
from probe.errors import BadInput, OpenworkError
from probe.interventions.change_text import SYNONYMS

_AMOUNT = {"zero": 0.0, "scale": 2.0, "clamp": 8.0, "steer": 8.0}
_MEANS = {
    "zero": "Zero: its activation is set to 0.",
    "scale": "Scale: its activation times the amount.",
    "clamp": "Clamp: its activation is held at the amount.",
    "steer": "Steer: the amount is added to its activation, whether it fires or not.",
}


def own_panels(found: Looked, chosen: dict[str, Any], beside: Any, edit: str | None = None) -> list[Any]:
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


def _known(found: Looked, text: str) -> str | None:
    """The key of a reading that is in memory: a permalink shows it at once, and nothing is computed unasked."""
    key = text_work(found, text, "").key
    return key if text and work.result(key) is not None else None


def _edit(key: str | None, before: dict[str, Any]) -> html.Section:
    """The form, with the run of this key and what was asked for then."""
    named = SYNONYMS.get(str(before.get("mode")), before.get("mode"))
    mode = named if named in MODES else "zero"
    given = {k: before[k] for k in ("amount", "generate") if isinstance(before.get(k), int | float)}
    wheres = [("all", "at every token"), ("token", "at the selected token")]
    how = segmented("unit-edit-mode", [(m, m) for m in MODES], mode)
    where = segmented("unit-edit-where", wheres, before["where"] if before.get("where") in dict(wheres) else "all")
    fixed, size = mode == "zero", given.get("amount", 0.0)
    amount = dmc.NumberInput(
        id="unit-edit-amount", value=size, step=0.5, w=110, size="sm", label="Amount", disabled=fixed
    )
    longer = dmc.NumberInput(
        id="unit-edit-generate",
        value=given.get("generate", 12),
        min=0,
        max=60,
        w=110,
        size="sm",
        label="Continue by",
        allowDecimal=False,
    )
    run = dmc.Button("Run with the change", id="unit-edit-run", leftSection=icon("play", small=True), size="sm")
    slide = dmc.Slider(
        id="unit-edit-slide",
        min=-20,
        max=20,
        step=0.5,
        value=max(-20, min(20, size)),
        size="sm",
        disabled=fixed,
        label=None,
        updatemode="mouseup",
        marks=[{"value": v, "label": str(v)} for v in (-20, 0, 20)],
        **{"aria-label": "Amount"},
    )
    return panel(
        "Change it",
        [
            html.Div([how, where], className="ow-actions"),
            html.P(_MEANS[mode], id="unit-edit-means", className="ow-sub", style={"margin": "8px 0"}),
            html.Div([amount, longer, run], className="ow-actions ow-baseline"),
            html.Div(slide, className="ow-unit-slide"),
            html.Div(id="unit-edit-problem", className="ow-units-error", role="status"),
            edited_view("unit-edit", key),
        ],
        note="On the text beside it: what the model predicts after its last token, without and with the change.",
        foot=html.Div(id="unit-edit-code"),
    )


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
        return strip, found.summary(), read_code(address.looked_again(args), found.text)


def asked(args: dict[str, str], text: str) -> tuple[Any, Any, Any]:
    """Queue the reading; its key, the prompt's id, and what went wrong."""
    try:
        found = address.looked_again(args)
        prompt = prompts.store(text, found.model)
        return work.submit(text_work(found, text, found.href(prompt=prompt.id))), prompt.id, None
    except OpenworkError as problem:
        return no_update, no_update, str(problem)


def _register_edit(app: Dash) -> None:
    @app.callback(
        Output("unit-edit-amount", "value"),
        Output("unit-edit-amount", "disabled"),
        Output("unit-edit-slide", "disabled"),
        Output("unit-edit-means", "children"),
        Input("unit-edit-mode", "value"),
        prevent_initial_call=True,
    )
    def mode(chosen: str):
        return _AMOUNT.get(chosen, 0.0), chosen == "zero", chosen == "zero", _MEANS.get(chosen, "")

    @app.callback(Output("unit-edit-slide", "value"), Input("unit-edit-amount", "value"), prevent_initial_call=True)
    def slid(amount: Any):
        return max(-20, min(20, amount)) if isinstance(amount, int | float) else no_update

    @app.callback(
        Output("unit-edit-amount", "value", allow_duplicate=True),
        Input("unit-edit-slide", "value"),
        State("unit-edit-amount", "value"),
        prevent_initial_call=True,
    )
    def typed(value: float, amount: Any):
        beyond = isinstance(amount, int | float) and abs(amount) > 20 and abs(value) == 20
        return no_update if beyond or value == amount else value

    @app.callback(
        Output("unit-edit-key", "data"),
        Output("unit-edit-problem", "children"),
        Output("unit-edit-code", "children"),
        Output("unit-prompt", "data", allow_duplicate=True),
        Input("unit-edit-run", "n_clicks"),
        State("unit-text", "value"),
        State("unit-edit-mode", "value"),
        State("unit-edit-amount", "value"),
        State("unit-edit-where", "value"),
        State("unit-edit-generate", "value"),
        State("selection", "data"),
        State("unit-args", "data"),
        prevent_initial_call=True,
    )
    def run(clicks: int | None, text: str, mode: str, amount: Any, where: str, generate: Any, chosen: Any, args: Any):
        if not clicks:
            return no_update, no_update, no_update, no_update
        return changed(
            args, text or "", mode, amount, (chosen or {}).get("token") if where == "token" else None, where, generate
        )


def changed(
    args: dict[str, str], text: str, mode: str, amount: Any, pos: Any, where: str, generate: Any
) -> tuple[Any, Any, Any, Any]:
    """Queue the run; its key, what went wrong, its code, the prompt's id."""
    try:
        found = address.looked_again(args)
        if where == "token" and not isinstance(pos, int):
            raise BadInput(
                "No token is selected. Read the text first and click a token of it, or change it at every token."
            )
        prompt = prompts.store(text, found.model)
        longer = generate if isinstance(generate, int) else 0
        amount = 0.0 if mode == "zero" else amount
        made = edit_work(found, text, mode, amount, pos, longer)
        return work.submit(made), None, edit_code(found, text, mode, float(amount), pos, longer), prompt.id
    except OpenworkError as problem:
        return no_update, str(problem), no_update, no_update


def _owner(found: Looked) -> tuple[str, str, str]:
    """The import, the line and the argument that name a unit's owner."""
    if found.kind == "neuron":
        return "from probe import load_model", "", f"layer={found.layer}"
    line = f"learned = load_dictionary({found.dictionary!r}, model)\n"
    return "from probe import load_dictionary, load_model", line, "dictionary=learned"


def read_code(found: Looked, text: str) -> html.Details:
    """Lines that read the same text."""
    loads, line, owner = _owner(found)
    python = (
        f"{loads}\nfrom probe.features.on_text import on_text\n\nmodel = load_model({found.model!r})\n{line}"
        f"on_text(model, {text!r}, {found.number}, {owner})"
    )
    learned = ["--dictionary", str(found.dictionary)] if found.kind == "latent" else []
    return snippets(python, address.shell("unit", found.name, "--prompt", text, "--model", found.model, *learned))


def edit_code(found: Looked, text: str, mode: str, amount: float, pos: int | None, generate: int) -> html.Details:
    """Lines that make the same run."""
    loads, line, owner = _owner(found)
    at = "" if pos is None else f"pos={pos}, "
    edit = f'UnitEdit("{mode}", {found.number}, {at}amount={amount!r}, {owner})'
    python = (
        f"{loads}\nfrom probe.interventions.edited_run import edited_run\nfrom probe.interventions.unit_edits import UnitEdit\n\n"
        f"model = load_model({found.model!r})\n{line}edited_run(model, {text!r}, [{edit}], generate={generate})"
    )
    how = mode if mode == "zero" else f"{mode}={amount:g}"
    change = f"{how}:{found.name}" + ("" if pos is None else f"@{pos}")
    learned = ["--dictionary", str(found.dictionary)] if found.kind == "latent" else []
    options = ["--change", change, "--generate", str(generate), "--model", found.model, *learned]
    return snippets(python, address.shell("edit", "--prompt", text, *options))
