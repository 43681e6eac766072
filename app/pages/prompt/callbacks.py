"""What the prompt hub does: fills its panels as the readings arrive, and moves all of them with the selection."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app.components import drawn
from app.components.parts import error, stat
from app.components.polling import in_turn
from app.components.slot import waiting
from app.figures.dress import MONO, dress, tilt
from app.figures.heads import pattern_figure
from app.jobs.readings import READ, reading_key
from app.jobs.table import job_table
from app.library import prompts, recent_records
from app.pages.prompt import links, tables, trace
from app.selection import Selection, changes, chosen_head, position
from probe.heads.pattern_scores import CALLED, head_facts
from probe.lens.figures import forming_figure
from probe.lens.norm_figures import growth_figure, norm_figure
from probe.lens.token_facts import token_facts
from probe.model.unit_names import unit_name

if TYPE_CHECKING:
    import plotly.graph_objects as go

EVERY = 500  # milliseconds between questions about the readings
FEW = 16  # layers; the lens of fewer is lower than what stands beside it
BESIDE = 9  # positions; a wider lens gets the whole page, with what follows it below


def record(args: dict[str, str] | None, analysis: str) -> Any | None:
    """The reading of this page's prompt, if it is in memory."""
    return args and recent_records.known(analysis, args["model"], prompts.load(args["id"]).text)


def reading_state(args: dict[str, str]) -> Component | None:
    """Progress of the job that reads this prompt, or why it failed; nothing when all is there."""
    prompt = prompts.load(args["id"])
    job = job_table().latest(reading_key(args["model"], prompt))
    if job is None or job.state == "done":
        return None
    if job.active:
        return html.Div(waiting(job), className="ow-state", style={"padding": "14px 18px"})
    again = dcc.Link("Try again", href=f"/p/{prompt.id}?m={quote(args['model'])}&again={job.id}")
    return error(
        job.message,
        fix=again,
        heading="The prompt was not read" if job.state != "cancelled" else "Reading was cancelled",
    )


def register(app: Dash) -> None:
    drawn.register_strip(app, "strip")
    for rows in ("next", "units", "prompt-circuits"):
        drawn.register_rows(app, rows)
    drawn.register_thumbs(app, "thumbs", "head-metric")
    register_reading(app)
    register_whole(app)
    register_token(app)
    register_heads(app)
    links.register(app)
    trace.register(app)


def register_reading(app: Dash) -> None:
    @app.callback(
        Output("ready", "data"),
        Output("reading", "children"),
        Output("selection", "data", allow_duplicate=True),
        Output("reading-poll", "disabled"),
        Input("reading-poll", "n_intervals"),
        State("prompt-args", "data"),
        State("ready", "data"),
        State("selection", "data"),
        running=in_turn("reading-poll", EVERY),
        prevent_initial_call="initial_duplicate",
    )
    def follow(_: object, args: dict[str, str], ready: dict[str, bool], selection: Selection | None):
        job = job_table().latest(reading_key(args["model"], prompts.load(args["id"])))  # before what it has found
        now = {a: True for a in READ if record(args, a) is not None}
        chosen = no_update
        if (lens := record(args, "lens")) is not None and not ready.get("lens"):
            chosen = changes(selection, tables.complete(selection or {}, lens, record(args, "heads")))
        return (
            (no_update if now == ready else now),
            reading_state(args),
            chosen,
            len(now) == len(READ) or job is None or not job.active,
        )


