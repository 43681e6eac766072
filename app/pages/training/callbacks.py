"""What the training page does: shows the chosen runs over each other, follows live ones, and opens what is clicked."""

from typing import TYPE_CHECKING

from dash import ClientsideFunction, Dash, Input, Output, State, no_update
from dash.development.base_component import Component

from app.components import drawn, snippets
from app.figures.dress import dress
from app.links import run_page
from app.pages.training import tables
from app.pages.training.work import all_runs
from probe.artifacts.json import Json
from probe.evaluation.figures import judged_figure
from probe.evaluation.results import judged
from probe.training.figures import points_each, runs_figure
from probe.training.run_log import TrainingRun

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def register(app: Dash) -> None:
    for name in ("training-runs", "training-final", "training-differ", "training-judged"):
        drawn.register_rows(app, name)
    app.clientside_callback(
        ClientsideFunction("openwork", "toggleRun"),
        Output("training-chosen", "data"),
        Input("selection", "data"),
        State("training-chosen", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "keepRuns"),
        Output("training-kept", "data"),
        Input("training-chosen", "data"),
        Input("training-axis", "value"),
        Input("training-scale", "value"),
        Input("training-window", "value"),
        prevent_initial_call=True,
    )
    register_runs(app)
    register_judged(app)


def mark(there: list[TrainingRun], chosen: list[str]) -> list[object]:
    """Changes whenever the page would look different."""
    return [chosen, [[run.name, run.state, run.log.lines if run.log else 0] for run in there]]


def register_runs(app: Dash) -> None:
    @app.callback(
        {
            "runs": Output("training-runs-data", "data"),
            "final": Output("training-final-data", "data"),
            "differ": Output("training-differ-data", "data"),
            "note": Output("training-note", "children"),
            "code": Output("training-code", "children"),
            "mark": Output("training-mark", "data"),
            "disabled": Output("training-poll", "disabled"),
        },
        Input("training-chosen", "data"),
        Input("training-poll", "n_intervals"),
        State("training-mark", "data"),
    )
    def follow(chosen: list[str], _: object, before: list[object] | None):
        there = all_runs()
        now = mark(there, chosen)
        still = not any(run.state == "live" for run in there)
        if now == before:
            return {**dict.fromkeys(_TOLD, no_update), "disabled": still}
        return {**_tables(there, chosen), "mark": now, "disabled": still}

    @app.callback(
        Output("training-curves", "figure"),
        Input("training-mark", "data"),
        Input("training-axis", "value"),
        Input("training-scale", "value"),
        Input("training-window", "value"),
        State("training-chosen", "data"),
        State("scheme", "data"),
    )
    def curves(_: object, axis: str, scale: str, window: str, chosen: list[str], scheme: str):
        return curves_figure(shown(all_runs(), chosen), axis, scale == "log", int(window), scheme)


def shown(there: list[TrainingRun], chosen: list[str]) -> list[TrainingRun]:
    """The chosen runs in the order in which they were chosen."""
    by_name = {run.name: run for run in there}
    return [by_name[name] for name in chosen or [] if name in by_name]


_TOLD = ("runs", "final", "differ", "note", "code", "mark")


def _tables(there: list[TrainingRun], chosen: list[str]) -> dict[str, object]:
    some = shown(there, chosen)
    return {
        "runs": tables.run_rows(there, chosen),
        "final": tables.final_rows(some),
        "differ": tables.difference_rows(some),
        "note": tables.partial_words(some, points_each(len(some))) if some else "No run is shown; click one above.",
        "code": code(chosen),
    }


def code(chosen: list[str]) -> Component:
    """Lines that draw the same curves."""
    imports = "from probe import run_named, runs_figure"
    return snippets.snippets(
        f"{imports}\n\nruns_figure([run_named(name) for name in {chosen!r}])", "openwork runs --json"
    )


def curves_figure(some: list[TrainingRun], axis: str, log: bool, window: int, scheme: str) -> "Figure":
    """The four panels, dressed."""
    figure = dress(runs_figure(some, axis, log=log, window=window), scheme, margin={"l": 56, "r": 12, "t": 34, "b": 90})
    figure.update_layout(legend={"y": -0.12, "yanchor": "top"}, uirevision="curves")
    figure.update_annotations(font_size=12.5)
    return figure


def register_judged(app: Dash) -> None:
    @app.callback(Output("training-pareto", "figure"), Input("training-measure", "value"), State("scheme", "data"))
    def pareto(measure: str, scheme: str):
        return pareto_figure(measure, scheme)

    @app.callback(
        Output("url", "href", allow_duplicate=True), Input("training-pareto", "clickData"), prevent_initial_call=True
    )
    def opened(data: Json | None):
        name = (data or {}).get("points", [{}])[0].get("customdata")
        there = {run.name for run in all_runs()}
        return run_page(str(name)) if name in there else no_update


def pareto_figure(measure: str, scheme: str) -> "Figure":
    """Judged dictionaries, dressed."""
    figure = dress(judged_figure(judged()[0], measure), scheme, margin={"l": 64, "r": 16, "t": 40, "b": 52})
    figure.update_layout(legend={"y": 1.02, "yanchor": "bottom"})
    return figure
