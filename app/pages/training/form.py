"""The form that starts a training: what it is trained on, what it is, what it will take, and go."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update
from dash.development.base_component import Component

from app.components.parts import Parts, copyable, error, icon
from app.components.slot import register_slot, slot
from app.jobs import work
from app.pages.training import work as trainings
from app.pages.training.work import FACTORS, OFFERED, RULES, Asked
from probe.artifacts.json import Json
from probe.errors import BadInput, OpenworkError
from probe.words import duration, size

_FIELDS = ("cache", "kind", "rule", "k", "factor", "epochs", "seed", "name")


def train_menu() -> html.Details:
    """The form below 'Start a training'; where there is no cache, the command that makes one."""
    found = trainings.caches()
    body = _form([m.name for m in found]) if found else _no_cache()
    summary = html.Summary([icon("play", small=True), "Start a training"])
    return html.Details([summary, html.Div(body, className="ow-popout-body wide")], className="ow-popout primary")


def _no_cache() -> Parts:
    command = "openwork harvest --sites mlp_in.4,mlp_out.4 --tokens 300000 --name layer4"
    return [
        html.H3("Nothing to train on yet"),
        html.P(
            "A training reads activations from a cache. This makes one of an early layer of the default model:",
            className="ow-sub",
        ),
        copyable(command),
    ]


def _form(caches: list[str]) -> Parts:
    def select(name: str, label: str, values: list[str], value: str) -> Component:
        data = [{"value": v, "label": v.replace("_", " ") if name != "cache" else v} for v in values]
        inside = {"withinPortal": False}
        return dmc.Select(
            id=f"train-{name}",
            label=label,
            data=data,
            value=value,
            allowDeselect=False,
            size="sm",
            comboboxProps=inside,
        )

    def number(name: str, label: str, value: int, **options: object) -> Component:
        return dmc.NumberInput(id=f"train-{name}", label=label, value=value, size="sm", **options)

    fields = [
        select("cache", "Cache", caches, caches[0]),
        select("kind", "Kind", list(OFFERED), OFFERED[0]),
        select("rule", "Sparsifier", list(RULES), RULES[0]),
        number("k", "Its number (k, target L0, or penalty)", 32, min=0.01, max=100_000),
        select("factor", "Latents for each dimension read", [str(f) for f in FACTORS], "8"),
        number("epochs", "Passes over the tokens", 3, min=1, max=1000, allowDecimal=False),
        number("seed", "Seed", 0, min=0, max=2**31 - 1, allowDecimal=False),
        dmc.TextInput(id="train-name", label="Name", placeholder="from the recipe", size="sm"),
    ]
    return [
        html.H3("Start a training"),
        html.Div(fields, className="ow-form"),
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


def asked(
    cache: str, kind: str, rule: str, k: object, factor: str, epochs: object, seed: object, name: str | None
) -> Asked:
    """The form as a request; BadInput for what cannot be."""
    if not isinstance(epochs, int) or not isinstance(seed, int) or not isinstance(k, int | float):
        raise BadInput("Epochs, seed and the sparsifier's number must be given.")
    named = (name or "").strip() or trainings.suggested(cache, kind, rule, k, factor, seed)
    return Asked(cache, named, kind=kind, rule=rule, k=k, factor=int(factor), epochs=epochs, seed=seed)


def announced(plan: Json, wanted: Asked) -> Parts:
    """The plan in words, and the same as a command."""
    words = (
        f"{plan['d_dict']:,} latents, {plan['parameters']:,} weights, {plan['steps']:,} steps over {plan['tokens']:,} tokens: "
        f"{size(plan['memory_bytes'])} of memory, {size(plan['disk_bytes'])} on disk, about {duration(plan['seconds'])}, "
        "by the speed measured just now."
    )
    return [html.P(words, className="ow-partial"), copyable(wanted.shell(plan["d_dict"]))]


def register(app: Dash) -> None:
    register_slot(app, "train-planned")
    fields = [State(f"train-{name}", "value") for name in _FIELDS]

    @app.callback(
        Output("train-planned-key", "data"),
        Output("train-announced", "children", allow_duplicate=True),
        Output("train-start", "disabled", allow_duplicate=True),
        Input("train-plan", "n_clicks"),
        *fields,
        prevent_initial_call=True,
    )
    def plan(clicks: int | None, *values: Any):
        try:
            return (work.submit(trainings.planning(asked(*values))) if clicks else no_update), None, True
        except OpenworkError as problem:
            return None, error(str(problem)), True

    @app.callback(
        Output("train-announced", "children"),
        Output("train-start", "disabled"),
        Input("train-planned-done", "data"),
        *[Input(f"train-{name}", "value") for name in _FIELDS],
    )
    def tell(key: str | None, *values: Any):
        try:
            wanted = asked(*values)
        except OpenworkError as problem:
            return error(str(problem)), True
        found = work.result(trainings.planning(wanted).key)
        return (None, True) if found is None else (announced(found, wanted), False)

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Output("train-announced", "children", allow_duplicate=True),
        Input("train-start", "n_clicks"),
        *fields,
        prevent_initial_call=True,
    )
    def begin(clicks: int | None, *values: Any):
        try:
            return (trainings.start(asked(*values)) if clicks else no_update), no_update
        except OpenworkError as problem:
            return no_update, error(str(problem))
