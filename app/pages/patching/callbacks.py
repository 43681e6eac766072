"""What the patching page does: goes to the address that is asked for, fills its panels as runs arrive, follows the cell."""

from functools import lru_cache

from dash import ClientsideFunction, Dash, Input, Output, State, no_update

from app.components import drawn
from app.components.slot import register_slot
from app.figures.heads import pattern_figure
from app.jobs import work
from app.library import memory
from app.library.artifacts import registered
from app.pages.patching import tables
from app.pages.patching.asking import asked_from, register_asking
from app.pages.patching.cell import cell_facts, cell_of, picked, then_rows
from app.pages.patching.drawing import register_drawing
from app.pages.patching.work import found_beside, start_patterns, start_sweep
from app.selection import Selection
from circuits.patching.figures import cell_at
from circuits.patching.record import PatchingSweep
from circuits.patching.store import load_patching, save_patching
from probe.artifacts.json import Json
from probe.errors import BadInput, OpenworkError


def register(app: Dash) -> None:
    for name in ("patching-pair", "patching-sweep", "patching-heads"):
        register_slot(app, name)
    for name in ("patching-top", "patching-then", "patching-rows", "patching-disk"):
        drawn.register_rows(app, name)
    register_asking(app)
    register_pair(app)
    register_sweep(app)
    register_beside(app)
    register_cell(app)
    register_storing(app)
    register_drawing(app)


@lru_cache(maxsize=4)
def _stored(name: str, _mark: int) -> PatchingSweep:
    return load_patching(registered("result", name))


def sweep_of(data: Json | None) -> PatchingSweep | None:
    """The sweep of this page, if it is there."""
    if not data:
        return None
    if data.get("stored"):
        mark = (registered("result", data["stored"]) / "manifest.json").stat().st_mtime_ns
        return _stored(data["stored"], mark)
    asked = asked_from(data)
    return work.result(asked.key()) if asked.over else None


def patterns_fit(data: Json, sweep: PatchingSweep) -> bool:
    """Are a head's patterns to be shown? Not beside a stored sweep of a model that is not here: they would be another's."""
    return sweep.axes[1] == "head" and (not data.get("stored") or sweep.pair.model.name == data.get("model"))


def register_pair(app: Dash) -> None:
    @app.callback(
        Output("patching-tokens-data", "data"),
        Output("patching-facts", "children"),
        Output("patching-top-data", "data"),
        Output("patching-sweep-key", "data"),
        Input("patching-pair-done", "data"),
        Input("patching-asked", "data"),
    )
    def show(done: str | None, data: Json):
        stored = sweep_of(data) if data.get("stored") else None
        pair = stored.pair if stored else work.result(done)
        if pair is None:
            return no_update, no_update, no_update, no_update
        asked = asked_from(data)
        key = start_sweep(asked) if asked.over and not stored and not pair.problem else None
        return tables.tokens_data(pair), tables.pair_facts(pair), tables.top_rows(pair), key


def register_sweep(app: Dash) -> None:
    @app.callback(
        {
            "figure": Output("patching-figure", "figure"),
            "style": Output("patching-figure", "style"),
            "sentence": Output("patching-sentence", "children"),
            "rows": Output("patching-rows-data", "data"),
            "note": Output("patching-rows-note", "children"),
            "shape": Output("patching-shape", "data"),
            "selection": Output("selection", "data", allow_duplicate=True),
            "heads": Output("patching-heads-key", "data"),
        },
        Input("patching-sweep-done", "data"),
        Input("patching-asked", "data"),
        State("selection", "data"),
        State("scheme", "data"),
        prevent_initial_call="initial_duplicate",
    )
    def show(_: object, data: Json, selection: Selection, scheme: str):
        sweep = sweep_of(data)
        if sweep is None:
            return no_update
        rows, note = tables.table(sweep)
        asked = asked_from(data)
        return {
            "figure": tables.figure_of(sweep, scheme),
            "style": tables.figure_style(sweep),
            "sentence": _sentence(sweep),
            "rows": rows,
            "note": note,
            "shape": tables.shape_of(sweep),
            "selection": {**(selection or {}), **picked(sweep, cell_of(sweep, selection))},
            "heads": start_patterns(asked.model, *asked.texts()) if patterns_fit(data, sweep) else None,
        }

    for name in ("shown", "details", "keep"):
        app.clientside_callback(
            ClientsideFunction("openwork", "patchingReveal"),
            Output(f"patching-{name}", "hidden"),
            Input("patching-shape", "data"),
        )


def register_beside(app: Dash) -> None:
    """The other sweeps of this pair, and a cell chosen by a click."""

    @app.callback(
        Output("patching-beside-data", "data"), Input("patching-sweep-done", "data"), Input("patching-asked", "data")
    )
    def beside(_: object, data: Json):
        asked = asked_from(data)
        if not asked.complete:
            return no_update
        return tables.beside_data(found_beside(asked), "" if data.get("stored") else asked.key())

    @app.callback(
        Output("selection", "data", allow_duplicate=True),
        Input("patching-figure", "clickData"),
        State("patching-asked", "data"),
        State("selection", "data"),
        prevent_initial_call=True,
    )
    def click(data: Json | None, asked: Json, selection: Selection | None):
        sweep = sweep_of(asked)
        if not data or sweep is None:
            return no_update
        point = data["points"][0]
        return {**(selection or {}), **picked(sweep, cell_at(sweep, int(point["y"]), int(point["x"])))}


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
    def cell(selection: Selection | None, shape: Json | None, data: Json):
        sweep = sweep_of(data)
        if shape is None or sweep is None:
            return no_update, no_update, True
        at = cell_of(sweep, selection)
        return (
            cell_facts(sweep, at, asked_from(data)),
            then_rows(sweep, at),
            not patterns_fit(data, sweep),
        )

    @app.callback(
        Output("patching-pattern", "figure"),
        Input("selection", "data"),
        Input("patching-heads-done", "data"),
        Input("patching-side", "value"),
        State("patching-asked", "data"),
        State("scheme", "data"),
    )
    def pattern(selection: Selection | None, _: object, side: str, data: Json, scheme: str):
        sweep = sweep_of(data)
        if sweep is None or not patterns_fit(data, sweep):
            return no_update
        text = asked_from(data).texts()[side == "corrupted"]
        heads = memory.known("heads", data["model"], text)
        at = cell_of(sweep, selection)
        return no_update if heads is None else pattern_figure(heads, at[0], at[1], scheme)


def register_storing(app: Dash) -> None:
    @app.callback(
        Output("patching-stored-note", "children"),
        Input("patching-store", "n_clicks"),
        State("patching-name", "value"),
        State("patching-asked", "data"),
        prevent_initial_call=True,
    )
    def store(clicks: int | None, name: str | None, data: Json):
        sweep = sweep_of(data)
        if not clicks or sweep is None:
            return no_update
        try:
            if not (name or "").strip():
                raise BadInput("Write a name first.")
            return f"Stored as {save_patching(sweep, str(name).strip()).name}."
        except OpenworkError as problem:
            return str(problem)
