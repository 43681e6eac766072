"""Jobs: what runs, what waits, what ended and how, with its log, its cancelling and its running again.

The two lists are drawn anew only when a job begins, ends or is asked to stop; between, progress and log alone are brought up to
date, so that an opened log stays open.
"""

import time
from datetime import datetime
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app.components.parts import Parts, copy_button, empty, loading, meter, panel, title
from app.components.slot import cancel, how_far
from app.frame.shell import Page
from app.jobs.again import can_repeat, repeat
from app.jobs.table import Job, job_table, turn
from app.links import local
from probe.artifacts.json import Json
from probe.artifacts.manifest import versions
from probe.words import duration

_SHOWN, _MOST = 15, 60  # ended jobs listed at first, and when all are asked for
_LATE = 30 * 86400  # seconds after which a date says its year


def layout(query: dict[str, str]) -> Parts:
    """A head and two lists that follow the jobs."""
    lead = "Model work runs here, one job after the other, and what needs no model beside it. The table survives a restart."
    return [
        title("Jobs", lead=lead),
        html.Div(loading(90), id="jobs-active"),
        html.Div(loading(120), id="jobs-ended"),
        dcc.Store(id="jobs-marks", data=["", ""]),
        dcc.Store(id="jobs-most", data=_MOST if query.get("all") else _SHOWN),
        dcc.Interval(id="job-poll", interval=1000),
    ]


def active_list(active: list[Job], any_ended: bool) -> Component:
    """Those that run and wait, in the order in which they will run."""
    if not active:
        if any_ended:
            return panel("Running and waiting", html.P("Nothing runs at the moment.", className="ow-sub"), export=False)
        return empty("No jobs yet", "Open a prompt or trace a circuit; the work appears here with its progress.")
    rows = [row(j) for j in in_order(active)]
    return panel("Running and waiting", rows, flush=True, export=False)


def in_order(active: list[Job]) -> list[Job]:
    """As they will run."""
    return sorted(active, key=turn)


def ended_list(ended: list[Job], most: int) -> Component | None:
    """Those that ended, newest first."""
    if not ended:
        return None
    cut = len(ended) > most
    note = f"The last {most} of {len(ended)}" if cut else f"{len(ended)} in all"
    more = dcc.Link("Show more", href="/jobs?all=1") if cut and most < _MOST else None
    return panel("Ended", [row(j) for j in ended[:most]], note=note, tools=more, flush=True, export=False)


def row(job: Job) -> html.Div:
    """One job: what it is, how far it is, its state, what one can do with it, and its log."""
    opens = local(job.link) and job.state in ("done", "running", "queued")
    name = dcc.Link(job.title, href=job.link) if opens else job.title
    words = [
        html.Div(name, className="name", dir="auto"),
        html.Div(job.message or f"{job.kind}, {_when(job)}", className="meta", dir="auto"),
    ]
    return html.Div(
        [
            html.Div(words),
            html.Div(_progress(job), **_named("job-progress", job)),
            html.Span([html.Span(className=_dot(job)), job.state], className=f"ow-badge {job.state}"),
            html.Div(_actions(job, opens), className="ow-job-actions"),
            _log(job),
        ],
        className="ow-job",
        id={"type": "job-row", "job": job.id},
    )


def _named(what: str, job: Job) -> Json:
    """An id for what is brought up to date while a job is active; ended ones stay as they were drawn."""
    return {"id": {"type": what, "job": job.id}} if job.active else {}


def _dot(job: Job) -> str:
    return "ow-dot " + {"running": "busy", "done": "on", "failed": "bad", "interrupted": "bad"}.get(job.state, "")


def _when(job: Job) -> str:
    year = " %Y" if abs(time.time() - job.created) > _LATE else ""
    return f"begun {datetime.fromtimestamp(job.created):%d %B{year}, %H:%M}"


