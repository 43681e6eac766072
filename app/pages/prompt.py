"""The prompt hub: one prompt seen through tokens, lens, heads and units, all following one selection."""

import hashlib
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from app import analyses, jobs, prompts
from app.components import drawn, snippets
from app.components.parts import duration, error, graph, icon, loading, meter, panel, segmented, stat, title
from app.components.promptbox import check_model_name
from app.figures import forming_figure, lens_figure, lens_height, pattern_figure
from app.pages import prompt_tables as tables
from app.shell import Page
from probe.errors import OpenworkError

METRICS = {"previous_token": "previous token", "first_token": "first token", "self": "itself", "induction": "induction", "entropy": "entropy"}


def layout(identity: str, query: dict[str, str]) -> list[Any]:
    """Panels with skeletons; the callbacks below fill them as the readings arrive."""
    prompt = prompts.load(identity)
    model = query.get("m") or prompt.model
    check_model_name(model)
    start_reading(model, prompt)
    args = {"id": identity, "model": model}
    trace = dmc.Button("Trace this prompt", id="trace", leftSection=icon("circuit", small=True))
    return [
        dcc.Store(id="prompt-args", data=args),
        dcc.Store(id="ready", data={}),
        dcc.Interval(id="reading-poll", interval=500),
        dcc.Store(id="selection", data=selection_from(query)),
        title(prompt.text, eyebrow=f"Prompt · {model}", actions=[trace], clamp=True),
        html.Div(id="reading"),
        html.Div(panels(model, prompt.text), style={"display": "grid", "gap": 18}),
    ]


def selection_from(query: dict[str, str]) -> dict[str, Any]:
    """Token, layer and head of an address; whatever is malformed is left out."""
    chosen: dict[str, Any] = {}
    for short, name in (("t", "token"), ("l", "layer"), ("n", "node")):
        if query.get(short, "").isdigit():
            chosen[name] = int(query[short])
    layer, _, head = query.get("h", "").partition(".")
    if layer.isdigit() and head.isdigit():
        chosen["head"] = f"{int(layer)}.{int(head)}"
    return chosen


def panels(model: str, text: str) -> list[Any]:
    """The four readings of the hub."""
    legend = html.Span(["certain", html.Span(className="ramp"), html.Span("surprised", id="loss-top")], className="ow-legend")
    tokens = panel("Tokens", [drawn.strip("strip"), html.Div(id="token-facts", style={"marginTop": 14})], note="Coloured by how much the model was surprised (loss, nats). Click one to follow it through every panel.", tools=legend)
    colour = segmented("lens-colour", [("probability", "probability"), ("entropy", "entropy"), ("kl", "KL"), ("rank", "rank")], "probability")
    lens = panel(
        "Logit lens", html.Div(graph("lens-figure", 300, "Logit lens: layer by position"), className="ow-scroll"), note="What each layer would predict next if the model stopped there.", tools=colour, flush=True,
        foot=snippets.snippets(snippets.python_for("logit_lens(model, {prompt})", "probe.lens", model, text, "record.figure()"), snippets.shell_for("lens", model, text)),
    )
    forming = html.Div([html.H2("How it forms", style={"marginTop": 18}), html.P("Distance from the final prediction, and uncertainty, by layer.", className="ow-sub"), graph("forming", 210, "Entropy and KL by layer")])
    following = panel("Next token", [drawn.rows("next"), forming], note=html.Span(id="next-note"))
    tint = segmented("head-metric", [("none", "patterns"), *((k, METRICS[k]) for k in ("previous_token", "first_token", "self", "induction"))], "none")
    heads = panel(
        "Attention heads", [drawn.thumbs("thumbs"), html.Div([graph("pattern", 410, "Attention pattern of the selected head"), html.Div(id="head-facts")], className="ow-grid two", style={"marginTop": 18})],
        note="Every head's pattern, from each token (down) to those it attends to (across). Dim by a score to find a kind of head; click one to enlarge it.", tools=tint,
        foot=snippets.snippets(snippets.python_for("head_patterns(model, {prompt})", "probe.heads", model, text, "record.figure(layer=0, head=0)"), snippets.shell_for("lens", model, text)),
    )
    units = panel(
        "Strongest units at the selected token", drawn.rows("units", 460), note=html.Span("MLP neurons, and latents of stored dictionaries, that write most to the residual stream.", id="units-note"),
        foot=snippets.snippets(snippets.python_for("top_units(model, {prompt})", "probe.neurons", model, text, "record.at(-1)"), snippets.shell_for("trace", model, text)),
    )
    return [tokens, html.Div([lens, following], className="ow-grid two"), heads, units]


