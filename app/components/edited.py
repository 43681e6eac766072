"""What a change did, in place: the sentence, the next tokens before and after, how far each prediction moved, both texts.

Lay out `edited_view("ablate")`, call `register_edited(app, "ablate")` once, and let a callback put a key of
`edited_work(...)` (submitted with `app.jobs.work.submit`) into the store `ablate-key`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dash import Dash, Input, Output, html, no_update

from app.components import drawn
from app.components.slot import register_slot, slot
from app.jobs import results, work
from app.library import models
from probe.artifacts.manifest import read_manifest
from probe.errors import OpenworkError

if TYPE_CHECKING:
    from probe.interventions.edited_run import EditedRun

WHAT = "edit"


def edited_work(
    model: str,
    prompt: str,
    changes: Callable[[Any], list[Any]],
    named: tuple[Any, ...],
    *,
    page: Callable[[str], str],
    title: str,
    options: dict[str, Any],
    again: list[Any],
    about: tuple[str, ...] = (),
    pos: int = -1,
    generate: int = 0,
) -> work.Work:
    """The job of an edited run, whose result is stored. `changes` makes the interventions from the loaded model; `named` tells
    them from others, in JSON-able parts, for the key. page: the address that shows the run of a key. options: how the page asked
    for it. again: the task that starts it anew after a restart. about: names of the dictionaries that take part."""

    def run(progress: Any) -> "EditedRun":
        from probe.interventions.edited_run import edited_run

        bridge = models.model_named(model, progress)
        return edited_run(bridge, prompt, changes(bridge), pos=pos, generate=generate, progress=progress)

    key = work.key_of(WHAT, model, prompt, named, pos, generate)
    origin = results.Origin(about, {"prompt": prompt, **options}, model=lambda: models.stamp_in_memory(model))
    return work.Work(key, title, run, page(key), origin=origin, again=again)


def asked_before(key: str | None) -> dict[str, Any]:
    """How the page asked for the stored run of this key, to be put into its fields; empty where there is none."""
    if not key or not results.is_stored(key):
        return {}
    try:
        return read_manifest(results.folder_of(key), "result").config
    except OpenworkError:
        return {}


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


def edited_rows(run: "EditedRun") -> dict[str, Any]:
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


def _texts(run: "EditedRun") -> Any:
    """Both continuations, as plain text."""
    if run.text_before is None:
        return None
    pairs = (("without", run.text_before), ("with", run.text_after or ""))
    parts = [
        part for name, text in pairs for part in (html.Dt(name), html.Dd(text or "∅", dir="auto", className="mono"))
    ]
    return html.Dl(parts, className="ow-facts ow-texts")
