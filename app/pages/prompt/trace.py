"""Tracing from the prompt hub: the form of the method, in a popout, with the likeliest next tokens to explain. What it will take
is said beside Run, which goes to the circuit's page."""

from typing import Any

from dash import Dash, Input, Output, State, html, no_update

from app.components.parts import icon, part_of
from app.components.plain_rows import row_data
from app.library import prompts, recent_records
from app.methods.block import Block, register_plan
from app.methods.form import FIELD
from app.methods.token_box import FOUND, TOKEN, pick
from circuits.replacement.stored import newest_transcoders
from probe.artifacts.json import Json
from probe.methods.form_fields import OTHER

TRACE = Block(
    "trace",
    "trace",
    fields=("target", "dictionaries", "basis", "heads", "max_nodes"),
    title="Trace its circuit",
    note="",
    leads=True,
)
SIDES = [{"at": TRACE.at, "of": "target", "part": part} for part in ("", OTHER)]
"""The token that is explained, and the one it is held against."""


def trace_menu(model: str, text: str) -> html.Details:
    """The form that opens below 'Trace this prompt'."""
    newest = newest_transcoders(model)
    said = "No transcoder of this model is stored, so neurons are the nodes."
    use = html.Button("Use the newest of each layer", id="trace-newest", type="button", title=", ".join(newest))
    learned = html.Div(use, className="ow-examples") if newest else html.P(said, className="ow-sub")
    body = html.Div([TRACE.layout(model, {"prompt": text}), learned], className="ow-popout-body")
    summary = html.Summary([icon("circuit", small=True), "Trace this prompt"])
    return html.Details([summary, body], className="ow-popout primary")


def predicted(model: str, text: str) -> list[tuple[int, Json]]:
    """Ids of the likeliest next tokens, each with its row, as far as the prompt was read."""
    lens = recent_records.known("lens", model, text)
    return [] if lens is None else list(zip(lens.top_ids[-1, -1].tolist(), lens.next_tokens(), strict=True))


def register(app: Dash) -> None:
    register_plan(app, TRACE)

    @app.callback(
        Output(TRACE.part("fixed"), "data"),
        *[Output(part_of({**side, "type": FOUND}, "data"), "data", allow_duplicate=True) for side in SIDES],
        Input("ready", "data"),
        State("prompt-args", "data"),
        prevent_initial_call=True,
    )
    def read(_: object, args: Json):
        """The model is there now, which can say what a trace takes; and what it predicts is offered."""
        text = prompts.load(args["id"]).text
        likely = predicted(args["model"], text)
        rows = [row for _, row in likely]
        offered = [
            row_data("Predicted next", rows, picks=[pick(side, token, "") for token, _ in likely]) for side in SIDES
        ]
        return {"prompt": text}, *offered

    @app.callback(
        Output({**SIDES[0], "type": TOKEN}, "value", allow_duplicate=True),
        Input({**SIDES[1], "type": TOKEN}, "value"),
        State({**SIDES[0], "type": TOKEN}, "value"),
        State("prompt-args", "data"),
        prevent_initial_call=True,
    )
    def rather(other: str | None, target: str | None, args: Json):
        """Who asks why it is not another token asks of the likeliest."""
        likely = predicted(args["model"], prompts.load(args["id"]).text) if other and not target else []
        return f"id:{likely[0][0]}" if likely else no_update

    @app.callback(
        Output({"type": FIELD, "at": TRACE.at, "of": "dictionaries", "part": ""}, "value"),
        Input("trace-newest", "n_clicks"),
        State("prompt-args", "data"),
        prevent_initial_call=True,
    )
    def choose(clicks: int | None, args: dict[str, Any]):
        return newest_transcoders(args["model"]) if clicks else no_update
