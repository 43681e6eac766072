"""The panels of the prompt hub, each with what makes it again in Python and in the shell."""

from dash import html
from dash.development.base_component import Component

from app.components import drawn, snippets
from app.components.parts import Parts, graph, panel, segmented
from app.library.artifacts import read_by
from probe.heads.pattern_scores import CALLED
from probe.lens.places import COLOURS

AXES = {"data-axes": "token layer"}
"""What a click on a figure selects, across and up."""


def panels(model: str, text: str) -> Parts:
    """The readings of the hub, from the tokens to the units."""
    beside = html.Div([lens_panel(model, text), next_panel(model, text)], className="ow-grid two", id="lens-grid")
    return [
        tokens_panel(model, text),
        beside,
        norms_panel(model, text),
        heads_panel(model, text),
        units_panel(model, text),
    ]


def lens_code(model: str, text: str, show: str = "record.figure()") -> Component:
    """The logit lens in both languages; tokens, loss and next tokens are parts of the same record."""
    return snippets.of_call("logit-lens", model, show, prompt=text)


def tokens_panel(model: str, text: str) -> Component:
    """The prompt as tokens, coloured by loss, and what is known of the selected one."""
    legend = html.Span(
        ["certain", html.Span(className="ramp"), html.Span("surprised", id="loss-top")], className="ow-legend"
    )
    return panel(
        "Tokens",
        [drawn.token_strip("strip"), html.Div(id="token-facts", style={"marginTop": 14})],
        note="Coloured by how much the model was surprised (loss, nats). Click one to follow it through every panel.",
        tools=legend,
        foot=lens_code(model, text, "list(zip(record.tokens, record.loss))"),
    )


def lens_panel(model: str, text: str) -> Component:
    """Layer by position."""
    quantities = [(one, "KL" if one == "kl" else one) for one in COLOURS]
    return panel(
        "Logit lens",
        html.Div(graph("lens-figure", 300, "Logit lens: layer by position"), className="ow-scroll", **AXES),
        note="What each layer would predict next if the model stopped there.",
        tools=segmented("lens-colour", quantities, "probability"),
        flush=True,
        foot=lens_code(model, text),
    )


def next_panel(model: str, text: str) -> Component:
    """The likeliest next tokens, and how the prediction forms."""
    forming = html.Div(
        [
            html.H2("How it forms", style={"marginTop": 16}),
            html.P("Distance from the final prediction, and uncertainty, by layer.", className="ow-sub"),
            graph("forming", 230, "Entropy and KL by layer"),
        ]
    )
    return panel(
        "Next token",
        html.Div([drawn.rows("next"), forming], className="ow-following"),
        note=html.Span(id="next-note"),
        foot=lens_code(model, text, "record.next_tokens(-1)"),
    )


def norms_panel(model: str, text: str) -> Component:
    """How long the residual stream is."""
    return panel(
        "Residual stream",
        html.Div(
            [
                html.Div(
                    graph("norms", 260, "Norm of the residual stream: layer by position"), className="ow-scroll", **AXES
                ),
                graph("growth", 260, "Norm of the residual stream by layer at the selected token"),
            ],
            className="ow-grid two",
        ),
        note="Its length after each layer, on a logarithmic scale. The first token's is often far beyond the others'.",
        flush=True,
        foot=lens_code(model, text, "ow.norm_figure(record)"),
    )


def patterns_in_python(model: str, text: str) -> str:
    """The same patterns in Python."""
    lines = f"model = load_model({model!r})\nrecord = head_patterns(model, {text!r})\nrecord.figure(layer=0, head=0)"
    return snippets.python(lines, probe=["load_model", "head_patterns"])


def heads_panel(model: str, text: str) -> Component:
    """Every head's pattern small, the selected one large."""
    scores = ("previous_token", "first_token", "self", "induction")
    large = [graph("pattern", 410, "Attention pattern of the selected head"), html.Div(id="head-facts")]
    return panel(
        "Attention heads",
        [drawn.thumbs("thumbs"), html.Div(large, className="ow-grid two", style={"marginTop": 18})],
        note="From each token (down) to those it attends to (across). Dim by a score to find a kind of head; click one.",
        tools=segmented("head-metric", [("none", "patterns"), *((k, CALLED[k]) for k in scores)], "none"),
        foot=snippets.snippets(
            patterns_in_python(model, text), snippets.shell_line("heads", "--prompt", text, "--model", model)
        ),
    )


def units_panel(model: str, text: str) -> Component:
    """Neurons and latents at the selected token."""
    learned = read_by(model)
    return panel(
        "Strongest units at the selected token",
        drawn.rows("units", 460),
        note=html.Span(
            "MLP neurons, and latents of stored dictionaries, that write most to the residual stream. Click one for its page.",
            id="units-note",
        ),
        foot=snippets.of_call("strongest-units", model, "record.at(-1)", prompt=text, dictionaries=learned),
    )
