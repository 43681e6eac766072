"""What the patching page does: goes to the address that is asked for, fills its panels as runs arrive, follows the cell."""

from functools import lru_cache
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, no_update

from app.components import drawn
from app.components.parts import error
from app.components.promptbox import check_model_name
from app.components.slot import register_slot
from app.figures.heads import pattern_figure
from app.jobs import table as jobs
from app.jobs import work
from app.library import memory, prompts
from app.library.artifacts import registered
from app.pages.patching import tables as views
from app.pages.patching import work as patching_state
from app.pages.patching.work import Asked, checked
from circuits.patching.figures import cell_at
from circuits.patching.kinds import DIRECTIONS, KINDS
from circuits.patching.record import PatchingSweep
from circuits.patching.store import load_patching, save_patching
from probe.errors import BadInput, OpenworkError
from probe.tasks.examples import EXAMPLES

_BOXES = ("clean", "corrupted", "model", "right", "wrong", "metric", "over", "direction", "control")


def register(app: Dash) -> None:
    for name in ("patching-pair", "patching-sweep", "patching-heads"):
        register_slot(app, name)
    for name in ("patching-top", "patching-then", "patching-rows", "patching-disk"):
        drawn.register_rows(app, name)
    register_asking(app)
    register_pair(app)
    register_sweep(app)
    register_cell(app)
    register_storing(app)
    register_drawing(app)


def asked_from(data: dict[str, Any]) -> Asked:
    """What the page was laid out for."""
    return Asked(**{k: v for k, v in data.items() if k != "stored"})


@lru_cache(maxsize=4)
def _stored(name: str, _mark: int) -> PatchingSweep:
    return load_patching(registered("result", name))


def sweep_of(data: dict[str, Any] | None) -> PatchingSweep | None:
    """The sweep of this page, if it is there."""
    if not data:
        return None
    if data.get("stored"):
        mark = (registered("result", data["stored"]) / "manifest.json").stat().st_mtime_ns
        return _stored(data["stored"], mark)
    asked = asked_from(data)
    return work.result(asked.key()) if asked.over else None


def patterns_fit(data: dict[str, Any], sweep: PatchingSweep) -> bool:
    """Are a head's patterns to be shown? Not beside a stored sweep of a model that is not here: they would be another's."""
    return sweep.axes[1] == "head" and (not data.get("stored") or sweep.pair.model.name == data.get("model"))


def wanted(before: Asked, boxes: dict[str, Any], run: bool) -> Asked:
    """What the boxes ask for; the prompts are stored. BadInput for what cannot be."""
    model = boxes.get("model") or before.model
    check_model_name(model)
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
    check_model_name(model)
    clean, corrupted = (prompts.store(text, model).id for text in (found.clean, found.corrupted))
    return Asked(model, clean, corrupted, found.right, found.wrong, over="resid_pre" if index < 0 else "")


def again(asked: Asked) -> str:
    """The address; where the same work was cancelled or failed, one that differs, so that the page is laid out anew."""
    last = jobs.table().latest(asked.key() if asked.over else asked.pair_key())
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
    def go(*given: Any):
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


def _asked(trigger: Any, before: Asked, boxes: dict[str, Any]) -> Asked:
    if isinstance(trigger, dict):
        return example(trigger["index"], before, boxes["model"])
    return wanted(before, boxes, trigger == "patching-run")


def register_pair(app: Dash) -> None:
    @app.callback(
        Output("patching-tokens-data", "data"),
        Output("patching-facts", "children"),
        Output("patching-top-data", "data"),
        Output("patching-sweep-key", "data"),
        Input("patching-pair-done", "data"),
        Input("patching-asked", "data"),
    )
    def show(done: str | None, data: dict[str, Any]):
        stored = sweep_of(data) if data.get("stored") else None
        pair = stored.pair if stored else work.result(done)
        if pair is None:
            return no_update, no_update, no_update, no_update
        asked = asked_from(data)
        key = patching_state.start_sweep(asked) if asked.over and not stored and not pair.problem else None
        return views.tokens_data(pair), views.pair_facts(pair), views.top_rows(pair), key


