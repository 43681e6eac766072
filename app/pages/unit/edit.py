"""A unit changed in a text: what is asked for, the run, and the same from Python and the shell."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update

from app.components.edited import edited_view
from app.components.parts import icon, panel, segmented
from app.components.snippets import python, shell_line, snippets
from app.jobs import work
from app.library import prompts, units
from app.library.units import PageUnit
from app.pages.unit.work import MODES, edit_work
from probe.artifacts.json import Json
from probe.errors import BadInput, OpenworkError
from probe.interventions.change_text import SYNONYMS, WORDS

_AMOUNT = {"zero": 0.0, "scale": 2.0, "clamp": 8.0, "steer": 8.0}


_MEANS = {
    "zero": "Ablate: its activation is set to 0.",
    "scale": "Scale: its activation times the amount.",
    "clamp": "Clamp: its activation is held at the amount.",
    "steer": "Add: the amount is added to its activation, whether it fires or not.",
}


def _edit(key: str | None, before: Json) -> html.Section:
    """The form, with the run of this key and what was asked for then."""
    named = SYNONYMS.get(str(before.get("mode")), before.get("mode"))
    mode = named if named in MODES else "zero"
    given = {k: before[k] for k in ("amount", "generate") if isinstance(before.get(k), int | float)}
    wheres = [("all", "at every token"), ("token", "at the selected token")]
    how = segmented("unit-edit-mode", [(m, WORDS.get(m, m)) for m in MODES], mode)
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
    def slid(amount: object):
        return max(-20, min(20, amount)) if isinstance(amount, int | float) else no_update

    @app.callback(
        Output("unit-edit-amount", "value", allow_duplicate=True),
        Input("unit-edit-slide", "value"),
        State("unit-edit-amount", "value"),
        prevent_initial_call=True,
    )
    def typed(value: float, amount: object):
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
    def run(
        clicks: int | None,
        text: str,
        mode: str,
        amount: object,
        where: str,
        generate: object,
        chosen: object,
        args: Json,
    ):
        if not clicks:
            return no_update, no_update, no_update, no_update
        return changed(
            args, text or "", mode, amount, (chosen or {}).get("token") if where == "token" else None, where, generate
        )


def changed(
    args: dict[str, str], text: str, mode: str, amount: object, pos: object, where: str, generate: object
) -> tuple[Any, Any, Any, Any]:
    """Queue the run; its key, what went wrong, its code, the prompt's id."""
    try:
        found = units.unit_of(args)
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


def owner_code(found: PageUnit) -> tuple[list[str], str, str]:
    """The names, the line and the argument that name a unit's owner."""
    if found.kind == "neuron":
        return ["load_model"], "", f"layer={found.layer}"
    line = f"learned = load_dictionary({found.dictionary!r}, model)\n"
    return ["load_dictionary", "load_model"], line, "dictionary=learned"


def edit_code(found: PageUnit, text: str, mode: str, amount: float, pos: int | None, generate: int) -> html.Details:
    """Lines that make the same run."""
    names, line, owner = owner_code(found)
    at = "" if pos is None else f"pos={pos}, "
    word = WORDS.get(mode, mode)
    edit = f'UnitEdit("{word}", {found.number}, {at}amount={amount!r}, {owner})'
    run = f"edited_run(model, {text!r}, [{edit}], generate={generate})"
    code = python(f"model = load_model({found.model!r})\n{line}{run}", probe=["UnitEdit", "edited_run", *names])
    how = word if mode == "zero" else f"{word}={amount:g}"
    change = f"{how}:{found.name}" + ("" if pos is None else f"@{pos}")
    learned = ["--dictionary", str(found.dictionary)] if found.kind == "latent" else []
    options = ["--change", change, "--generate", str(generate), "--model", found.model, *learned]
    return snippets(code, shell_line("edit", "--prompt", text, *options))
