"""The button that measures units of which there is no table yet, and what it does: the same wherever it stands."""

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, ctx, no_update

from app.components.parts import icon
from app.jobs import measuring
from app.library.tables import caches_for


def measure_button(model: str, what: str | int) -> dmc.Button:
    """Measures the units of a layer or a dictionary: on a stored cache, or where none will do harvests what they read first."""
    cache = next(iter(caches_for(model, what)), "")
    return dmc.Button(
        f"Measure on {cache}" if cache else "Harvest and measure",
        id={"type": "units-measure", "what": what, "model": model, "cache": cache},
        variant="default",
        size="sm",
        leftSection=icon("play", small=True),
    )


def measure_words(model: str, what: str | int) -> str:
    """What it does, and what it takes."""
    if caches_for(model, what):
        return "A pass over a stored cache finds the text at which each unit fires, and how often."
    return measuring.plan_words(model, what)


def register(app: Dash) -> None:
    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input({"type": "units-measure", "what": ALL, "model": ALL, "cache": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def measure(clicks: list[int | None]):
        asked = ctx.triggered_id
        return measuring.start(asked["model"], asked["what"], asked["cache"]) if any(clicks) and asked else no_update
