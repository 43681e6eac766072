"""What the header says of models and jobs."""

from dash import dcc, html

from app.jobs.table import job_table
from app.library import models
from probe.artifacts.json import Json


def job_status() -> Json:
    """What every page needs to know of the jobs: those active, and a mark that changes when one ends."""
    table = job_table()
    every = table.all()
    active = [
        {
            "id": j.id,
            "key": j.key,
            "title": j.title,
            "state": j.state,
            "stage": j.stage,
            "share": j.share,
            "eta": j.eta and round(j.eta),
        }
        for j in every
        if j.active
    ]
    ended = [f"{j.id}:{j.state}" for j in every if not j.active]
    return {"active": active, "ended": len(ended), "last": max(ended, default=""), "models": models.loaded()}


def model_chip(now: Json) -> html.Span:
    """The models in memory, the one used last first."""
    names = now["models"][::-1]
    words = [html.B(", ".join(names)), " in memory"] if names else ["no model in memory"]
    return html.Span(
        [html.Span(className="ow-dot on" if names else "ow-dot"), html.Span(words, className="words")],
        className="ow-chip",
        title="A model is loaded when a page first needs it",
    )


def job_chip(now: Json) -> dcc.Link | None:
    """What runs, how far it is, and how many wait; it leads to the table."""
    active = now["active"]
    if not active:
        return None
    running = next((j for j in active if j["state"] == "running"), active[0])
    part = f"{100 * running['share']:.0f} %" if running["share"] else running["state"]
    more = f", {len(active) - 1} more" if len(active) > 1 else ""
    words = [html.B(running["title"], className="words ow-wide"), html.Span(f"{part}{more}")]
    return dcc.Link(
        [html.Span(className="ow-dot busy"), *words],
        href="/jobs",
        className="ow-chip",
        title=f"{running['title']}: {running['stage'] or running['state']}",
    )
