"""The bundled demo, begun with one click: progress while it runs, its circuit when it is done, going on after interruptions."""

import time

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app.components.parts import Parts, copyable, icon, panel
from app.components.slot import again_button, waiting
from app.jobs import demo
from app.jobs.demo import DEMOS
from app.jobs.table import Job, job_table

_FRESH = 3600  # seconds for which a finished demo is still announced


_OFFERED = (
    (
        "demo",
        "SmolLM2-135M",
        "Make the demo",
        "Reads a prompt, harvests activations at an early layer of a small language model, trains a transcoder on them, "
        "judges it and traces a circuit through it. Some minutes; it can be cancelled, and goes on where it stopped.",
    ),
    (
        "toy-demo",
        "Toy model",
        "Make the small one",
        "The same steps on a model with random weights: seconds, and nothing to learn from but the pages.",
    ),
)
"""Each demo: its name, its model, the words of its button, what it does and takes."""


def offered(empty_home: bool) -> Component | None:
    """The panel: on an empty home the two demos, otherwise what became of one that was started; None when there is none."""
    latest = [j for name in DEMOS if (j := job_table().latest(f"demo:{name}")) is not None]
    body = [state(job) for job in latest if job.state != "done" or time.time() - (job.finished or 0) < _FRESH]
    if empty_home and not any(job.active for job in latest):
        body.append(html.Div([_choice(*one) for one in _OFFERED], className="ow-grid even"))
    note = "A prompt, its lens, its heads, a trained transcoder with its evaluation, and a circuit through it"
    return panel("The bundled demo", body, note=note, export=False) if body else None


def _choice(name: str, model: str, words: str, sentence: str) -> html.Div:
    """What a demo is and takes, its button, and the same in the shell where there is a command."""
    first = name == "demo"
    look = {"variant": "filled" if first else "default", "leftSection": icon("play", small=True)}
    button = dmc.Button(words, id={"type": "demo", "name": name}, **look)
    shell = [html.Span("or in the shell", className="ow-partial"), copyable("openwork demo")] if first else []
    ways = html.Div([button, *shell], className="ow-actions")
    return html.Div([html.H3(model), html.P(sentence), ways], className="ow-demo")


def state(job: Job) -> Component:
    """Where a demo stands, and what one can do about it."""
    if job.active:
        return waiting(job)
    if job.state == "done":
        parts: Parts = [html.Span(f"{job.title} is finished."), dcc.Link("Open its circuit", href=job.link)]
    else:
        said = f"{job.title} {'' if job.state == 'failed' else 'was '}{job.state}. {job.message}"
        parts = [html.Span(said, className="ow-partial", role="status"), again_button(job)]
    return html.Div(parts, className="ow-actions ow-slot")


def register(app: Dash) -> None:
    @app.callback(
        Output("cancelled", "data", allow_duplicate=True),
        Input({"type": "demo", "name": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def begin(clicks: list[int | None]):
        if not any(clicks) or not ctx.triggered_id:
            return no_update
        return demo.start_demo(ctx.triggered_id["name"]).id