def register_whole(app: Dash) -> None:
    """What shows the whole prompt."""

    @app.callback(
        Output("strip-data", "data"),
        Output("loss-top", "children"),
        Output("norms", "figure"),
        Input("ready", "data"),
        State("scheme", "data"),
        State("prompt-args", "data"),
    )
    def tokens(_: object, scheme: str, args: dict[str, str]):
        if (lens := record(args, "lens")) is None:
            return no_update, no_update, no_update
        data = drawn.strip_data(lens.tokens, lens.token_ids, lens.loss, label="loss", unit="nats")
        most = f"surprised ({data['hi']:.1f} nats)" if data["values"] else "surprised"
        return data, most, _over_tokens(norm_figure(lens), len(lens.tokens) > 12, scheme)

    @app.callback(
        Output("lens-figure", "figure"),
        Output("lens-figure", "style"),
        Output("lens-grid", "className"),
        Input("ready", "data"),
        Input("lens-colour", "value"),
        State("scheme", "data"),
        State("prompt-args", "data"),
    )
    def show(_: object, colour: str, scheme: str, args: dict[str, str]):
        if (lens := record(args, "lens")) is None:
            return no_update, no_update, no_update
        n, figure = len(lens.tokens), lens.figure(colour)
        wide = "100%" if n <= 26 else f"max(100%, {min(n * 16, 6000)}px)"
        style = {"height": figure.layout.height, "width": wide}
        beside = "few" if len(lens.layers) <= FEW else "two"  # a low figure leaves a hole beside what is high
        return _over_tokens(figure, n > 12, scheme), style, f"ow-grid {beside if n <= BESIDE else 'one'}"

    for figure in ("lens-figure", "norms", "pattern"):
        app.clientside_callback(
            ClientsideFunction("openwork", "hovers"), Output(figure, "data-hovers"), Input(figure, "figure")
        )
    for figure in ("lens-figure", "norms"):
        app.clientside_callback(
            ClientsideFunction("openwork", "placeChosen"), Output(figure, "data-clicked"), Input(figure, "clickData")
        )


def _over_tokens(figure: "go.Figure", slanted: bool, scheme: str) -> "go.Figure":
    """Dressed, with the tokens below it and no lines between them."""
    figure.update_xaxes(**tilt(slanted), tickfont=MONO, showgrid=False, title=None)
    figure.update_yaxes(showgrid=False)
    return dress(figure, scheme, margin={"l": 62, "r": 8, "t": 8, "b": 76 if slanted else 34})


def register_token(app: Dash) -> None:
    """What shows the selected token."""

    @app.callback(
        Output("token-facts", "children"),
        Output("next-data", "data"),
        Output("next-note", "children"),
        Output("units-data", "data"),
        Output("forming", "figure"),
        Output("growth", "figure"),
        Input("selection", "data"),
        Input("ready", "data"),
        State("scheme", "data"),
        State("prompt-args", "data"),
    )
    def selected(selection: Selection | None, _: object, scheme: str, args: dict[str, str]):
        lens, units = record(args, "lens"), record(args, "units")
        if lens is None:
            return (no_update,) * 6
        at, layer = position(selection, lens), (selection or {}).get("layer")
        facts = html.Div([stat(*fact) for fact in token_facts(lens, at)], className="ow-stats")
        of_units = no_update if units is None else tables.unit_rows(units, at, args["model"], args["id"])
        lines = {"hovermode": "x unified", "legend": {"y": 1.04, "yanchor": "bottom", "x": 0}}
        figures = [
            dress(make(lens, at), scheme, margin={"l": 50, "r": 6, "t": 30, "b": 40}, **lines)
            for make in (forming_figure, growth_figure)
        ]
        return facts, *tables.next_rows(lens, at, layer), of_units, *figures


def register_heads(app: Dash) -> None:
    @app.callback(Output("thumbs-data", "data"), Input("ready", "data"), State("prompt-args", "data"))
    def thumbs(_: object, args: dict[str, str]):
        heads = record(args, "heads")
        return no_update if heads is None else drawn.thumbs_data(heads.patterns, heads.metrics, CALLED)

    @app.callback(
        Output("pattern", "figure"),
        Output("head-facts", "children"),
        Input("selection", "data"),
        Input("ready", "data"),
        State("scheme", "data"),
        State("prompt-args", "data"),
        State("head-facts", "data-head"),
    )
    def head(selection: Selection | None, _: object, scheme: str, args: dict[str, str], shown: str | None):
        heads = record(args, "heads")
        if heads is None:
            return no_update, no_update
        layer, number = chosen_head(selection, heads)
        facts = head_facts(heads.metrics, layer, number)
        return pattern_figure(heads, layer, number, scheme), [
            html.H2(unit_name("head", layer, number), style={"fontSize": 15, "margin": "0 0 10px"}),
            html.Div([stat(*f) for f in facts], className="ow-stats pair"),
        ]
