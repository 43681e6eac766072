"""What a change did, in place: the sentence, the next tokens before and after, how far each prediction moved, both texts.

Lay out `edited_view("ablate")`, call `register_edited(app, "ablate")` once, and let a callback put a key of
`app.jobs.edited.edited_work(...)` (submitted with `app.jobs.work.submit`) into the store `ablate-key`.
"""

from typing import TYPE_CHECKING

from dash import Dash, Input, Output, html, no_update
from dash.development.base_component import Component

from app.components import drawn
from app.components.drawn import Drawn
from app.components.slot import register_slot, slot
from app.jobs import work

if TYPE_CHECKING:
    from probe.interventions.edited_run import EditedRun


def edited_view(name: str, key: str | None = None) -> html.Div:
    """Empty until the run is there. Which run it is stands in the page's address as `edit`."""
    words = html.P(id=f"{name}-sentence", className="ow-edited-sentence", dir="auto", **{"aria-live": "polite"})
    texts = html.Div(id=f"{name}-texts")
    shown = [words, drawn.rows(f"{name}-rows", 340), html.Div(drawn.token_strip(f"{name}-strip")), texts]
    return html.Div([slot(name, key, "edit"), html.Div(shown, id=f"{name}-shown", hidden=True, className="ow-edited")])


def register_edited(app: Dash, name: str) -> None:
    """The slot of the run, and the drawing of what it found."""
    register_slot(app, name, "edit")
    drawn.register_rows(app, f"{name}-rows")
    drawn.register_strip(app, f"{name}-strip")

    @app.callback(
        Output(f"{name}-sentence", "children"),
        Output(f"{name}-rows-data", "data"),
        Output(f"{name}-strip-data", "data"),
        Output(f"{name}-texts", "children"),
        Output(f"{name}-shown", "hidden"),
        Input(f"{name}-done", "data"),
        Input(f"{name}-key", "data"),
    )
    def show(done: str | None, key: str | None):
        run = work.result(key)
        if run is None:
            return no_update, no_update, no_update, no_update, True
        strip = drawn.strip_data(run.tokens, run.token_ids, run.kl, label="moved by", unit="nats")
        return run.summary(), edited_rows(run), strip, _texts(run), False


def edited_rows(run: "EditedRun") -> Drawn:
    """The candidates as table rows."""
    rows = [
        {
            "token": c.token,
            "before": c.before,
            "after": c.after,
            "bar": c.after - c.before,
            "logit": c.logit_after - c.logit_before,
        }
        for c in run.candidates
    ]
    columns = [
        {"key": "token", "label": "next token", "kind": "token"},
        {"key": "before", "label": "before", "kind": "num", "title": "probability without the change"},
        {"key": "after", "label": "after", "kind": "num", "title": "probability with it"},
        {"key": "bar", "label": "change", "kind": "signed"},
        {"key": "logit", "label": "logit", "kind": "num", "title": "change of its logit minus the mean logit"},
    ]
    note = "Below: how far the prediction after each token moved (KL, nats)."
    return {"columns": columns, "rows": rows, "label": "Next tokens before and after", "sorts": True, "note": note}


def _texts(run: "EditedRun") -> Component | None:
    """Both continuations, as plain text."""
    if run.text_before is None:
        return None
    pairs = (("without", run.text_before), ("with", run.text_after or ""))
    parts = [
        part for name, text in pairs for part in (html.Dt(name), html.Dd(text or "∅", dir="auto", className="mono"))
    ]
    return html.Dl(parts, className="ow-facts ow-texts")
