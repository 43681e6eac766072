"""What the page of a run does: follows it while it lasts, resumes it, judges it, draws its report."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from dash import Dash, Input, Output, State, html, no_update

from app.components import drawn
from app.components.drawn import Drawn
from app.components.parts import Parts, stat
from app.components.slot import waiting
from app.figures.dress import dress
from app.jobs.table import job_table
from app.links import run_page
from app.pages.training import tables, work
from app.pages.training.callbacks import curves_figure
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest, require_files
from probe.artifacts.untrusted import read_json
from probe.errors import BadInput, OpenworkError
from probe.evaluation.figures import eval_figure
from probe.evaluation.report import CONVENTION, IN_MODEL, OWN, EvalReport
from probe.training.figures import points_each
from probe.training.run_log import TrainingRun
from probe.words import duration, number, percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


_LINES = 60


def jobs_of(name: str) -> Parts:
    """Progress of the job that trains or judges this run, or why it failed; nothing when all is done."""
    found = [job_table().latest(f"{kind}:{name}") for kind in ("train", "judge")]
    return [waiting(job) for job in found if job is not None and (job.active or job.state == "failed")]


def facts(run: TrainingRun) -> html.Div:
    """The last numbers of the log."""
    last = run.final()
    done = f"{last['tokens']:,.0f}" if tables.known(last.get("tokens")) else "–"
    shown = [
        stat("state", run.state, _since(run)),
        stat("tokens", done, f"step {last['step']:,.0f}" if tables.known(last.get("step")) else None),
        *(stat(label, _number(key, last.get(key))) for key, label, _ in tables.NUMBERS),
        stat(
            "speed", f"{last['tokens_per_second']:,.0f} tok/s" if tables.known(last.get("tokens_per_second")) else "–"
        ),
        stat("time", duration(last.get("seconds")) if tables.known(last.get("seconds")) else "–"),
    ]
    return html.Div(shown, className="ow-stats")


def _since(run: TrainingRun) -> str | None:
    return {"live": "its log grew lately", "interrupted": "nothing was written for a while"}.get(run.state)


def _number(key: str, value: object) -> str:
    if not tables.known(value):
        return "–"
    return percent(value) if key == "dead_share" else number(float(value), 4)


def line_rows(run: TrainingRun) -> Drawn:
    """The last lines of the log."""
    names = ("step", "tokens", "loss", "fvu", "l0", "dead_share", "lr", "tokens_per_second")
    columns = [
        {
            "key": n,
            "label": {"tokens_per_second": "tok/s", "dead_share": "dead"}.get(n, n),
            "kind": "share" if n == "dead_share" else "num" if n not in ("step", "tokens") else "text",
            "wide": n == "tokens_per_second",
        }
        for n in names
    ]
    series = {n: run.log.series(n)[-_LINES:][::-1] for n in names} if run.log else {}
    count = len(series["step"]) if series else 0
    rows = [
        {n: (f"{series[n][i]:,.0f}" if n in ("step", "tokens") else tables.finite(float(series[n][i]))) for n in names}
        for i in range(count)
    ]
    total = run.log.lines if run.log else 0
    note = f"{count} of {total:,} lines" if total > count else "" if rows else "No line was written yet."
    return {"columns": columns, "rows": rows, "label": "The log", "note": note}


def report_of(name: str) -> EvalReport | None:
    """The stored report of this dictionary, by its usual name or the newest result that names it; None if there is none."""
    from probe.evaluation.results import judged

    names = [work.report_name(name), *(row["result"] for row in judged()[0] if row["name"] == name)]
    for one in names:
        try:
            folder = place("result", one)
            require_files(folder, read_manifest(folder, "result"), ["report.json"])
            found = read_json(folder / "report.json")
            known = {f.name for f in fields(EvalReport)}
            return EvalReport(**{k: (float("nan") if v is None else v) for k, v in found.items() if k in known})
        except (OSError, ValueError, TypeError, AttributeError, OpenworkError):
            continue
    return None


def measure_rows(report: EvalReport) -> Drawn:
    """Every measure with its error and what it means."""
    meanings = {
        **CONVENTION,
        "ce_recovered_zero": CONVENTION["ce_recovered"],
        "ce_recovered_mean": CONVENTION["ce_recovered"],
    }
    columns = [
        {"key": "measure", "label": "measure", "kind": "text"},
        {"key": "value", "label": "value", "kind": "num"},
        {"key": "error", "label": "±", "kind": "num", "title": CONVENTION["error"]},
        {"key": "tokens", "label": "tokens", "kind": "text"},
        {"key": "meaning", "label": "what it is", "kind": "text"},
    ]
    rows = []
    for names, tokens in ((OWN, report.n_tokens), (IN_MODEL, report.n_ce_tokens)):
        for name in names:
            if tables.known(value := getattr(report, name)):
                meaning = meanings.get(name) or meanings.get(name.partition("_")[0], "")
                error_of = tables.finite(report.errors.get(name))
                rows.append(
                    {
                        "measure": name.replace("_", " "),
                        "value": value,
                        "error": error_of,
                        "tokens": f"{tokens:,}",
                        "meaning": meaning,
                    }
                )
    return {"columns": columns, "rows": rows, "label": "Measures"}


def register(app: Dash) -> None:
    for name in ("run-lines", "run-judged", "run-measures"):
        drawn.register_rows(app, name)
    register_follow(app)
    register_buttons(app)

    @app.callback(
        Output("run-curves", "figure"),
        Output("run-note", "children"),
        Input("run-mark", "data"),
        Input("run-axis", "value"),
        Input("run-scale", "value"),
        State("run-name", "data"),
        State("scheme", "data"),
    )
    def curves(_: object, axis: str, scale: str, name: str, scheme: str):
        run = work.run_of(name)
        note = tables.partial_words([run], points_each(1))
        return curves_figure([run], axis, scale == "log", 1, scheme).update_layout(showlegend=False), note

    @app.callback(Output("run-report", "figure"), Input("run-reported", "data"), State("scheme", "data"))
    def report(name: str, scheme: str):
        found = report_of(name)
        return no_update if found is None else report_figure(found, scheme)


def report_figure(report: EvalReport, scheme: str) -> "Figure":
    """FVU and cross-entropy beside what they are compared with, dressed."""
    figure = dress(eval_figure(report), scheme, margin={"l": 50, "r": 12, "t": 34, "b": 40})
    return figure.update_annotations(font_size=12.5)


def register_follow(app: Dash) -> None:
    @app.callback(
        Output("run-job", "children"),
        Output("run-facts", "children"),
        Output("run-lines-data", "data"),
        Output("run-mark", "data"),
        Output("url", "href", allow_duplicate=True),
        Input("run-poll", "n_intervals"),
        State("run-name", "data"),
        State("run-mark", "data"),
        prevent_initial_call="initial_duplicate",
    )
    def follow(asked: int | None, name: str, before: list[object]):
        return followed(work.run_of(name), before, first=not asked)

    @app.callback(
        Output("run-waiting", "children"),
        Output("url", "href", allow_duplicate=True),
        Input("run-waiting-poll", "n_intervals"),
        State("run-waiting-for", "data"),
        prevent_initial_call=True,
    )
    def wait(_: object, name: str):
        return (jobs_of(name), no_update) if not exists(name) else (no_update, f"{run_page(name)}?ready=1")


def exists(name: str) -> bool:
    """Whether anything of this run is on disk."""
    try:
        work.run_of(name)
    except BadInput:
        return False
    return True


def mark(run: TrainingRun) -> list[object]:
    """Changes when the page would look different."""
    reported = place("result", work.report_name(run.name)).exists()
    return [run.state, run.log.lines if run.log else 0, bool(run.facts), reported]


def followed(run: TrainingRun, before: list[object], *, first: bool = False) -> tuple[Any, ...]:
    """What is new since the page was laid out, or told last; where the state changed, its settings became known or it was judged,
    the page is laid out anew. first: all is told, since what is drawn in the browser waits for it."""
    now = mark(run)
    if (now[0], now[2:]) != (before[0], before[2:]):
        return (*(no_update,) * 4, f"{run_page(run.name)}?at={now[0]}-{now[1]}-{int(now[3])}")
    if now == before and not first:
        return (jobs_of(run.name), *(no_update,) * 4)
    return jobs_of(run.name), facts(run), line_rows(run), now, no_update


def register_buttons(app: Dash) -> None:
    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("run-resume", "n_clicks"),
        State("run-name", "data"),
        prevent_initial_call=True,
    )
    def resume(clicks: int | None, name: str):
        return f"{work.resume(name)}?at=resumed" if clicks else no_update

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("run-judge", "n_clicks"),
        State("run-name", "data"),
        prevent_initial_call=True,
    )
    def judge(clicks: int | None, name: str):
        run = work.run_of(name)
        return f"{work.judging(run, run.cache)}?at=judging" if clicks else no_update
