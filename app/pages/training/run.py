"""One training run: its curves, where it stands, its settings, how it was judged; followed while it lasts, and resumed."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import links
from app.components import drawn
from app.components.cards import outdated_note
from app.components.parts import Parts, copyable, fact_list, icon, link_button, panel, stat, title
from app.components.slot import waiting
from app.components.snippets import snippets
from app.frame.shell import Page
from app.jobs.table import job_table
from app.links import run_page
from app.pages.training import curves, judged, tables
from app.pages.training.work import resume, run_of
from probe.artifacts.manifest import read_manifest
from probe.errors import OpenworkError
from probe.training.asked import asked_of
from probe.training.run_differences import settings_of
from probe.training.run_log import TrainingRun
from probe.words import duration, number, percent


def layout(name: str, query: dict[str, str]) -> Parts:
    """The page of a run."""
    run, job = run_of(name), job_table().latest(f"train:{name}")
    idle = run.state != "live" and not (job and job.active)
    stores = {"selection": {}, "run-name": name, "run-chosen": [name], "run-mark": mark(run)}
    # the mark is of what is laid out here, though it ends before it is first asked
    foot = snippets(
        f"from probe import run_named, runs_figure\n\nruns_figure([run_named({name!r})])", "openwork runs --json"
    )
    lines = drawn.rows("run-lines", 360, tables.line_rows(run))
    return [
        *(dcc.Store(id=key, data=data) for key, data in stores.items()),
        dcc.Interval(id="run-poll", interval=1500, disabled=idle),
        title(name, eyebrow=f"Training run · {run.state}", actions=_actions(run)),
        html.Div(_job(name), id="run-job"),
        *_problem(run),
        *(outdated_note("dictionary", name) if run.state == "finished" else []),
        panel("Where it stands", html.Div(facts(run), id="run-facts"), export=False),
        curves.curves("run", query, 540, foot),
        *(judged.of_run(run, query) if run.state == "finished" else []),
        html.Div(
            [_settings(run), panel("The log", lines, note="Its last lines, newest first.")], className="ow-grid even"
        ),
    ]


def _job(name: str) -> Parts:
    """Progress of the job that trains this run, or why it failed; nothing when all is done."""
    job = job_table().latest(f"train:{name}")
    return [waiting(job)] if job is not None and (job.active or job.state == "failed") else []


def _actions(run: TrainingRun) -> Parts:
    beside = link_button("Beside others", links.address(links.TRAINING, runs=tables.runs_query([run.name])), "training")
    if run.state != "finished":
        return [beside]
    return [
        beside,
        link_button("Its features", links.address(links.UNITS, model=run.model, dictionary=run.name), "units"),
    ]


def _problem(run: TrainingRun) -> Parts:
    """An interrupted run: how it goes on."""
    words: list[Any] = [html.P(run.problem)] if run.problem else []
    if run.state == "finished":
        return [html.Div(words, className="ow-state error")] if words else []
    if run.state == "live":
        return []
    if (asked := asked_of(run.name)) is None:
        said = "It was started from a shell. Repeat that command with --resume; it goes on from the last checkpoint."
        words.append(html.P(said))
    else:
        said = "It goes on from its last checkpoint, with the same weights as if it had never stopped."
        go = dmc.Button("Resume", id="run-resume", size="sm", leftSection=icon("play", small=True))
        d_dict = run.facts.get("d_dict") or asked.latents
        words += [html.P(said), go, copyable(asked.shell(d_dict, resume=True)) if d_dict else None]
    head = html.H3("This training was cut off")
    return [html.Div([head, html.Div(words, className="ow-resume")], className="ow-state")]


def facts(run: TrainingRun) -> html.Div:
    """The last numbers of the log."""
    last = run.final()

    def said(key: str, form: str = "{:,.0f}") -> str:
        value = last.get(key)
        if not tables.known(value):
            return "–"
        return percent(value) if key == "dead_share" else form.format(value)

    since = {"live": "its log grew lately", "interrupted": "nothing was written for a while"}.get(run.state)
    shown = [
        stat("state", run.state, since),
        stat("tokens", said("tokens"), f"step {said('step')}" if tables.known(last.get("step")) else None),
        *(
            stat(one["label"], number(last[one["key"]], 4) if tables.known(last.get(one["key"])) else "–")
            for one in tables.NUMBERS[:-1]
        ),
        stat("dead", said("dead_share")),
        stat("speed", f"{said('tokens_per_second')} tok/s"),
        stat("time", duration(last["seconds"]) if tables.known(last.get("seconds")) else "–"),
    ]
    return html.Div(shown, className="ow-stats")


def _settings(run: TrainingRun) -> Component:
    done = run.state == "finished"
    found = {
        **settings_of(run),
        "sites": tables.short_sites(run.sites),
        "command": _command(run) if done else "",
        "time": duration(run.facts["seconds"]) if tables.known(run.facts.get("seconds")) else "",
    }
    pairs = [(k.replace("_", " "), v) for k, v in found.items() if v not in ("", "None") and not k.startswith("site")]
    later = html.P("Known when its first checkpoint is written.", className="ow-sub")
    code = f"from probe import load_dictionary\n\ndictionary = load_dictionary({run.name!r})\ndictionary"
    body = fact_list(pairs) if pairs else later
    return panel("Settings", body, export=False, foot=snippets(code) if done else None)


def _command(run: TrainingRun) -> str:
    try:
        return read_manifest(run.folder, "dictionary").command
    except OpenworkError:
        return ""


# -- what it does ------------------------------------------------------------------------------------------------------------


def mark(run: TrainingRun) -> list[object]:
    """Changes when the page would look different."""
    return [run.state, run.log.lines if run.log else 0, bool(run.facts)]


def followed(run: TrainingRun, before: list[object], *, first: bool = False) -> tuple[Any, ...]:
    """What is new since the page was laid out, or told last; where its state changed or its settings became known, it is laid out
    anew. first: all is told, since what is drawn in the browser waits for it."""
    now = mark(run)
    if (now[0], now[2]) != (before[0], before[2]):
        return (*(no_update,) * 4, f"{run_page(run.name)}?at={now[0]}-{now[1]}")
    if now == before and not first:
        return (_job(run.name), *(no_update,) * 4)
    return _job(run.name), facts(run), tables.line_rows(run), now, no_update


def register(app: Dash) -> None:
    curves.register(app, "run", legend=False)
    drawn.register_rows(app, "run-lines")

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
        return followed(run_of(name), before, first=not asked)

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("run-resume", "n_clicks"),
        State("run-name", "data"),
        prevent_initial_call=True,
    )
    def go_on(clicks: int | None, name: str):
        return f"{resume(name)}?at=resumed" if clicks else no_update


PAGE = Page(r"/training/(?P<name>[^/]+)", "Training run", layout, register, ("run-curves",))