def key(model: str, prompt: prompts.Prompt) -> str:
    return f"read:{model}:{prompt.id}"


def start_reading(model: str, prompt: prompts.Prompt) -> None:
    """Queue the readings unless they are in memory."""
    if any(analyses.known(a, model, prompt.text) is None for a in analyses.READINGS):
        text = prompt.text
        jobs.table().submit("read", f"Read “{text[:40].strip()}{'…' if len(text) > 40 else ''}”", lambda p: analyses.read_prompt(model, text, p), key=key(model, prompt), link=f"/p/{prompt.id}?m={model}")


def record(args: dict[str, str] | None, analysis: str) -> Any | None:
    """The reading of this page's prompt, if it is in memory."""
    return args and analyses.known(analysis, args["model"], prompts.load(args["id"]).text)


def reading_state(args: dict[str, str]) -> Any:
    """Progress of the job that reads this prompt, or why it failed; nothing when all is there."""
    prompt = prompts.load(args["id"])
    job = jobs.table().latest(key(args["model"], prompt))
    if job is None or job.state == "done":
        return None
    if job.active:
        eta = f", about {duration(job.eta)} left" if job.eta else ""
        words = "Waiting for other work" if job.state == "queued" else f"Reading: {job.stage or 'starting'}{eta}"
        return html.Div([html.Div(words, className="ow-partial", style={"marginBottom": 6}), meter(job.share)], className="ow-state", style={"padding": "14px 18px"})
    again = dcc.Link("Try again", href=f"/p/{prompt.id}?m={args['model']}&again={job.id}")
    return error(job.message, fix=again, heading="The prompt was not read" if job.state != "cancelled" else "Reading was cancelled")


def register(app: Dash) -> None:
    for strip in ("strip",):
        drawn.register_strip(app, strip)
    for rows in ("next", "units"):
        drawn.register_rows(app, rows)
    drawn.register_thumbs(app, "thumbs", "head-metric")
    register_reading(app)
    register_tokens(app)
    register_lens(app)
    register_heads(app)
    register_trace(app)


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
        prevent_initial_call="initial_duplicate",
    )
    def follow(_: Any, args: dict[str, str], ready: dict[str, bool], selection: dict[str, Any] | None):
        now = {a: True for a in analyses.READINGS if record(args, a) is not None}
        chosen = no_update
        if (lens := record(args, "lens")) is not None and not ready.get("lens"):
            chosen = tables.complete(selection or {}, lens, record(args, "heads"))
        job = jobs.table().latest(key(args["model"], prompts.load(args["id"])))
        return (no_update if now == ready else now), reading_state(args), chosen, len(now) == len(analyses.READINGS) or job is None or not job.active


def register_tokens(app: Dash) -> None:
    @app.callback(Output("strip-data", "data"), Output("loss-top", "children"), Input("ready", "data"), State("prompt-args", "data"))
    def tokens(_: Any, args: dict[str, str]):
        if (lens := record(args, "lens")) is None:
            return no_update, no_update
        data = drawn.strip_data(lens.tokens, lens.token_ids, lens.loss, label="loss", unit="nats")
        return data, f"surprised ({data['hi']:.1f} nats)" if data["values"] else "surprised"

    @app.callback(Output("token-facts", "children"), Output("next-data", "data"), Output("next-note", "children"), Output("units-data", "data"), Input("selection", "data"), Input("ready", "data"), State("prompt-args", "data"))
    def selected(selection: dict[str, Any] | None, _: Any, args: dict[str, str]):
        lens, units = record(args, "lens"), record(args, "units")
        if lens is None:
            return no_update, no_update, no_update, no_update
        at, layer = tables.position(selection, lens), (selection or {}).get("layer")
        facts = html.Div([stat(*fact) for fact in tables.token_facts(lens, at)], className="ow-stats")
        data, note = tables.next_rows(lens, at, layer)
        return facts, data, note, tables.unit_rows(units, at) if units is not None else no_update


