"""The canvas of all patterns on the heads page, coloured by a score: first from the patterns alone, then by every score."""

from typing import TYPE_CHECKING

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from app.components import drawn
from app.components.drawn import Drawn
from app.components.inputs import choose
from app.components.parts import panel, part_of, store
from app.jobs import work
from app.library import prompts, recent_records
from app.methods import result_view
from app.methods.drawing import TURN
from app.pages.heads.work import FIRST, scores_work
from app.selection import SHOWN, Selection, position
from probe.heads.scores import AT_TOKEN, SCORES, HeadTable, put_together

if TYPE_CHECKING:
    from probe.heads.patterns import HeadPatterns

METRIC = {"type": TURN, "at": "heads", "option": "metric"}
"""The choice of the score, which is an option of the selection; the grid of heads has the same."""


def every_head(metric: str, heads: "HeadPatterns | None") -> html.Section:
    """All heads. heads: their patterns, where they are there."""
    choice = choose(
        METRIC, {n: words for n, (words, _) in SCORES.items()}, metric, "Score that colours the heads", w=170
    )
    stores = [store("heads-base", None if heads is None else base_of(heads)), dcc.Store(id="heads-tint")]
    return panel(
        "Every head",
        [*stores, drawn.thumbs("heads-thumbs")],
        note=html.Span(id="heads-metric-note"),
        tools=html.Div([html.Span("by", className="ow-partial"), choice], className="ow-actions"),
    )


def chosen_metric(text: object) -> str:
    """The score of an address."""
    return str(text) if text in SCORES else FIRST


def base_of(heads: "HeadPatterns") -> Drawn:
    """All patterns as thumbnails, coarser where there are many."""
    layers, count = heads.patterns.shape[:2]
    return drawn.thumbs_data(heads.patterns, {}, {}, 40 if layers * count <= 300 else 24)


def tint(scored: HeadTable) -> Drawn:
    """The scores as the thumbnails take them: as they are, and from 0 to 1 by their own size."""
    raw = {m: np.nan_to_num(np.asarray(v, float)).ravel() for m, v in scored.scores.items()}
    size = {m: np.abs(v) if m == "direct" else np.maximum(v, 0) for m, v in raw.items()}
    top = {m: max(float(v.max(initial=0)), 1.0 if m not in (*AT_TOKEN, "entropy") else 1e-9) for m, v in size.items()}
    return {
        "names": {m: SCORES[m][0] for m in raw},
        "raw": {m: [float(f"{x:.4g}") for x in v] for m, v in raw.items()},
        "metrics": {m: [round(float(x), 3) for x in v / top[m]] for m, v in size.items()},
    }


def register(app: Dash) -> None:
    drawn.register_thumbs(app, "heads-thumbs", METRIC)
    for name, of in (("headsMerge", ("base", "tint")), ("headsTinted", ("tint", "base"))):
        app.clientside_callback(  # the patterns do not wait for the scores that tint them
            ClientsideFunction("openwork", name),
            Output("heads-thumbs-data", "data", allow_duplicate=name == "headsTinted"),
            Input(f"heads-{of[0]}", "data"),
            State(f"heads-{of[1]}", "data"),
            prevent_initial_call=name == "headsTinted",
        )

    @app.callback(
        Output("heads-tint", "data"),
        Output("heads-metric-note", "children"),
        Input("heads-base", "data"),
        Input(part_of(result_view.place("scores"), "done"), "data"),
        Input("selection", "data"),
        State("heads-args", "data"),
    )
    def tinted(_: object, __: object, selection: Selection | None, args: dict[str, str]):
        prompt, chosen = prompts.load(args["id"]), selection or {}
        if (heads := recent_records.known("heads", args["model"], prompt.text)) is None:
            return no_update, no_update
        scored = work.result(scores_work(args["model"], prompt, chosen.get("target")).key) or put_together(heads)
        here, metric = scored.at(position(selection, heads)), chosen_metric(chosen.get(f"{SHOWN}metric"))
        return tint(here), f"Coloured by {here.about(metric)}. Click a head; arrow keys move on."
