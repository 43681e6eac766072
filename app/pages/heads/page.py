"""Heads: every head of a model on a prompt by any score, and one head from both ends, following one selection.

The address holds model, prompt, token (the query), `s` (the key), head, metric and `y` (the next token that is explained).
"""

from dash import dcc, html

from app import links
from app.components import drawn
from app.components.inputs import choose
from app.components.parts import Parts, graph, icon, panel, store, title
from app.components.promptbox import prompt_and_model, prompt_first
from app.components.slot import slot
from app.frame.shell import Page
from app.jobs import work
from app.jobs.readings import patterns_work
from app.library import memory
from app.library.models import short_model
from app.library.prompts import Prompt
from app.methods.before import run_of_before
from app.methods.changing import changing
from app.methods.token_box import token_pick
from app.pages.heads import callbacks
from app.pages.heads.callbacks import CHANGE
from app.pages.heads.chosen import chosen_metric, complete
from app.pages.heads.drawing import base_of
from app.pages.heads.work import scores_work
from app.selection import Selection, selection_from
from probe.heads.scores import SCORES
from probe.interventions.change_text import OF_HEAD
from probe.model.unit_names import unit_name

LEAD = "Write a prompt to see where every attention head looks, what it moves, and what it adds to the prediction."


def layout(query: dict[str, str]) -> Parts:
    """The page of a prompt, or the box where one is written."""
    if not query.get("p"):
        return prompt_first(links.HEADS, "Attention heads", LEAD)
    prompt, model = prompt_and_model(query)
    selection = {**selection_from(query), **numbers(query), "model": model, "prompt": prompt.id}
    all_key = work.submit(patterns_work(model, prompt))
    scores_key = work.submit(scores_work(model, prompt, selection.get("target")))
    heads = memory.known("heads", model, prompt.text)
    if heads is not None:
        selection = complete(selection, heads)
    return [
        dcc.Store(id="heads-args", data={"model": model, "id": prompt.id}),
        store("heads-base", None if heads is None else base_of(heads)),
        dcc.Store(id="heads-tint"),
        dcc.Store(id="heads-hover"),
        dcc.Store(id="selection", data=selection),
        title(
            prompt.text, eyebrow=f"Heads · {short_model(model)}", actions=ways(model, prompt.id, selection), clamp=True
        ),
        *every_head(chosen_metric(query.get("metric")), all_key, scores_key, heads is not None),
        *one_head(),
        html.Div([adds(model), change(model, prompt, selection, query)], className="ow-grid even"),
        panel("Where else it is", html.Div(id="heads-elsewhere"), note="Nodes of stored circuits that are this head."),
    ]


def numbers(query: dict[str, str]) -> dict[str, int]:
    """The key position and the explained token of an address."""
    pairs = (("s", "source"), ("y", "target"))
    return {name: int(query[k]) for k, name in pairs if query.get(k, "").isdecimal() and len(query[k]) < 10}


def ways(model: str, prompt: str, selection: Selection) -> Parts:
    """To the other pages of this prompt."""
    chosen = {k: selection[k] for k in ("token", "layer", "head") if k in selection}
    places = [
        ("prompt", "Prompt", links.prompt_page(prompt, model, **chosen)),
        ("lens", "Lens", links.lens_page(model, prompt, **{k: v for k, v in chosen.items() if k != "head"})),
    ]
    return [dcc.Link([icon(symbol, small=True), word], href=href, className="ow-chip") for symbol, word, href in places]


def every_head(metric: str, all_key: str, scores_key: str, there: bool) -> Parts:
    """Thumbnails, grid and table of all heads. there: the page is laid out with their patterns."""
    scores = {name: words[0] for name, words in SCORES.items()}
    choice = choose("heads-metric", scores, metric, "Score that colours the heads", w=170)
    thumbs = panel(
        "Every head",
        [slot("heads-all", all_key, shown=there), drawn.thumbs("heads-thumbs"), slot("heads-scores", scores_key)],
        note=html.Span(id="heads-metric-note"),
        tools=html.Div([html.Span("by", className="ow-partial"), choice], className="ow-actions"),
        foot=html.Div(id="heads-code-all"),
    )
    grid = panel("By layer and head", graph("heads-grid", 360, "Heads by one score"), flush=True)
    table = panel("As a table", html.Div(drawn.rows("heads-table", 356), className="tight"), flush=True)
    return [thumbs, html.Div([grid, table], className="ow-grid heads-both")]


def one_head() -> Parts:
    """The selected head."""
    beside = [
        html.Div(id="heads-facts", className="ow-stats heads-facts"),
        html.Div(id="heads-at-attended", className="tight"),
    ]
    pattern = graph("heads-pattern", 600, "Attention pattern of the selected head, with margins")
    look = panel(
        html.Span(id="heads-name"),
        html.Div([pattern, html.Div(beside)], className="ow-grid two"),
        note="Each row is a query and sums to 1. Above, what a key receives on average; beside, how spread a query's look is. "
        "Click a cell; Shift and the arrow keys go to a neighbouring head.",
        foot=html.Div(id="heads-code-one"),
    )
    moves = panel(
        "What it moves (OV)",
        [slot("heads-one"), _pair("heads-at-here", "heads-at-word")],
        note="Tokens whose logits rise and fall when the head attends to the selected key.",
    )
    prefers = panel(
        "What its weights prefer (QK), and its strongest directions",
        _pair("heads-at-qk", "heads-at-directions"),
        note="From embeddings and weights alone, at equal positions: no rotation, no prompt.",
    )
    return [look, strips(), html.Div([moves, prefers], className="heads-stack")]


def _pair(*names: str) -> html.Div:
    return html.Div([html.Div(id=name) for name in names], className="ow-grid even")


def strips() -> html.Section:
    """Both directions of attention, token by token."""
    body = [
        part
        for name in ("keys", "queries")
        for part in (html.H3(id=f"heads-{name}-title", className="heads-h3"), drawn.token_strip(f"heads-{name}"))
    ]
    note = "Hover a token: above, what it looks at; below, who looks at it. Click above to choose a key, below a query."
    return panel("Token by token", body, note=note)


def adds(model: str) -> html.Section:
    """Its share of the logit, among the other parts."""
    another = html.Details(
        [html.Summary("Explain another next token"), token_pick("target", model)], className="heads-more"
    )
    return panel(
        "What it adds to the prediction",
        [html.Div(id="heads-at-direct"), another],
        note="Directly: along the stream to the logits, divisors held, minus the mean logit.",
    )


def change(model: str, prompt: Prompt, selection: Selection, query: dict[str, str]) -> html.Div:
    """What happens when the head is taken away, or changed otherwise."""
    layer, _, head = str(selection.get("head") or "0.0").partition(".")
    name = unit_name("head", int(layer), int(head))
    asked = {"prompt": prompt.text, "pos": selection.get("token", -1), "changes": [f"ablate:{name}"]}
    block = [changing(CHANGE.at, name, OF_HEAD), CHANGE.layout(model, asked, query), *run_of_before(query.get("edit"))]
    return html.Div(block, id="heads-change", className="ow-stack")


PAGE = Page(r"/heads", "Heads", layout, callbacks.register, ("heads-grid", "heads-pattern"))