def register_lens(app: Dash) -> None:
    @app.callback(Output("forming", "figure"), Input("selection", "data"), Input("ready", "data"), State("scheme", "data"), State("prompt-args", "data"))
    def forming(selection: dict[str, Any] | None, _: Any, scheme: str, args: dict[str, str]):
        lens = record(args, "lens")
        return no_update if lens is None else forming_figure(lens, tables.position(selection, lens), scheme)

    @app.callback(Output("lens-figure", "figure"), Output("lens-figure", "style"), Input("ready", "data"), Input("lens-colour", "value"), State("scheme", "data"), State("prompt-args", "data"))
    def show(_: Any, colour: str, scheme: str, args: dict[str, str]):
        if (lens := record(args, "lens")) is None:
            return no_update, no_update
        n = len(lens.tokens)
        style = {"height": lens_height(len(lens.layers), n), "width": "100%" if n <= 26 else f"max(100%, {min(n * 16, 6000)}px)"}
        return lens_figure(lens, colour, scheme), style

    app.clientside_callback(ClientsideFunction("openwork", "redrawn"), Output("lens-figure", "data-marked"), Input("lens-figure", "figure"))

    @app.callback(Output("selection", "data", allow_duplicate=True), Input("lens-figure", "clickData"), State("selection", "data"), prevent_initial_call=True)
    def click(data: dict[str, Any] | None, selection: dict[str, Any] | None):
        if not data:
            return no_update
        point = data["points"][0]
        return {**(selection or {}), "token": int(point["x"]), "layer": int(point["y"])}


def register_heads(app: Dash) -> None:
    @app.callback(Output("thumbs-data", "data"), Input("ready", "data"), State("prompt-args", "data"))
    def thumbs(_: Any, args: dict[str, str]):
        heads = record(args, "heads")
        return no_update if heads is None else drawn.thumbs_data(heads.patterns, heads.metrics, METRICS)

    @app.callback(Output("pattern", "figure"), Output("head-facts", "children"), Input("selection", "data"), Input("ready", "data"), State("scheme", "data"), State("prompt-args", "data"), State("head-facts", "data-head"))
    def head(selection: dict[str, Any] | None, _: Any, scheme: str, args: dict[str, str], shown: str | None):
        heads = record(args, "heads")
        if heads is None:
            return no_update, no_update
        layer, number = tables.chosen_head(selection, heads)
        facts = tables.head_facts(heads, layer, number, METRICS)
        return pattern_figure(heads, layer, number, scheme), [html.H2(f"L{layer}H{number}", style={"fontSize": 15, "margin": "0 0 10px"}), html.Div([stat(*f) for f in facts], className="ow-stats pair")]


def register_trace(app: Dash) -> None:
    @app.callback(Output("url", "href", allow_duplicate=True), Input("trace", "n_clicks"), State("prompt-args", "data"), prevent_initial_call=True)
    def trace(clicks: int | None, args: dict[str, str]):
        if not clicks:
            return no_update
        return start_trace(args["model"], prompts.load(args["id"]).text)


def start_trace(model: str, text: str) -> str:
    """Queue a trace and return the page that shows it."""
    name = f"{''.join(c if c.isalnum() else '-' for c in text[:32].lower()).strip('-') or 'prompt'}-{hashlib.sha256(f'{model}:{text}'.encode()).hexdigest()[:8]}"
    link = f"/circuits/{name}"
    jobs.table().submit("trace", f"Trace “{text[:40].strip()}{'…' if len(text) > 40 else ''}”", lambda p: _trace(model, text, name, p), key=f"trace:{name}", link=link)
    return link


def _trace(model: str, text: str, name: str, progress: Any) -> str:
    analyses.trace(model, text, save=name, progress=progress)
    return f"/circuits/{name}"


PAGE = Page(r"/p/(?P<identity>[^/]+)", "Prompt", layout, register)
__all__ = ["PAGE", "OpenworkError", "loading"]
