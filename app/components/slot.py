"""A slot: the place on a page where model work is waited for. See `app.jobs.work`.

Lay out `slot("ablate")`, call `register_slot(app, "ablate")` once, let a callback put a key (what `work.submit` returns) into
the store `ablate-key`, and listen to the store `ablate-done`: it gets the key when `work.result(key)` is in memory. The
page may be laid out with a key already in it. A name may be a pattern: then one registering is enough for many slots.

A page that looked for the result itself says with `shown` whether it drew it: work may end between that look and the slot's.
"""

import copy

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html, no_update
from dash.development.base_component import Component

from app.components.parts import Name, Part, error, meter, part_of, store
from app.components.polling import in_turn, poll
from app.jobs import work
from app.jobs.table import Job, job_table
from app.links import local
from probe.words import counted, duration

_EVERY = 350  # milliseconds


def slot(name: Name, key: str | None = None, shown: bool = True) -> html.Div:
    """Progress while it runs, the reason when it fails; nothing otherwise. shown: False where the page is laid out
    without the result; one that came since is told with the first tick, as what is laid out calls nothing."""
    state, done, over = _look(key)
    if done and not shown:
        done, over = None, False
    return html.Div(
        [
            store(part_of(name, "key"), key),
            store(part_of(name, "done"), done),
            poll(part_of(name, "tick"), _EVERY, disabled=over),
            html.Div(state, id=part_of(name, "state"), className="ow-slot"),
        ],
        className="ow-slot-box",
    )


def register_slot(app: Dash, name: Name) -> None:
    """What keeps a slot up to date. Nothing is asked when a page is laid out: the layout knows what there is."""

    @app.callback(
        Output(part_of(name, "state"), "children"),
        Output(part_of(name, "done"), "data"),
        Output(part_of(name, "tick"), "disabled"),
        Input(part_of(name, "key"), "data"),
        Input(part_of(name, "tick"), "n_intervals"),
        running=in_turn(part_of(name, "tick"), _EVERY),
        prevent_initial_call=True,
    )
    def follow(key: str | None, _: object):
        state, done, over = _look(key)
        return state, done or no_update, over


def _look(key: str | None) -> tuple[Part, str | None, bool]:
    """What a slot shows, the key if its result is there, and whether there is nothing more to wait for."""
    if not key:
        return None, None, True
    # before the result, and a copy, since jobs change: one that ends in between is asked again, not called lost
    job = copy.copy(job_table().latest(key))
    if work.result(key) is not None:
        return None, key, True
    return waiting(job), None, not (job and job.active)


def waiting(job: Job | None, linked: bool = False) -> Component:
    """How far a job is, with its cancel button, or why there is no result. linked: its title leads to its page."""
    if job is None or job.state == "done":
        return error("Its result is not kept any more; run it again.", heading="Not kept")
    if not job.active:
        return error(job.message, heading="Cancelled" if job.state == "cancelled" else "This was not finished")
    name = dcc.Link(job.title, href=job.link) if linked and local(job.link) else job.title
    words = html.Span([name, f": {job.message or how_far(job)}"], className="ow-partial", dir="auto")
    far = meter(job.share if job.state == "running" else 0.0)
    return html.Div([html.Div([words, cancel(job)], className="ow-slot-line"), far], className="ow-slot")


def cancel(job: Job) -> dmc.Button:
    """The button that stops an active job."""
    return dmc.Button("Cancel", id={"type": "cancel", "job": job.id}, variant="default", size="compact-xs")


def again_button(job: Job) -> dmc.Button:
    """The button that starts an ended job anew, or goes on with one that keeps what it had."""
    words = "Go on" if job.again and job.again[0] == "demo" else "Run again"
    return dmc.Button(words, id={"type": "again", "job": job.id}, variant="default", size="compact-xs")


def how_far(job: Job) -> str:
    """`interventions 40 %, about 40 s left`; of one that waits, for what."""
    if job.state == "queued":
        return waits_for(job)
    part = f" {100 * job.share:.0f} %" if job.share is not None else ""
    left = f", about {duration(job.left)} left" if job.left else ""
    return f"{job.stage or 'starting'}{part}{left}"


def waits_for(job: Job) -> str:
    """What a queued job waits for: the work that is before it, by name; nothing, where nothing is."""
    before = job_table().ahead(job)
    if not before:
        return "about to begin"
    more = f" and {counted(len(before) - 1, 'other job')}" if len(before) > 1 else ""
    return f"waits for “{before[0].title}”{more}"
