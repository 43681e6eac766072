"""The button that measures units of which there is no table yet, and what it does."""

import dash_mantine_components as dmc

from app.components.parts import icon


def measure_button(model: str, what: str | int) -> dmc.Button:
    """Harvests what the units of a layer or a dictionary read, and measures them."""
    identity = {"type": "units-harvest", "what": what, "model": model}
    return dmc.Button("Harvest and measure", id=identity, variant="default", leftSection=icon("play", small=True))
