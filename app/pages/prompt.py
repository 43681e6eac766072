"""The prompt hub: one prompt seen through tokens, lens, heads and units, all following one selection."""

from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import dcc, html

from app import prompts
from app.components import drawn, snippets
from app.components.parts import graph, icon, panel, segmented, title
from app.components.promptbox import check_model_name
from app.library import library, newest_dictionaries, short_model
from app.pages.prompt_callbacks import METRICS, register
from app.selection import selection_from
from app.shell import Page
from app.tasks import start_reading


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
        dcc.Store(id="selection", data={**selection_from(query), "model": model, "prompt": identity}),
        title(
            prompt.text,
            eyebrow=f"Prompt · {short_model(model)}",
            actions=[*circuits_of(model, prompt.text), trace],
            clamp=True,
        ),
        html.Div(id="reading"),
        html.Div(panels(model, prompt.text), style={"display": "grid", "gap": 18}),
    ]


def circuits_of(model: str, text: str) -> list[Any]:
    """A button to the newest stored graph of this prompt, if there is one."""
    for folder, manifest in library().kinds["graph"]:
        if manifest.facts.get("prompt") == text and manifest.model and manifest.model.name == model:
            return [dcc.Link(dmc.Button("Open its circuit", variant="default"), href=f"/circuits/{quote(folder.name)}")]
    return []


def panels(model: str, text: str) -> list[Any]:
    """The four readings of the hub."""
    legend = html.Span(
        ["certain", html.Span(className="ramp"), html.Span("surprised", id="loss-top")], className="ow-legend"
    )
    tokens = panel(
        "Tokens",
        [drawn.token_strip("strip"), html.Div(id="token-facts", style={"marginTop": 14})],
        note="Coloured by how much the model was surprised (loss, nats). Click one to follow it through every panel.",
        tools=legend,
    )
    colour = segmented(
        "lens-colour",
        [("probability", "probability"), ("entropy", "entropy"), ("kl", "KL"), ("rank", "rank")],
        "probability",
    )
    lens = panel(
        "Logit lens",
        html.Div(graph("lens-figure", 300, "Logit lens: layer by position"), className="ow-scroll"),
        note="What each layer would predict next if the model stopped there.",
        tools=colour,
        flush=True,
        foot=snippets.snippets(
            snippets.python_for("logit_lens(model, {prompt})", "probe.lens", model, text, "record.figure()"),
            snippets.shell_for("lens", model, text),
        ),
    )
    forming = html.Div(
        [
            html.H2("How it forms", style={"marginTop": 16}),
            html.P("Distance from the final prediction, and uncertainty, by layer.", className="ow-sub"),
            graph("forming", 230, "Entropy and KL by layer"),
        ]
    )
    following = panel(
        "Next token", html.Div([drawn.rows("next"), forming], className="ow-following"), note=html.Span(id="next-note")
    )
    tint = segmented(
        "head-metric",
        [("none", "patterns"), *((k, METRICS[k]) for k in ("previous_token", "first_token", "self", "induction"))],
        "none",
    )
    heads = panel(
        "Attention heads",
        [
            drawn.thumbs("thumbs"),
            html.Div(
                [graph("pattern", 410, "Attention pattern of the selected head"), html.Div(id="head-facts")],
                className="ow-grid two",
                style={"marginTop": 18},
            ),
        ],
        note="From each token (down) to those it attends to (across). Dim by a score to find a kind of head; click one.",
        tools=tint,
        foot=snippets.snippets(
            snippets.python_for(
                "head_patterns(model, {prompt})", "probe.heads", model, text, "record.figure(layer=0, head=0)"
            ),
        ),
    )
    learned = [folder.name for folder in newest_dictionaries(lambda m: m.name == model)]
    units = panel(
        "Strongest units at the selected token",
        drawn.rows("units", 460),
        note=html.Span(
            "MLP neurons, and latents of stored dictionaries, that write most to the residual stream.", id="units-note"
        ),
        foot=snippets.snippets(
            snippets.python_for(
                "top_units(model, {prompt}, {dictionaries})" if learned else "top_units(model, {prompt})",
                "probe.neurons",
                model,
                text,
                "record.at(-1)",
                learned,
            ),
        ),
    )
    return [tokens, html.Div([lens, following], className="ow-grid two", id="lens-grid"), heads, units]


PAGE = Page(r"/p/(?P<identity>[^/]+)", "Prompt", layout, register, ("lens-figure", "forming", "pattern"))
