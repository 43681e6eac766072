"""Jobs: what runs, what waits, what ended and how, with its log, its cancelling and its running again.

The two lists are drawn anew only when a job begins, ends or is asked to stop; between, progress and log alone are brought up to
date, so that an opened log stays open.
"""

import time
from datetime import datetime
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app.components.parts import Parts, copy_button, empty, loading, meter, panel, title
from app.components.polling import in_turn, poll
from app.components.slot import again_button, cancel, how_far
from app.frame.shell import Page
from app.jobs.repeat_job import can_repeat, repeat
from app.jobs.table import Job, job_table, turn
from app.links import local
from probe.artifacts.manifest import versions
from probe.words import duration

_SHOWN, _MOST = 15, 60  # ended jobs listed at first, and when all are asked for
_EVERY = 1000  # milliseconds between questions about the jobs
_LATE = 30 * 86400  # seconds after which a date says its year


def layout(query: dict[str, str]) -> Parts:
    """A head and two lists that follow the jobs."""
    lead = "Model work runs here, one job after the other, and what needs no model beside it. The table survives a restart."
    return [
        title("Jobs", lead=lead),
        html.Div(loading(90), id="jobs-active"),
        html.Div(loading(120), id="jobs-ended"),
        dcc.Store(id="jobs-seen", data=["", ""]),
        dcc.Store(id="jobs-most", data=_MOST if query.get("all") else _SHOWN),
        poll("job-poll", _EVERY),
        poll("job-lines-poll", _EVERY),
    ]


def active_list(active: list[Job], any_ended: bool) -> Component:
    """Those that run and wait, in the order in which they will run."""
    if not active and not any_ended:
        return empty("No jobs yet", "Open a prompt or trace a circuit; the work appears here with its progress.")
    nothing = html.P("Nothing runs at the moment.", className="ow-sub")
    rows = [row(j) for j in sorted(active, key=turn)]
    return panel("Running and waiting", rows or nothing, flush=bool(rows), export=False)


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
    year = " %Y" if abs(time.time() - job.created) > _LATE else ""
    begun = f"{job.kind}, begun {datetime.fromtimestamp(job.created):%d %B{year}, %H:%M}"
    dot = {"running": "busy", "done": "on", "failed": "bad", "interrupted": "bad"}.get(job.state, "")
    told = html.Pre(report(job), **_followed("job-lines", job))
    copied = html.Span(copy_button("the log"), className="ow-job-copy", **{"data-copy": report(job)})
    log = [html.Summary("Log"), html.Div([told, copied])]
    parts = [
        html.Div(
            [html.Div(name, className="name", dir="auto"), html.Div(job.message or begun, className="meta", dir="auto")]
        ),
        html.Div(_progress(job), **_followed("job-progress", job)),
        html.Span([html.Span(className=f"ow-dot {dot}"), job.state], className=f"ow-badge {job.state}"),
        html.Div(_actions(job, opens), className="ow-job-actions"),
        html.Details(log, className="ow-job-log"),
    ]
    return html.Div(parts, className="ow-job")


def _followed(what: str, job: Job) -> dict[str, Any]:
    """An id for what is brought up to date while a job is active; ended ones stay as they were drawn."""
    return {"id": {"type": what, "job": job.id}} if job.active else {}


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
    return found or ([again_button(job)] if can_repeat(job) else [])


def report(job: Job) -> str:
    """All there is to say of a job, as plain text: what happened when, where it failed, the versions."""
    began = datetime.fromtimestamp(job.created).isoformat(sep=" ", timespec="seconds")
    head = [f"job {job.id} ({job.kind}): {job.title}", f"{job.state}; queued {began}", job.message]
    failed = [f"failed in: {job.stage or 'the beginning'}", job.details] if job.state == "failed" else []
    lines = [f"{datetime.fromtimestamp(moment):%H:%M:%S}  {words}" for moment, words in job.log]
    return "\n".join(filter(None, [*head, *failed, *lines, ", ".join(f"{k} {v}" for k, v in versions().items())]))


def register(app: Dash) -> None:
    @app.callback(
        Output("jobs-active", "children"),
        Output("jobs-ended", "children"),
        Output("jobs-seen", "data"),
        Input("job-poll", "n_intervals"),
        Input("cancelled", "data"),
        State("jobs-seen", "data"),
        State("jobs-most", "data"),
        running=in_turn("job-poll", _EVERY),
    )
    def show(_: object, __: object, before: list[str], most: int):
        active, ended = job_table().active(), [j for j in job_table().all() if not j.active]
        seen = [str([(j.id, j.state, j.message) for j in every]) for every in (active, ended)]
        lists = active_list(active, bool(ended)), ended_list(ended, most)
        return no_update if seen == before else lists[0], no_update if seen[1] == before[1] else lists[1], seen

    @app.callback(
        Output({"type": "job-progress", "job": ALL}, "children"),
        Output({"type": "job-lines", "job": ALL}, "children"),
        Input("job-lines-poll", "n_intervals"),
        running=in_turn("job-lines-poll", _EVERY),
        prevent_initial_call=True,
    )
    def advance(_: object):
        active = {j.id: j for j in job_table().active()}
        known = [active.get(part["id"]["job"]) for part in ctx.outputs_list[0]]
        return [_progress(j) if j else no_update for j in known], [report(j) if j else no_update for j in known]

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
