"""What the browser draws of a sweep by itself: both prompts, the other sweeps beside, the marked cell."""

from dash import ClientsideFunction, Dash, Input, Output


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
