"""What the page of a unit does: draws its tables and examples, fills in what its weights say, and runs it on own text."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, no_update

from app.components import drawn
from app.components.slot import register_slot
from app.jobs import work
from app.pages.unit import address
from app.pages.unit import labels as unit_labels
from app.pages.unit import own_text as unit_own
from app.pages.unit import tables as data

TABLES = ("promoted", "suppressed", "inputs", "measured", "near", "coactive", "bins", "circuits")


def register(app: Dash) -> None:
    for name in TABLES:
        drawn.register_rows(app, f"unit-{name}")
    register_slot(app, "unit-weights")
    unit_labels.register(app)
    unit_own.register(app)
    app.clientside_callback(
        ClientsideFunction("openwork", "examples"),
        Output("unit-examples", "data-drawn"),
        Input("unit-examples-data", "data"),
        Input("unit-view", "value"),
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "unitPrompt"),
        Output("unit-read-words", "data-prompt"),
        Input("unit-prompt", "data"),
    )

    @app.callback(
        *(Output(f"unit-{name}-data", "data") for name in ("promoted", "suppressed", "inputs", "near")),
        Input("unit-weights-done", "data"),
        State("unit-args", "data"),
        State("selection", "data"),
        prevent_initial_call=True,
    )
    def weights(key: str | None, args: dict[str, str], chosen: dict[str, Any] | None):
        record = work.result(key)
        return (no_update,) * 4 if record is None else told(record, address.looked_again(args), chosen or {})

    @app.callback(
        Output("unit-writes-note", "children"),
        Output("unit-reads-note", "children"),
        Input("unit-weights-done", "data"),
        prevent_initial_call=True,
    )
    def notes(key: str | None):
        record = work.result(key)
        return (no_update, no_update) if record is None else noted(record)


def told(record: Any, found: address.Looked, chosen: dict[str, Any]) -> tuple[Any, ...]:
    """The tables of a unit's weights."""
    kept = {k: v for k, v in chosen.items() if k in ("prompt", "token")}
    return (
        data.score_rows(record.promoted, "token", "logit"),
        data.score_rows(record.suppressed, "token", "logit"),
        data.score_rows(record.inputs, "token", "score"),
        data.near_rows(found, record, kept),
    )


def noted(record: Any) -> tuple[str, str]:
    """What those tables are."""
    return (
        f"The direction it writes ({record.convention['writes']}), as demeaned logits.",
        f"From the weights alone: {record.convention.get('reads', 'encoder columns')}.",
    )
