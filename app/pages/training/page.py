"""Training: runs, live and finished, over each other; and a form that starts a training. How they were judged: `judged`."""

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app.components import drawn
from app.components.parts import Parts, copyable, empty, panel, title
from app.components.snippets import snippets
from app.frame.shell import Page
from app.pages.training import curves, form, judged, tables
from app.pages.training.work import all_runs
from probe.training.run_log import TrainingRun


def layout(query: dict[str, str]) -> Parts:
    """Runs, their curves, their numbers; then the judgements."""
    there = all_runs()
    chosen = tables.chosen_from(query, there)
    lead = "Curves are read from the runs' own logs, also of trainings that were started in a shell, while they last."
    return [
        dcc.Store(id="selection", data={}),
        *(_stores(there, chosen) if there else []),
        title("Training", lead=lead, actions=[form.train_menu()]),
        html.Div([*(_runs(query) if there else [_none()]), *judged.layout(there)], className="ow-stack"),
    ]


def _stores(there: list[TrainingRun], chosen: list[str]) -> Parts:
    """What is shown, what was drawn last, and the clock that runs while a training does."""
    live = any(run.state == "live" for run in there)
    stores = [dcc.Store(id=f"training-{name}", data=data) for name, data in (("chosen", chosen), ("mark", None))]
    return [
        *stores,
        dcc.Store(id="training-kept"),
        dcc.Interval(id="training-poll", interval=2000, disabled=not live),
    ]


def _none() -> Component:
    words = "A training of a stored cache appears here with its curves while it runs. In the shell:"
    return empty("No training yet", words, copyable("openwork train --cache NAME --kind skip_transcoder --k 32"))


def _runs(query: dict[str, str]) -> Parts:
    listed = panel(
        "Runs",
        drawn.rows("training-runs", 380),
        note="Finished ones are dictionaries; those cut off can be resumed on their page.",
        foot=snippets("from probe import runs\n\n[run.row() for run in runs()]", "openwork runs"),
    )
    numbers = panel("Last numbers of the runs shown", drawn.rows("training-final", 320), note="Click a run to open it.")
    differ = panel("Settings that differ", html.Div(drawn.rows("training-differ", 320), className="ow-scroll"))
    drawn_curves = curves.curves("training", query, 600, html.Div(id="training-code"))
    return [listed, drawn_curves, html.Div([numbers, differ], className="ow-grid two")]


def mark(there: list[TrainingRun], chosen: list[str]) -> list[object]:
    """Changes whenever the page would look different."""
    return [chosen, [[run.name, run.state, run.log.lines if run.log else 0] for run in there]]


def code(chosen: list[str]) -> Component:
    """Lines that draw the same curves."""
    imports = "from probe import run_named, runs_figure"
    return snippets(f"{imports}\n\nruns_figure([run_named(name) for name in {chosen!r}])", "openwork runs --json")


def register(app: Dash) -> None:
    """A click shows or hides a run; live ones are followed; what is shown stands in the address."""
    form.register(app)
    judged.register(app)
    curves.register(app, "training")
    for name in ("training-runs", "training-final", "training-differ"):
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
        *(Input(f"training-{name}", "value") for name in ("axis", "scale", "window")),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("training-runs-data", "data"),
        Output("training-final-data", "data"),
        Output("training-differ-data", "data"),
        Output("training-code", "children"),
        Output("training-mark", "data"),
        Output("training-poll", "disabled"),
        Input("training-chosen", "data"),
        Input("training-poll", "n_intervals"),
        State("training-mark", "data"),
    )
    def follow(chosen: list[str], _: object, before: list[object] | None):
        there = all_runs()
        still = not any(run.state == "live" for run in there)
        if (now := mark(there, chosen)) == before:
            return *(no_update,) * 5, still
        some = curves.shown(there, chosen)
        rows = tables.run_rows(there, chosen), tables.final_rows(some), tables.difference_rows(some)
        return *rows, code(chosen), now, still


PAGE = Page(r"/training", "Training", layout, register, ("training-curves", "training-pareto"))
