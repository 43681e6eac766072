"""Lens: what each layer would predict, layer by position, and chosen tokens followed through the layers.

The address holds model, prompt, token, layer, `c` (colour), `q` (the followed token: final, next or an id), `v` (its quantity)
and `w` (a long prompt whole, or a window of it).
"""

from dash import Dash, dcc, html

from app import links
from app.components import drawn, snippets
from app.components.parts import Parts, graph, icon, panel, segmented, title
from app.components.promptfirst import prompt_and_model, prompt_first, register_prompt_first
from app.components.slot import slot
from app.components.tokenpick import token_pick
from app.frame.shell import Page
from app.jobs import work
from app.library.models import short_model
from app.pages.lens import callbacks
from app.pages.lens.tables import FOLLOWED, chosen_colour, chosen_follow
from app.pages.lens.work import follow_work, lens_work
from app.selection import Selection, selection_from
from probe.lens.figures import QUANTITIES

LEAD = "Write a prompt to see what each layer would predict, and to follow any token through the layers."


def layout(query: dict[str, str]) -> Parts:
    """The page of a prompt, or the box where one is written."""
    if not query.get("p"):
        return prompt_first("lens-box", links.LENS, "Logit lens", LEAD)
    prompt, model = prompt_and_model(query)
    follow = chosen_follow(query.get("q"))
    selection = {**selection_from(query), "model": model, "prompt": prompt.id, "follow": follow}
    quantity = query.get("v") if query.get("v") in QUANTITIES else "probability"
    return [
        dcc.Store(id="lens-args", data={"model": model, "id": prompt.id}),
        dcc.Store(id="selection", data=selection),
        title(
            prompt.text, eyebrow=f"Lens · {short_model(model)}", actions=ways(model, prompt.id, selection), clamp=True
        ),
        slot("lens-all", work.submit(lens_work(model, prompt))),
        tokens_panel(),
        map_panel(model, prompt.text, chosen_colour(query.get("c")), "all" if query.get("w") == "all" else "window"),
        html.Div([layers_panel(), cell_panel()], className="ow-grid two"),
        follow_panel(model, quantity, work.submit(follow_work(model, prompt, follow))),
    ]


def ways(model: str, prompt: str, selection: Selection) -> Parts:
    """To the other pages of this prompt."""
    chosen = {k: selection[k] for k in ("token", "layer", "head") if k in selection}
    places = [
        ("prompt", "Prompt", links.prompt_page(prompt, model, **chosen)),
        ("heads", "Heads", links.heads_page(model, prompt, **chosen)),
    ]
    return [dcc.Link([icon(symbol, small=True), word], href=href, className="ow-chip") for symbol, word, href in places]


def tokens_panel() -> html.Section:
    note = "Coloured by loss (nats): how much the model was surprised. Click one, or focus the strip and use the arrow keys."
    return panel("Tokens", drawn.token_strip("lens-strip"), note=note)


def map_panel(model: str, text: str, colour: str, extent: str) -> html.Section:
    """The lens at full width."""
    names = [("probability", "probability"), ("entropy", "entropy"), ("kl", "KL"), ("rank", "rank"), ("norm", "norm")]
    tools = html.Div(
        [
            html.Div(
                segmented("lens-extent", [("window", "256 tokens"), ("all", "all")], extent), id="lens-extent-box"
            ),
            segmented("lens-by", names, colour),
        ],
        className="ow-actions",
    )
    return panel(
        "Layer by position",
        graph("lens-map", 640, "Logit lens: layer by position"),
        note=html.Span(id="lens-map-note"),
        tools=tools,
        flush=True,
        foot=snippets.snippets(
            snippets.python_for(
                "logit_lens(model, {prompt})",
                model,
                text,
                f"record.figure(colour={'probability' if colour == 'norm' else colour!r})",
            ),
            snippets.shell_for("lens", model, text),
        ),
    )


def layers_panel() -> html.Section:
    """The table beside the map: the selected position, layer by layer."""
    return panel(html.Span(id="lens-rows-title"), html.Div(drawn.rows("lens-rows", 520), className="tight"), flush=True)


def cell_panel() -> html.Section:
    """The selected cell."""
    words = html.P(id="lens-cell", className="ow-edited-sentence")
    return panel(html.Span(id="lens-cell-title"), [words, drawn.rows("lens-next", 440)])


def follow_panel(model: str, quantity: str, key: str) -> html.Section:
    """One token through the layers."""
    own = html.Div(
        [
            *(
                html.Button(name, id=f"lens-own-{which}", type="button", className="lens-own")
                for which, name in FOLLOWED.items()
            ),
            token_pick("lens-pick", "follow", model, "Follow any token, by text or id"),
        ],
        className="lens-choice",
    )
    lines = html.Div(
        [html.H3(id="lens-lines-title", className="heads-h3"), graph("lens-lines", 340, "The followed token by layer")]
    )
    table = html.Div([html.H3("By layer", className="heads-h3"), drawn.rows("lens-followed", 340)], className="tight")
    body = [
        own,
        slot("lens-follow", key),
        html.Div([lines, table], className="ow-grid two"),
        html.H3(id="lens-follow-map-title", className="heads-h3"),
        graph("lens-follow-map", 560, "The followed token: layer by position"),
    ]
    return panel(
        html.Span(id="lens-follow-title"),
        body,
        note="Its probability, rank or logit at every layer, read as the model would read its last.",
        tools=segmented("lens-quantity", [(q, q) for q in QUANTITIES], quantity),
        foot=html.Div(id="lens-code"),
    )


def register(app: Dash) -> None:
    register_prompt_first(app, "lens-box", links.LENS)
    callbacks.register(app)


PAGE = Page(r"/lens", "Lens", layout, register, ("lens-map", "lens-lines", "lens-follow-map"))
