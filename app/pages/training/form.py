"""The form that starts a training: what it is trained on, what it is, what it will take, and go."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, html, no_update

from app.components.parts import Parts, copyable, error, icon
from app.components.slot import register_slot, slot
from app.jobs import work
from app.methods import form
from app.pages.training import work as trainings
from probe.artifacts.json import Json
from probe.errors import OpenworkError
from probe.training.training_request import ALL as ASKED
from probe.training.training_request import ASKS, SETTINGS, Asked, asked_by

AT = "train"


def train_menu() -> html.Details:
    """The form below 'Start a training'; where there is no cache, the command that makes one."""
    found = trainings.caches()
    body = _form(found[0]) if found else _no_cache()
    summary = html.Summary([icon("play", small=True), "Start a training"])
    return html.Details([summary, html.Div(body, className="ow-popout-body wide")], className="ow-popout primary")


def _no_cache() -> Parts:
    command = "openwork harvest --sites mlp_in.4,mlp_out.4 --tokens 300000 --name layer4"
    words = "A training reads activations from a cache. This makes one of an early layer of the default model:"
    return [html.H3("Nothing to train on yet"), html.P(words, className="ow-sub"), copyable(command)]


def _form(cache: str) -> Parts:
    more = form.controls(AT, (*ASKS.only("name").parameters, *SETTINGS.parameters), {})
    return [
        html.H3("Start a training"),
        *form.form(AT, ASKS.without("name"), "", {"cache": cache}),
        html.Details(
            [html.Summary("Its name, and all other settings"), html.Div(more, className="ow-asks")],
            className="ow-more-settings",
        ),
        html.Div(
            dmc.Button("What will it take?", id="train-plan", variant="default", size="xs"), className="ow-actions"
        ),
        slot("train-planned"),
        html.Div(id="train-announced", role="status"),
        html.Div(
            dmc.Button("Start", id="train-start", size="xs", disabled=True, leftSection=icon("play", small=True)),
            className="ow-actions",
        ),
    ]


def announced(plan: Json, wanted: Asked) -> Parts:
    """The plan in words, and the same as a command."""
    words = f"{plan['said']}, by the speed measured just now."
    return [html.P(words, className="ow-partial"), copyable(wanted.shell(plan["d_dict"]))]


def register(app: Dash) -> None:
    register_slot(app, "train-planned")
    filled = form.states(AT)
    typed = [Input(f.component_id, f.component_property) if f.component_property != "id" else f for f in filled]

    @app.callback(
        Output("train-planned-key", "data"),
        Output("train-announced", "children", allow_duplicate=True),
        Output("train-start", "disabled", allow_duplicate=True),
        Input("train-plan", "n_clicks"),
        *filled,
        prevent_initial_call=True,
    )
    def plan(clicks: int | None, *values: Any):
        try:
            return (work.submit(trainings.planning(_asked(values))) if clicks else no_update), None, True
        except OpenworkError as problem:
            return None, error(str(problem)), True

    @app.callback(
        Output("train-announced", "children"),
        Output("train-start", "disabled"),
        Input("train-planned-done", "data"),
        *typed,
    )
    def tell(key: str | None, *values: Any):
        try:
            wanted = _asked(values)
        except OpenworkError as problem:
            return error(str(problem)), True
        found = work.result(trainings.planning(wanted).key)
        return (None, True) if found is None else (announced(found, wanted), False)

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Output("train-announced", "children", allow_duplicate=True),
        Input("train-start", "n_clicks"),
        *filled,
        prevent_initial_call=True,
    )
    def begin(clicks: int | None, *values: Any):
        try:
            return (trainings.start(_asked(values)) if clicks else no_update), no_update
        except OpenworkError as problem:
            return no_update, error(str(problem))


def _asked(filled: Any) -> Asked:
    return asked_by(form.given(ASKED, *filled))
