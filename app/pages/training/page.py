"""Training: runs, live and finished, over each other; and a form that starts a training. How they were judged: `judged`."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app.components import drawn
from app.components.parts import Parts, copyable, empty, panel, title
from app.components.polling import in_turn, poll
from app.components.snippets import snippets
from app.figures.dress import worn
from app.frame.shell import Page
from app.pages.training import form, judged, live
from app.pages.training.runs_table import chosen_from, run_rows
from app.pages.training.work import all_runs
from app.selection import Selection
from probe.training.run_logs.runs_on_disk import TrainingRun

_EVERY = 2000  # milliseconds between questions about the runs


def layout(query: dict[str, str]) -> Parts:
    """Runs, those chosen over each other; then the judgements."""
    there = all_runs()
    lead = "Curves are read from the runs' own logs, also of trainings that were started in a shell, while they last."
    return [
        dcc.Store(id="selection", data=live.selected(query)),
        title("Training", lead=lead, actions=[form.train_menu()]),
        html.Div([*(_runs(there, query) if there else [_none()]), *judged.layout(there, query)], className="ow-stack"),
    ]


def _none() -> Component:
    words = "A training of a stored cache appears here with its curves while it runs. In the shell:"
    return empty("No training yet", words, copyable("openwork train --cache NAME --kind skip_transcoder --k 32"))


def _runs(there: list[TrainingRun], query: dict[str, str]) -> Parts:
    """The list, what is chosen of it, and the clock that runs while a training does."""
    chosen = chosen_from(query, there)
    still = not any(run.state == "live" for run in there)
    listed, parts, code = _shown(there, chosen, live.selected(query), worn())
    return [
        dcc.Store(id="training-chosen", data=chosen),
        dcc.Store(id="training-mark", data=_mark(there, chosen)),
        dcc.Store(id="training-kept"),
        poll("training-poll", _EVERY, disabled=still),
        panel(
            "Runs",
            drawn.rows("training-runs", 380, listed),
            note="Finished ones are dictionaries; those cut off can be resumed on their page.",
            foot=html.Div(code, id="training-code"),
        ),
        *live.laid_out("training", parts),
    ]


def _mark(there: list[TrainingRun], chosen: list[str]) -> list[object]:
    """Changes whenever the page would look different."""
    return [chosen, live.mark(there)]


def _shown(
    there: list[TrainingRun], chosen: list[str], selection: Selection, scheme: str
) -> tuple[Any, Parts, Component]:
    """The list, the runs that are chosen in the order in which they were, and the lines that show the same."""
    by_name = {run.name: run for run in there}
    some = [by_name[name] for name in chosen if name in by_name]
    code = f"from probe import compare_runs, runs\n\n[run.row() for run in runs()]\ncompare_runs({chosen!r}).figure()"
    return run_rows(there, chosen), live.drawn_runs(some, selection, scheme), snippets(code, "openwork runs --json")


def register(app: Dash) -> None:
    """A click shows or hides a run; live ones are followed; what is shown stands in the address."""
    form.register(app)
    drawn.register_rows(app, "training-runs")
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
        prevent_initial_call=True,
    )

    @app.callback(
        Output("training-runs-data", "data"),
        *live.outputs("training"),
        Output("training-code", "children"),
        Output("training-mark", "data"),
        Output("training-poll", "disabled"),
        Input("training-chosen", "data"),
        Input("training-poll", "n_intervals"),
        State("training-mark", "data"),
        State("selection", "data"),
        State("scheme", "data"),
        running=in_turn("training-poll", _EVERY),
        prevent_initial_call=True,
    )
    def follow(chosen: list[str], _: object, before: list[object], selection: Selection, scheme: str):
        there = all_runs()
        still = not any(run.state == "live" for run in there)
        if (now := _mark(there, chosen)) == before:
            return *(no_update,) * 6, still
        listed, parts, code = _shown(there, chosen, selection, scheme)
        return listed, *live.again(parts, same=chosen == before[0]), code, now, still


PAGE = Page(r"/training", "Training", layout, register)
