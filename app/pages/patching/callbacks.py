"""What the patching page does beside its blocks: hands what the two runs were asked on to the sweep, shows the sweeps of a pair
in small, and follows the chosen cell to other pages."""

from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from app import links
from app.components.drawn import Drawn
from app.components.parts import Parts
from app.components.slot import register_slot
from app.figures.heads import pattern_figure
from app.jobs import work
from app.jobs.readings import patterns_work
from app.library import prompts, recent_records
from app.library.models import models
from app.methods.block import Block
from app.methods.form import FIELD
from app.methods.method_jobs import Found, found
from app.methods.result_links import stored_prompts
from app.pages.patching.address import PAIR, SIDES, SWEEP
from app.selection import Selection, changes
from circuits.patching.figures import plane
from circuits.patching.kinds import KINDS
from probe.artifacts.json import Json
from probe.errors import OpenworkError
from probe.methods.call import Call
from probe.methods.results import asked_of, call_that_made, results_of, stored_call
from probe.words import decimals

MEASURED = Block(
    "patching-pair",
    "patch-pair",
    fields=("model", *SIDES, "target", "metric"),
    key=PAIR,
    title="Two prompts",
    note="They need the same number of tokens: a position replaces the same position. The clean run counts as 1, the corrupted "
    "run as 0. An answer is one token, with its space: “ Mary”.",
)
SWEPT = Block(
    "patching-sweep",
    "patch",
    fields=("over", "direction", "positions", "layers", "control", "seed", "exact"),
    key=SWEEP,
    title="Sweep",
    note="Every piece of one run is put into the other by itself. Click a cell of the result to look into it.",
)
MOST, FINEST = 12, 96
"""Small pictures beside each other; rows and columns of one."""


def register(app: Dash) -> None:
    register_slot(app, "patching-heads")
    _register_pair(app)
    _register_cell(app)


def _register_pair(app: Dash) -> None:
    boxes = [{"type": FIELD, "at": MEASURED.at, "of": side, "part": ""} for side in SIDES]
    app.clientside_callback(
        ClientsideFunction("openwork", "patchingSwap"),
        *[Output(box, "value", allow_duplicate=True) for box in boxes],
        Input("patching-swap", "n_clicks"),
        *[State(box, "value") for box in boxes],
        prevent_initial_call=True,
    )

    @app.callback(
        Output(SWEPT.part("fixed"), "data"),
        Output(SWEPT.part("about"), "data"),
        Output("patching-swept", "hidden"),
        Output("patching-nothing", "hidden"),
        Output("selection", "data", allow_duplicate=True),
        Input(MEASURED.part("done"), "data"),
        State(SWEPT.part("about"), "data"),
        State("selection", "data"),
        prevent_initial_call=True,
    )
    def measured(done: str | None, about: Json, selection: Selection | None):
        """The sweep is asked of what the two runs were asked of."""
        if done is None or (call := call_that_made(work.result(done))) is None:
            return (no_update,) * 5
        chosen = {"model": call.model, "prompt": stored_prompts(call).get(SIDES[0])}
        return call.arguments, {**about, "model": call.model}, False, True, changes(selection, chosen)


