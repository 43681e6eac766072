"""The boxes in which a patching sweep is asked for, and what is made of them."""

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, no_update

from app.components.parts import error
from app.jobs import work
from app.jobs.table import job_table
from app.library import prompts
from app.library.models import require_offered
from app.pages.patching.work import Asked, checked
from circuits.patching.kinds import DIRECTIONS, KINDS
from probe.artifacts.json import Json
from probe.errors import OpenworkError
from probe.tasks.examples import EXAMPLES

_BOXES = ("clean", "corrupted", "model", "right", "wrong", "metric", "over", "direction", "control")


def asked_from(data: Json) -> Asked:
    """What the page was laid out for."""
    return Asked(**{k: v for k, v in data.items() if k != "stored"})


def wanted(before: Asked, boxes: Json, run: bool) -> Asked:
    """What the boxes ask for; the prompts are stored. BadInput for what cannot be."""
    model = boxes.get("model") or before.model
    require_offered(model)
    clean, corrupted = (prompts.store(boxes.get(side) or "", model).id for side in ("clean", "corrupted"))
    answers = {
        side: boxes[side] if boxes.get(side) is not None else getattr(before, side) for side in ("right", "wrong")
    }
    same_pair = {before.clean, before.corrupted} == {clean, corrupted}
    if not same_pair and (answers["right"], answers["wrong"]) == (before.right, before.wrong):
        answers = {"right": "", "wrong": ""}  # they belonged to other prompts
    metric = boxes.get("metric") or before.metric
    asked = Asked(model, clean, corrupted, metric=metric, **answers)
    if run:
        chosen = {"over": boxes["over"], "direction": boxes["direction"], "control": bool(boxes["control"])}
        asked = Asked(**{**asked.__dict__, **chosen})
    return checked(asked)


def example(index: int, before: Asked, model: str | None) -> Asked:
    """A built-in pair; the first with its sweep at once where `index` is -1."""
    found, model = EXAMPLES[max(index, 0)], model or before.model
    require_offered(model)
    clean, corrupted = (prompts.store(text, model).id for text in (found.clean, found.corrupted))
    return Asked(model, clean, corrupted, found.right, found.wrong, over="resid_pre" if index < 0 else "")


def again(asked: Asked) -> str:
    """The address; where the same work was cancelled or failed, one that differs, so that the page is laid out anew."""
    last = job_table().latest(asked.key() if asked.over else asked.pair_key())
    failed = last is not None and not last.active and work.result(last.key) is None
    return asked.address(again=last.id if failed and last else "")


def register_asking(app: Dash) -> None:
    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Output("patching-refused", "children"),
        Input("patching-compare", "n_clicks"),
        Input("patching-measure", "n_clicks"),
        Input("patching-run", "n_clicks"),
        Input({"type": "patching-example", "index": ALL}, "n_clicks"),
        State("patching-asked", "data"),
        State("patching-clean", "value"),
        State("patching-corrupted", "value"),
        State("patching-model", "value"),
        *[State(f"patching-{name}", "value") for name in _BOXES[3:8]],
        State("patching-control", "checked"),
        prevent_initial_call=True,
    )
    def go(*given: object):
        clicks, (data, *values) = given[:4], given[4:]
        if not ctx.triggered_id or not (any(clicks[:3]) or any(clicks[3])):
            return no_update, no_update
        try:
            return again(_asked(ctx.triggered_id, asked_from(data), dict(zip(_BOXES, values, strict=True)))), None
        except OpenworkError as problem:
            return no_update, error(str(problem))

    app.clientside_callback(
        ClientsideFunction("openwork", "patchingSwap"),
        Output("patching-clean", "value"),
        Output("patching-corrupted", "value"),
        Input("patching-swap", "n_clicks"),
        State("patching-clean", "value"),
        State("patching-corrupted", "value"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("patching-meaning", "children"), Input("patching-over", "value"), Input("patching-direction", "value")
    )
    def meaning(over: str, direction: str):
        return f"Each patch is {KINDS[over].meaning}. {DIRECTIONS[direction].capitalize()}."


def _asked(trigger: object, before: Asked, boxes: Json) -> Asked:
    if isinstance(trigger, dict):
        return example(trigger["index"], before, boxes["model"])
    return wanted(before, boxes, trigger == "patching-run")
