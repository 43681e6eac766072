"""Jobs: what runs, what waits, what ended and how."""

from datetime import datetime
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html

from app import jobs
from app.components.parts import duration, empty, loading, meter, panel, title
from app.jobs import Job
from app.shell import Page

_SHOWN = 40


def layout(query: dict[str, str]) -> list[Any]:
    """A head and a table that follows the jobs."""
    lead = "Model work runs here, one job after the other. The table survives a reload of the page and a restart of the server."
    return [
        title("Jobs", lead=lead),
        html.Div(loading(120), id="job-table"),
        dcc.Interval(id="job-poll", interval=1000),
    ]


def table(every: list[Job]) -> list[Any]:
    """Active jobs, then ended ones."""
    active, ended = [j for j in every if j.active], [j for j in every if not j.active]
    if not every:
        return [empty("No jobs yet", "Open a prompt or trace a circuit; the work appears here with its progress.")]
    parts = [
        panel(
            "Running and waiting",
            [row(j) for j in active] or html.P("Nothing runs at the moment.", className="ow-sub"),
            flush=bool(active),
        )
    ]
    if ended:
        note = f"The last {_SHOWN} of {len(ended)}" if len(ended) > _SHOWN else None
        parts.append(panel("Ended", [row(j) for j in ended[:_SHOWN]], note=note, flush=True))
    return [html.Div(parts, style={"display": "grid", "gap": 18})]


def row(job: Job) -> html.Div:
    """One job: what it is, how far it is, its state, and what one can do with it."""
    name = dcc.Link(job.title, href=job.link) if job.link and job.state in ("done", "running", "queued") else job.title
    words = [html.Div(name, className="name"), html.Div(job.message or f"{job.kind}, {_when(job)}", className="meta")]
    return html.Div(
        [
            html.Div(words),
            html.Div(_progress(job)),
            html.Span([html.Span(className=_dot(job)), job.state], className=f"ow-badge {job.state}"),
            _action(job),
        ],
        className="ow-job",
    )


def _dot(job: Job) -> str:
    return "ow-dot " + {"running": "busy", "done": "on", "failed": "bad", "interrupted": "bad"}.get(job.state, "")


def _when(job: Job) -> str:
    return f"begun {datetime.fromtimestamp(job.created):%d %B, %H:%M}"


def _progress(job: Job) -> list[Any]:
    if job.active:
        eta = f", {duration(job.eta)} left" if job.eta else ""
        return [
            meter(job.share if job.state == "running" else 0.0),
            html.Div(f"{job.stage or 'waiting'}{eta}", className="meta", style={"marginTop": 5}),
        ]
    took = duration(job.finished - job.started) if job.finished and job.started else ""
    return [html.Div(f"took {took}" if took else "", className="meta")]


def _action(job: Job) -> Any:
    if job.active:
        return dmc.Button("Cancel", id={"type": "cancel", "job": job.id}, variant="default", size="xs")
    return dcc.Link("Open", href=job.link) if job.link and job.state == "done" else html.Span()


def register(app: Dash) -> None:
    @app.callback(Output("job-table", "children"), Input("job-poll", "n_intervals"), Input("cancelled", "data"))
    def show(_: Any, __: Any):
        return table(jobs.table().all())


PAGE = Page(r"/jobs", "Jobs", layout, register)
