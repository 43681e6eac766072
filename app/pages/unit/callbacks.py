"""What the page of a unit does: draws its tables and examples, fills in what its weights say, and runs it on own text."""

from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Dash, Input, Output, State, no_update

from app.components import drawn
from app.components.slot import register_slot
from app.jobs import work
from app.library import units
from app.pages.unit import labels, own_text
from app.pages.unit.tables import near_rows, score_rows
from app.selection import Selection

if TYPE_CHECKING:
    from probe.features.by_weights import UnitWeights


TABLES = ("promoted", "suppressed", "inputs", "measured", "near", "coactive", "bins", "circuits")


def register(app: Dash) -> None:
    for name in TABLES:
        drawn.register_rows(app, f"unit-{name}")
    register_slot(app, "unit-weights")
    labels.register(app)
    own_text.register(app)
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
    def weights(key: str | None, args: dict[str, str], chosen: Selection | None):
        record = work.result(key)
        return (no_update,) * 4 if record is None else told(record, units.unit_of(args), chosen or {})

    @app.callback(
        Output("unit-writes-note", "children"),
        Output("unit-reads-note", "children"),
        Input("unit-weights-done", "data"),
        prevent_initial_call=True,
    )
    def notes(key: str | None):
        record = work.result(key)
        return (no_update, no_update) if record is None else noted(record)


def told(record: "UnitWeights", found: units.PageUnit, chosen: Selection) -> tuple[Any, ...]:
    """The tables of a unit's weights."""
    kept = {k: v for k, v in chosen.items() if k in ("prompt", "token")}
    return (
        score_rows(record.promoted, "token", "logit"),
        score_rows(record.suppressed, "token", "logit"),
        score_rows(record.inputs, "token", "score"),
        near_rows(found, record, kept),
    )


def noted(record: "UnitWeights") -> tuple[str, str]:
    """What those tables are."""
    return (
        f"The direction it writes ({record.convention['writes']}), as demeaned logits.",
        f"From the weights alone: {record.convention.get('reads', 'encoder columns')}.",
    )
