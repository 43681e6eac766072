"""A slot: the place on a page where model work is waited for. See `app.work`.

Lay out `slot("ablate")`, call `register_slot(app, "ablate")` once, let a callback put a key (what `work.submit` returns) into
the store `ablate-key`, and listen to the store `ablate-done`: it gets the key when `work.result(key)` is in memory. The
page may be laid out with a key already in it.
"""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html, no_update

from app import jobs, work
from app.components.parts import duration, error, meter, store
from app.jobs import Job


def slot(name: str, key: str | None = None) -> html.Div:
    """Progress while it runs, the reason when it fails; nothing otherwise."""
    state, done, over = _look(key)
    return html.Div(
        [
            store(f"{name}-key", key),
            store(f"{name}-done", done),
            dcc.Interval(id=f"{name}-tick", interval=350, disabled=over),
            html.Div(state, id=f"{name}-state", className="ow-slot"),
        ],
        className="ow-slot-box",
    )


def register_slot(app: Dash, name: str) -> None:
    """What keeps a slot up to date. Nothing is asked when a page is laid out: the layout knows what there is."""

    @app.callback(
        Output(f"{name}-state", "children"),
        Output(f"{name}-done", "data"),
        Output(f"{name}-tick", "disabled"),
        Input(f"{name}-key", "data"),
        Input(f"{name}-tick", "n_intervals"),
        prevent_initial_call=True,
    )
    def follow(key: str | None, _: Any):
        state, done, over = _look(key)
        return state, done or no_update, over


def _look(key: str | None) -> tuple[Any, str | None, bool]:
    """What a slot shows, the key if its result is there, and whether there is nothing more to wait for."""
    if not key:
        return None, None, True
    job = jobs.table().latest(key)  # before the result: a job that ends in between is asked again, not called lost
    if work.result(key) is not None:
        return None, key, True
    return waiting(job), None, not (job and job.active)


def waiting(job: Job | None) -> Any:
    """How far a job is, with its cancel button, or why there is no result."""
    if job is None or job.state == "done":
        return error("Its result is no longer in memory; run it again.", heading="Not kept")
    if not job.active:
        return error(job.message, heading="Cancelled" if job.state == "cancelled" else "This was not finished")
    eta = f", about {duration(job.eta)} left" if job.eta else ""
    words = "Waiting for other work" if job.state == "queued" else f"{job.title}: {job.stage or 'starting'}{eta}"
    button = dmc.Button("Cancel", id={"type": "cancel", "job": job.id}, variant="default", size="compact-xs")
    return html.Div(
        [html.Div([html.Span(words, className="ow-partial"), button], className="ow-slot-line"), meter(job.share)]
    )
