"""What the patching page does beside its blocks: goes to the prompts that are asked for, hands what is measured on to the sweep,
follows the chosen cell to other pages."""

from typing import TYPE_CHECKING

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update

from app import links
from app.components import drawn
from app.components.parts import Parts, error
from app.components.slot import register_slot
from app.figures.heads import pattern_figure
from app.jobs import work
from app.library import memory, prompts
from app.library.models import require_offered
from app.methods.block import Block
from app.methods.work import call_that_made, found
from app.pages.patching.asked import PAIR, SWEEP, Asked, start_patterns
from app.pages.patching.stored import beside_data
from app.selection import Selection
from probe.artifacts.json import Json
from probe.errors import OpenworkError
from probe.tasks.examples import EXAMPLES

if TYPE_CHECKING:
    from circuits.patching.record import PatchingSweep

MEASURED = Block(
    "patching-pair",
    "patch-pair",
    fields=("target", "metric"),
    key=PAIR,
    title="What is measured",
    note="After the last token. One token each, with its space: “ Mary”. The clean run counts as 1, the corrupted run as 0.",
)
SWEPT = Block(
    "patching-sweep",
    "patch",
    fields=("over", "direction", "control", "seed", "exact"),
    key=SWEEP,
    title="Sweep",
    note="Every piece of one run is put into the other by itself. Click a cell of the result to look into it.",
)


def register(app: Dash) -> None:
    register_slot(app, "patching-heads")
    drawn.register_rows(app, "patching-disk")
    _register_asking(app)
    _register_found(app)
    _register_cell(app)


def asked_from(data: Json) -> Asked:
    """What the page was laid out for."""
    return Asked(**{k: v for k, v in data.items() if k != "stored"})


def _register_asking(app: Dash) -> None:
    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Output("patching-refused", "children"),
        Input("patching-compare", "n_clicks"),
        Input({"type": "patching-example", "index": ALL}, "n_clicks"),
        State("patching-clean", "value"),
        State("patching-corrupted", "value"),
        State("patching-model", "value"),
        State("patching-asked", "data"),
        prevent_initial_call=True,
    )
    def go(compare: int | None, examples: list[int | None], clean: str, corrupted: str, model: str, data: Json):
        if not ctx.triggered_id or not (compare or any(examples)):
            return no_update, no_update
        try:
            if isinstance(ctx.triggered_id, dict):
                return example(ctx.triggered_id["index"], model).address(), None
            return compared(asked_from(data), model, clean or "", corrupted or "").address(), None
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


def compared(before: Asked, model: str, *texts: str) -> Asked:
    """The pair that the boxes hold; answers stay where the prompts do, since they belong to them."""
    require_offered(model)
    ids = [prompts.store(text, model).id for text in texts]
    kept = {before.clean, before.corrupted} == set(ids)
    measured = before.measured if kept else {k: v for k, v in before.measured.items() if k != "target"}
    return Asked(model, *ids, measured)


def example(index: int, model: str) -> Asked:
    """A built-in pair; the first with its sweep at once where `index` is -1."""
    chosen = EXAMPLES[max(index, 0)]
    require_offered(model)
    ids = [prompts.store(text, model).id for text in (chosen.clean, chosen.corrupted)]
    measured = {"target": {"token": chosen.right, "other": chosen.wrong}}
    return Asked(model, *ids, measured, {"over": "resid_pre"} if index < 0 else {})


def _register_found(app: Dash) -> None:
    @app.callback(
        Output(SWEPT.part("fixed"), "data"),
        Input(MEASURED.part("done"), "data"),
        State(MEASURED.part("fixed"), "data"),
        prevent_initial_call=True,
    )
    def measure(done: str | None, pair: Json):
        """The sweep is asked of what the two runs were measured by."""
        call = call_that_made(work.result(done)) if done else None
        return no_update if call is None else {**pair, **call.arguments}

    @app.callback(
        Output("patching-beside-data", "data"),
        Output("patching-heads-key", "data"),
        Input(SWEPT.part("done"), "data"),
        State("patching-asked", "data"),
    )
    def beside(done: str | None, data: Json):
        asked = asked_from(data)
        sweep = sweep_of(done)
        heads = start_patterns(asked.model, *asked.texts()) if sweep and patterns_fit(data, sweep) else None
        return beside_data(asked, done or ""), heads

    app.clientside_callback(
        ClientsideFunction("openwork", "patchingBeside"),
        Output("patching-beside", "data-drawn"),
        Input("patching-beside-data", "data"),
        Input("scheme", "data"),
    )


def sweep_of(reference: str | None) -> "PatchingSweep | None":
    """The sweep that is shown, if it is there."""
    try:
        return found(reference).record if reference else None
    except OpenworkError:
        return None


def patterns_fit(data: Json, sweep: "PatchingSweep") -> bool:
    """Are a head's patterns to be shown? Not beside a stored sweep of a model that is not here: they would be another's."""
    return sweep.axes[1] == "head" and (not data.get("stored") or sweep.pair.model.name == data.get("model"))


def _register_cell(app: Dash) -> None:
    @app.callback(
        Output("patching-links", "children"),
        Output("patching-details", "hidden"),
        Output("patching-head", "hidden"),
        Output("patching-pattern", "figure"),
        Input("selection", "data"),
        Input(SWEPT.part("done"), "data"),
        Input("patching-heads-done", "data"),
        Input("patching-side", "value"),
        State("patching-asked", "data"),
        State("scheme", "data"),
    )
    def cell(selection: Selection | None, done: str | None, _: object, side: str, data: Json, scheme: str):
        sweep = sweep_of(done)
        if sweep is None:
            return no_update, True, True, no_update
        at, fits = sweep.chosen(selection), patterns_fit(data, sweep)
        asked = asked_from(data)
        heads = memory.known("heads", asked.model, asked.texts()[side == "corrupted"]) if fits else None
        figure = no_update if heads is None else pattern_figure(heads, at[0], at[1], scheme)
        return elsewhere(sweep, at, asked), False, not fits, figure


def elsewhere(sweep: "PatchingSweep", cell: tuple[int, ...], asked: Asked) -> Parts:
    """Pages of both prompts, at this cell."""
    token = cell[-1] if sweep.kind.by_pos else None
    head = f"{cell[0]}.{cell[1]}" if sweep.axes[1] == "head" else None
    shown: Parts = [html.Span(sweep.name(cell), className="mono", dir="auto")]
    for name, prompt in (("clean", asked.clean), ("corrupted", asked.corrupted)):
        places = [
            ("prompt", links.prompt_page(prompt, asked.model, token=token, layer=cell[0], head=head)),
            ("lens", links.lens_page(asked.model, prompt, token=token, layer=cell[0])),
            ("heads", links.heads_page(asked.model, prompt, token=token, head=head)),
        ]
        linked = [html.Span([" ", dcc.Link(label, href=href)]) for label, href in places]
        shown.append(html.Span([f"{name}:", *linked]))
    return shown