def _register_cell(app: Dash) -> None:
    @app.callback(
        Output("patching-beside-data", "data"),
        Input(SWEPT.part("done"), "data"),
        Input(SWEPT.part("fixed"), "data"),
        State(SWEPT.part("about"), "data"),
    )
    def beside(done: str | None, fixed: Json | None, about: Json):
        return smalls(about.get("model", ""), fixed, done or "") if fixed else no_update

    app.clientside_callback(
        ClientsideFunction("openwork", "patchingBeside"),
        Output("patching-beside", "data-drawn"),
        Input("patching-beside-data", "data"),
        Input("scheme", "data"),
    )

    @app.callback(
        Output("patching-links", "children"),
        Output("patching-details", "hidden"),
        Output("patching-head", "hidden"),
        Output("patching-heads-key", "data"),
        Output("patching-pattern", "figure"),
        Input("selection", "data"),
        Input(SWEPT.part("done"), "data"),
        Input("patching-heads-done", "data"),
        Input("patching-side", "value"),
        State("scheme", "data"),
    )
    def cell(selection: Selection | None, done: str | None, _: object, side: str, scheme: str):
        one = sweep_of(done)
        if one is None or one.call is None or one.call.model not in models():
            return no_update, True, True, no_update, no_update
        at, beyond = one.record.chosen(selection), elsewhere(one.record, one.record.chosen(selection), one.call)
        identity = stored_prompts(one.call).get(side) if patterns_fit(one) else None
        if identity is None:
            return beyond, False, True, no_update, no_update
        prompt = prompts.load(identity)
        if (heads := recent_records.known("heads", one.call.model, prompt.text)) is None:
            return beyond, False, False, work.submit(patterns_work(one.call.model, prompt)), no_update
        return beyond, False, False, no_update, pattern_figure(heads, at[0], at[1], scheme)


def sweep_of(reference: str | None) -> Found | None:
    """The sweep that is shown, if it is there."""
    try:
        return found(reference) if reference else None
    except OpenworkError:
        return None


def patterns_fit(one: Found) -> bool:
    """Are a head's patterns to be shown? Not beside a stored sweep of a model that is not here or has other weights now: they
    would be another's."""
    return one.record.axes[1] == "head" and ":" in one.reference


def elsewhere(sweep: Any, cell: tuple[int, ...], call: Call) -> Parts:
    """Pages of both prompts, at this cell."""
    token = cell[-1] if sweep.kind.by_pos else None
    head = f"{cell[0]}.{cell[1]}" if sweep.axes[1] == "head" else None
    shown: Parts = [html.Span(sweep.name(cell), className="mono", dir="auto")]
    for name, prompt in stored_prompts(call).items():
        places = [
            ("prompt", links.prompt_page(prompt, call.model, token=token, layer=cell[0], head=head)),
            ("lens", links.lens_page(call.model, prompt, token=token, layer=cell[0])),
            ("heads", links.heads_page(call.model, prompt, token=token, head=head)),
        ]
        linked = [html.Span([" ", dcc.Link(label, href=href)]) for label, href in places]
        shown = [*shown, html.Span([f"{name}:", *linked])]
    return shown


def smalls(model: str, pair: Json, shown: str) -> Drawn:
    """Small pictures of the stored sweeps of a pair. shown: the key of the one that the page shows."""
    mine = [(m, call) for m in results_of("patch") if asked_of(call := stored_call(m), model, pair) and call]
    kept = [(str(m.facts["key"]), call) for m, call in mine[:MOST] if isinstance(m.facts.get("key"), str)]
    sweeps = [(key, call, work.result(key)) for key, call in reversed(kept)]
    return {"sweeps": [_small(sweep, call, key, key == shown) for key, call, sweep in sweeps if sweep is not None]}


def _small(sweep: Any, call: Call, key: str, shown: bool) -> Json:
    z = plane(sweep)
    steps = [max(1, -(-n // FINEST)) for n in z.shape]
    z = z[:: steps[0], :: steps[1]]
    top = float(np.abs(z).max(initial=0)) or 1.0
    words = "restored" if sweep.direction == "denoise" else "broken"
    control = ", with unrelated donors" if sweep.control is not None else ""
    ids = stored_prompts(call)
    return {
        "name": KINDS[sweep.over].label,
        "note": f"{words}{control}: up to {decimals(top, 2)}",
        "href": links.patching_page(call.model, *(ids.get(side) for side in SIDES), **{SWEEP: key}),
        "shown": shown,
        "rows": z.shape[0],
        "values": [round(float(v) / top, 3) for v in z.ravel()],
    }