def register_sweep(app: Dash) -> None:
    @app.callback(
        Output("patching-figure", "figure"),
        Output("patching-figure", "style"),
        Output("patching-sentence", "children"),
        Output("patching-rows-data", "data"),
        Output("patching-rows-note", "children"),
        Output("patching-shape", "data"),
        Output("selection", "data", allow_duplicate=True),
        Output("patching-heads-key", "data"),
        Input("patching-sweep-done", "data"),
        Input("patching-asked", "data"),
        State("selection", "data"),
        State("scheme", "data"),
        prevent_initial_call="initial_duplicate",
    )
    def show(_: Any, data: dict[str, Any], selection: dict[str, Any], scheme: str):
        sweep = sweep_of(data)
        if sweep is None:
            return (no_update,) * 8
        rows, note = views.table(sweep)
        chosen = {**(selection or {}), **views.picked(sweep, views.cell_of(sweep, selection))}
        asked = asked_from(data)
        heads = patching_state.start_patterns(asked.model, *asked.texts()) if patterns_fit(data, sweep) else None
        figure, style = views.figure_of(sweep, scheme), views.figure_style(sweep)
        return figure, style, _sentence(sweep), rows, note, views.shape_of(sweep), chosen, heads

    for name in ("shown", "details", "keep"):
        app.clientside_callback(
            ClientsideFunction("openwork", "patchingReveal"),
            Output(f"patching-{name}", "hidden"),
            Input("patching-shape", "data"),
        )

    @app.callback(
        Output("patching-beside-data", "data"), Input("patching-sweep-done", "data"), Input("patching-asked", "data")
    )
    def beside(_: Any, data: dict[str, Any]):
        asked = asked_from(data)
        if not asked.complete:
            return no_update
        return views.beside_data(patching_state.found_beside(asked), "" if data.get("stored") else asked.key())

    @app.callback(
        Output("selection", "data", allow_duplicate=True),
        Input("patching-figure", "clickData"),
        State("patching-asked", "data"),
        State("selection", "data"),
        prevent_initial_call=True,
    )
    def click(data: dict[str, Any] | None, asked: dict[str, Any], selection: dict[str, Any] | None):
        sweep = sweep_of(asked)
        if not data or sweep is None:
            return no_update
        point = data["points"][0]
        return {**(selection or {}), **views.picked(sweep, cell_at(sweep, int(point["y"]), int(point["x"])))}


def _sentence(sweep: PatchingSweep) -> str:
    donors = f" {len(sweep.control.raw)} unrelated donors beside it." if sweep.control is not None else ""
    return f"{sweep.title()}{donors}"


def register_cell(app: Dash) -> None:
    @app.callback(
        Output("patching-cell", "children"),
        Output("patching-then-data", "data"),
        Output("patching-head", "hidden"),
        Input("selection", "data"),
        Input("patching-shape", "data"),
        State("patching-asked", "data"),
    )
    def cell(selection: dict[str, Any] | None, shape: dict[str, Any] | None, data: dict[str, Any]):
        sweep = sweep_of(data)
        if shape is None or sweep is None:
            return no_update, no_update, True
        at = views.cell_of(sweep, selection)
        return views.cell_facts(sweep, at, asked_from(data)), views.then_rows(sweep, at), not patterns_fit(data, sweep)

    @app.callback(
        Output("patching-pattern", "figure"),
        Input("selection", "data"),
        Input("patching-heads-done", "data"),
        Input("patching-side", "value"),
        State("patching-asked", "data"),
        State("scheme", "data"),
    )
    def pattern(selection: dict[str, Any] | None, _: Any, side: str, data: dict[str, Any], scheme: str):
        sweep = sweep_of(data)
        if sweep is None or not patterns_fit(data, sweep):
            return no_update
        text = asked_from(data).texts()[side == "corrupted"]
        heads = memory.known("heads", data["model"], text)
        at = views.cell_of(sweep, selection)
        return no_update if heads is None else pattern_figure(heads, at[0], at[1], scheme)


def register_storing(app: Dash) -> None:
    @app.callback(
        Output("patching-stored-note", "children"),
        Input("patching-store", "n_clicks"),
        State("patching-name", "value"),
        State("patching-asked", "data"),
        prevent_initial_call=True,
    )
    def store(clicks: int | None, name: str | None, data: dict[str, Any]):
        sweep = sweep_of(data)
        if not clicks or sweep is None:
            return no_update
        try:
            if not (name or "").strip():
                raise BadInput("Write a name first.")
            return f"Stored as {save_patching(sweep, str(name).strip()).name}."
        except OpenworkError as problem:
            return str(problem)


def register_drawing(app: Dash) -> None:
    app.clientside_callback(
        ClientsideFunction("openwork", "patchingTokens"),
        Output("patching-tokens", "data-drawn"),
        Input("patching-tokens-data", "data"),
        Input("selection", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "patchingBeside"),
        Output("patching-beside", "data-drawn"),
        Input("patching-beside-data", "data"),
        Input("scheme", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "patchingMark"),
        Output("patching-figure", "data-marked"),
        Input("selection", "data"),
        Input("patching-figure", "figure"),
        Input("patching-shape", "data"),
    )