def _progress(job: Job) -> Parts:
    if job.active:
        far = meter(0.0 if job.state == "queued" else job.share)
        return [far, html.Div(how_far(job), className="meta", style={"marginTop": 5}, dir="auto")]
    took = duration(job.finished - job.started) if job.finished and job.started else ""
    return [html.Div(f"took {took}" if took else "", className="meta")]


def _actions(job: Job, opens: bool) -> Parts:
    if job.active:
        return [cancel(job)]
    found: list[Any] = [dcc.Link("Open", href=job.link)] if opens and job.state == "done" else []
    if not found and can_repeat(job):
        words = "Go on" if job.again and job.again[0] == "demo" else "Run again"
        found.append(dmc.Button(words, id={"type": "again", "job": job.id}, variant="default", size="xs"))
    return found


def _log(job: Job) -> html.Details:
    """What happened when, and what to copy into a report."""
    copied = html.Span(copy_button("the log"), className="ow-job-copy", **{"data-copy": report(job)})
    body = html.Div([html.Pre(_lines(job), **_named("job-lines", job)), copied])
    return html.Details([html.Summary("Log"), body], className="ow-job-log")


def _lines(job: Job) -> str:
    lines = [f"{datetime.fromtimestamp(moment):%H:%M:%S}  {words}" for moment, words in job.log]
    return "\n".join([*lines, "", *_facts(job)]) if job.state == "failed" else "\n".join(lines or ["nothing was kept"])


def _facts(job: Job) -> list[str]:
    return [f"failed in: {job.stage or 'the beginning'}", *([job.details] if job.details else [])]


def report(job: Job) -> str:
    """All there is to say of a job, as plain text."""
    began = datetime.fromtimestamp(job.created).isoformat(sep=" ", timespec="seconds")
    head = [f"job {job.id} ({job.kind}): {job.title}", f"{job.state}; queued {began}", job.message, job.details]
    lines = [f"{datetime.fromtimestamp(moment):%H:%M:%S}  {words}" for moment, words in job.log]
    return "\n".join([*filter(None, head), *lines, ", ".join(f"{k} {v}" for k, v in versions().items())])


def marks(every: list[Job]) -> list[str]:
    """What changes when the list of active, or of ended jobs must be drawn anew."""
    active = [(j.id, j.state, j.message) for j in every if j.active]
    return [str(active), str([(j.id, j.state) for j in every if not j.active])]


def register(app: Dash) -> None:
    @app.callback(
        Output("jobs-active", "children"),
        Output("jobs-ended", "children"),
        Output("jobs-marks", "data"),
        Input("job-poll", "n_intervals"),
        Input("cancelled", "data"),
        State("jobs-marks", "data"),
        State("jobs-most", "data"),
    )
    def show(_: object, __: object, before: list[str], most: int):
        every = job_table().all()
        now, ended = marks(every), [j for j in every if not j.active]
        first = (
            active_list([j for j in every if j.active], bool(ended))
            if now[0] != before[0] or now[1] != before[1]
            else no_update
        )
        return first, ended_list(ended, most) if now[1] != before[1] else no_update, now

    @app.callback(
        Output({"type": "job-progress", "job": ALL}, "children"),
        Output({"type": "job-lines", "job": ALL}, "children"),
        Input("job-poll", "n_intervals"),
        prevent_initial_call=True,
    )
    def advance(_: object):
        here = [part["id"]["job"] for part in ctx.outputs_list[0]]
        found = {j.id: j for j in job_table().active()}
        known = [found.get(identity) for identity in here]
        return [_progress(j) if j else no_update for j in known], [_lines(j) if j else no_update for j in known]

    @app.callback(
        Output("cancelled", "data", allow_duplicate=True),
        Input({"type": "again", "job": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def again(clicks: list[int | None]):
        if not any(clicks) or not ctx.triggered_id:
            return no_update
        repeat(ctx.triggered_id["job"])
        return f"again {ctx.triggered_id['job']} {time.time()}"


PAGE = Page(r"/jobs", "Jobs", layout, register)
