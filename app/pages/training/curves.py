"""The curves of training runs, one or several over each other: how they are drawn, and followed while they are written.

A page lays out `curves(at, ...)` and the stores `AT-chosen` (names) and `AT-mark` (changes when there is more to draw).
"""

from typing import TYPE_CHECKING

from dash import Dash, Input, Output, State, html
from dash.development.base_component import Component

from app.components.parts import graph, panel, segmented
from app.figures.dress import dress
from app.pages.training.work import all_runs
from probe.training.figures import points_each, runs_figure
from probe.training.run_log import AXES, TrainingRun
from probe.words import counted

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_NOTE = "Each point is the mean over the steps since the line before; a smoothed one the mean of that many lines."


def curves(at: str, query: dict[str, str], height: int, foot: Component) -> Component:
    """The four panels, with their scales and how they are smoothed, as the address has them."""

    def option(key: str, *values: str) -> str:
        return query[key] if query.get(key) in values else values[0]

    tools = [
        segmented(f"{at}-axis", [(a, a) for a in AXES], option("x", *AXES)),
        segmented(f"{at}-scale", [("linear", "linear"), ("log", "log")], option("y", "linear", "log")),
        segmented(
            f"{at}-window", [("1", "as logged"), ("5", "mean of 5"), ("20", "of 20")], option("w", "1", "5", "20")
        ),
    ]
    parts = [
        html.Div(id=f"{at}-note", className="ow-partial", style={"padding": "0 10px"}),
        graph(f"{at}-curves", height, "Loss, L0, FVU and dead share"),
    ]
    return panel("Curves", parts, note=_NOTE, tools=html.Div(tools, className="ow-actions"), flush=True, foot=foot)


def register(app: Dash, at: str, legend: bool = True) -> None:
    @app.callback(
        Output(f"{at}-curves", "figure"),
        Output(f"{at}-note", "children"),
        Input(f"{at}-mark", "data"),
        Input(f"{at}-axis", "value"),
        Input(f"{at}-scale", "value"),
        Input(f"{at}-window", "value"),
        State(f"{at}-chosen", "data"),
        State("scheme", "data"),
    )
    def draw(_: object, axis: str, scale: str, window: str, chosen: list[str], scheme: str):
        some = shown(all_runs(), chosen)
        figure = curves_figure(some, axis, scale == "log", int(window), scheme)
        return figure.update_layout(showlegend=legend), said_of(some)


def shown(there: list[TrainingRun], chosen: list[str] | None) -> list[TrainingRun]:
    """The chosen runs in the order in which they were chosen."""
    by_name = {run.name: run for run in there}
    return [by_name[name] for name in chosen or [] if name in by_name]


def curves_figure(some: list[TrainingRun], axis: str, log: bool, window: int, scheme: str) -> "Figure":
    """The four panels, dressed."""
    figure = dress(runs_figure(some, axis, log=log, window=window), scheme, margin={"l": 56, "r": 12, "t": 34, "b": 90})
    figure.update_layout(legend={"y": -0.12, "yanchor": "top"}, uirevision="curves")
    return figure.update_annotations(font_size=12.5)


def said_of(some: list[TrainingRun]) -> str:
    """What of the logs is drawn, what could not be read, and what is missing."""
    if not some:
        return "No run is shown; click one above."
    most, longest = points_each(len(some)), max((run.log.lines for run in some if run.log), default=0)
    words = []
    if longest > most:
        words.append(f"Shown: {most:,} of up to {longest:,} log lines a curve, every peak kept.")
    if damaged := sum(run.log.damaged for run in some if run.log):
        words.append(f"{counted(damaged, 'damaged line')} left out.")
    if empty := [run.name for run in some if not (run.log and run.log.lines)]:
        words.append(f"No line yet: {', '.join(empty[:3])}.")
    return " ".join([*words, *(f"{run.name}: {run.problem}" for run in some if run.problem)])
