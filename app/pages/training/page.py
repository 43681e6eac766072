"""Training: runs, live and finished, over each other; how dictionaries were judged; and a form that starts a training."""

from dash import Dash, dcc, html
from dash.development.base_component import Component

from app.components import drawn, snippets
from app.components.parts import Parts, copyable, empty, error, graph, panel, segmented, title
from app.frame.shell import Page
from app.pages.training import callbacks, form, tables
from app.pages.training.work import all_runs
from probe.evaluation.figures import MEASURES
from probe.evaluation.results import judged
from probe.training.run_log import AXES, TrainingRun

_SHORT = {"fvu": "FVU", "ce_recovered_zero": "CE recovered", "ce_spliced": "CE spliced", "kl_spliced": "KL"}


def layout(query: dict[str, str]) -> Parts:
    """Runs, their curves, their numbers; then the judgements."""
    there = all_runs()
    chosen = tables.chosen_from(query, there)
    lead = "Curves are read from the runs' own logs, also of trainings that were started in a shell, while they last."
    return [
        dcc.Store(id="selection", data={}),
        *(_stores(there, chosen) if there else []),
        title("Training", lead=lead, actions=[form.train_menu()]),
        html.Div([*(_runs(query) if there else [_none()]), *_judged()], className="ow-stack"),
    ]


def _stores(there: list[TrainingRun], chosen: list[str]) -> Parts:
    """What is shown, what was drawn last, and the clock that runs while a training does."""
    live = any(run.state == "live" for run in there)
    stores = [
        dcc.Store(id="training-chosen", data=chosen),
        dcc.Store(id="training-mark"),
        dcc.Store(id="training-kept"),
    ]
    return [*stores, dcc.Interval(id="training-poll", interval=2000, disabled=not live)]


def _none() -> Component:
    words = "A training of a stored cache appears here with its curves while it runs. In the shell:"
    return empty("No training yet", words, copyable("openwork train --cache NAME --kind skip_transcoder --k 32"))


def _option(query: dict[str, str], key: str, values: tuple[str, ...]) -> str:
    return query[key] if query.get(key) in values else values[0]


def _runs(query: dict[str, str]) -> Parts:
    axis, scale = _option(query, "x", AXES), _option(query, "y", ("linear", "log"))
    tools = html.Div(
        [
            segmented("training-axis", [(a, a) for a in AXES], axis),
            segmented("training-scale", [("linear", "linear"), ("log", "log")], scale),
            segmented(
                "training-window",
                [("1", "as logged"), ("5", "mean of 5"), ("20", "of 20")],
                _option(query, "w", ("1", "5", "20")),
            ),
        ],
        className="ow-actions",
    )
    curves = panel(
        "Curves",
        [
            html.Div(id="training-note", className="ow-partial", style={"padding": "0 10px"}),
            graph("training-curves", 600, "Loss, L0, FVU and dead share of the runs shown"),
        ],
        note="Each point is the mean over the steps since the line before; a smoothed one the mean of that many lines.",
        tools=tools,
        flush=True,
        foot=html.Div(id="training-code"),
    )
    listed = panel(
        "Runs",
        drawn.rows("training-runs", 380),
        note="Finished ones are dictionaries; those cut off can be resumed on their page.",
        foot=_list_code(),
    )
    numbers = panel("Last numbers of the runs shown", drawn.rows("training-final", 320), note="Click a run to open it.")
    differ = panel("Settings that differ", html.Div(drawn.rows("training-differ", 320), className="ow-scroll"))
    return [listed, curves, html.Div([numbers, differ], className="ow-grid two")]


def _list_code() -> Component:
    return snippets.snippets("from probe import runs\n\n[run.row() for run in runs()]", "openwork runs")


def _judged() -> Parts:
    rows, damaged = judged()
    if not rows and not damaged:
        return []
    measures = [(m, _SHORT[m]) for m in MEASURES if any(tables.known(row.get(m)) for row in rows)]
    broken = (
        [error("; ".join(f"{n}: {why}" for n, why in damaged[:5]), heading="Some results cannot be read")]
        if damaged
        else []
    )
    if not rows:
        return broken
    python = "from probe import judged, judged_figure\n\nrows, damaged = judged()\njudged_figure(rows, 'fvu')"
    plot = panel(
        "Sparsity against faithfulness",
        graph("training-pareto", 430, "L0 against what is lost, one colour a kind"),
        note="Further left is sparser; lower is better (CE recovered: higher). FVU compares dictionaries of one kind only.",
        tools=segmented("training-measure", measures or [("fvu", "FVU")], (measures or [("fvu", "FVU")])[0][0]),
        flush=True,
        foot=snippets.snippets(python, "openwork eval --dictionary NAME --cache NAME"),
    )
    names = {run.name for run in all_runs()}
    table = panel(
        "Judged dictionaries",
        drawn.rows("training-judged", 460, tables.judged_rows(rows, names)),
        note="Point at a column's name for what it means. Numbers on different texts are not comparable.",
    )
    return [*broken, plot, table]


def register(app: Dash) -> None:
    callbacks.register(app)
    form.register(app)


PAGE = Page(r"/training", "Training", layout, register, ("training-curves", "training-pareto"))
