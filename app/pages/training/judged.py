"""How dictionaries were judged: all that is stored of it as a picture and a table, and of one dictionary as its newest report."""

from typing import TYPE_CHECKING

from dash import Dash, Input, Output, State, no_update

from app import links
from app.components import drawn
from app.components.parts import Parts, copyable, empty, error, graph, panel, segmented
from app.components.snippets import snippets
from app.figures.dress import dress, worn
from app.methods.block import Block
from app.methods.drawing import Look, drawn_panels
from app.pages.training import tables
from app.pages.training.work import caches, run_of
from probe.artifacts.json import Json
from probe.errors import OpenworkError
from probe.evaluation.figures import MEASURES, judged_figure
from probe.evaluation.results import judged, newest_report
from probe.training.run_log import TrainingRun

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_SHORT = {"fvu": "FVU", "ce_recovered_zero": "CE recovered", "ce_spliced": "CE spliced", "kl_spliced": "KL"}
_TRADE = "Further left is sparser; lower is better (CE recovered: higher). FVU compares dictionaries of one kind only."
EVALUATE = Block("judge", "evaluate", ("texts", "max_tokens", "seed"), "judged", "Judge it")
SUITE = Block("suite", "suite", ("budget", "seeds", "seed"), "suite", "Beside what needs no dictionary")


def layout(there: list[TrainingRun]) -> Parts:
    """Sparsity against faithfulness, and every judged dictionary; what cannot be read is said."""
    rows, damaged = judged()
    told = "; ".join(f"{name}: {why}" for name, why in damaged[:5])
    broken = [error(told, heading="Some results cannot be read")] if damaged else []
    if not rows:
        return broken
    measures = [(m, _SHORT[m]) for m in MEASURES if any(tables.known(row.get(m)) for row in rows)] or [("fvu", "FVU")]
    python = "from probe import judged, judged_figure\n\nrows, damaged = judged()\njudged_figure(rows, 'fvu')"
    names = {run.name for run in there}
    pages = {row["result"]: links.run_page(row["name"]) for row in rows if row["name"] in names}
    return [
        *broken,
        panel(
            "Sparsity against faithfulness",
            graph("training-pareto", 430, "L0 against what is lost, one colour a kind"),
            note=_TRADE,
            tools=segmented("training-measure", measures, measures[0][0]),
            flush=True,
            foot=snippets(python, "openwork eval --dictionary NAME --cache NAME"),
        ),
        panel(
            "Judged dictionaries",
            drawn.rows("training-judged", 460, tables.judged_rows(rows, pages, tables.not_judged(rows, names))),
            note="Point at a column's name for what it means. Numbers on different texts are not comparable.",
        ),
    ]


def of_run(run: TrainingRun, query: dict[str, str]) -> Parts:
    """Everything stored about how good a finished run is, its newest report drawn, and the methods that judge it."""
    rows = [row for row in judged()[0] if row["name"] == run.name]
    command = f"openwork eval --dictionary {run.name} --cache {run.cache or 'NAME'}"
    if not rows:
        words = "Nothing stored says how good it is on text it was not trained on."
        return [empty("Not judged yet", words, copyable(command)), *_judge(run, query)]
    code = f"from probe import judged\n\n[row for row in judged()[0] if row['name'] == {run.name!r}]"
    pages = {row["result"]: links.result_page(row["result"]) for row in rows}
    listed = panel(
        "How good it is",
        drawn.rows("run-judged", 260, tables.judged_rows(rows, pages)),
        note="A click opens the result. Point at a name for what the number means.",
        foot=snippets(code, f"{command} --resume"),
    )
    return [listed, *_newest(run), *_judge(run, query)]


def _newest(run: TrainingRun) -> Parts:
    """Its newest report."""
    try:
        report = newest_report(run.name)
    except OpenworkError as problem:
        return [error(str(problem), heading="Its newest report cannot be shown")]
    return drawn_panels(report, "", Look(worn()), at="report") if report else []


def _judge(run: TrainingRun, query: dict[str, str]) -> Parts:
    """The methods, where the cache that it was trained on is stored."""
    if run.cache not in caches():
        return []
    given = {"dictionary": run.name, "cache": run.cache}
    return [one.layout(run.model, given, query) for one in (EVALUATE, SUITE)]


def register(app: Dash) -> None:
    for name in ("training-judged", "run-judged"):
        drawn.register_rows(app, name)

    @app.callback(Output("training-pareto", "figure"), Input("training-measure", "value"), State("scheme", "data"))
    def pareto(measure: str, scheme: str):
        return pareto_figure(measure, scheme)

    @app.callback(
        Output("url", "href", allow_duplicate=True), Input("training-pareto", "clickData"), prevent_initial_call=True
    )
    def opened(data: Json | None):
        name = (data or {}).get("points", [{}])[0].get("customdata")
        return links.run_page(str(name)) if name and run_of(str(name)) else no_update


def pareto_figure(measure: str, scheme: str) -> "Figure":
    """Judged dictionaries, dressed."""
    figure = dress(judged_figure(judged()[0], measure), scheme, margin={"l": 64, "r": 16, "t": 40, "b": 52})
    figure.update_layout(legend={"y": 1.02, "yanchor": "bottom"})
    return figure
