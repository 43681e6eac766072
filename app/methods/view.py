"""A result on a page: its panels, how it was made, and a second result of the same method beside it where one is asked for.

    result_view(at, about, reference)     the place, filled where the result is there
    register(app)                         what draws a result that comes later; once for all places

A reference is the key of a job or the name of a stored result (`app.methods.work.found`). What stands beside it is in the page's
address, so two results side by side are a permalink as well.
"""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from dash import MATCH, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import links
from app.components import drawn
from app.components.cards import outdated
from app.components.drawn import Drawn
from app.components.inputs import choose, offered
from app.components.parts import (
    Part,
    Parts,
    empty,
    error,
    fact_list,
    folded,
    icon,
    link_button,
    loading,
    panel,
    part_of,
    store,
)
from app.components.slot import slot
from app.components.snippets import snippets
from app.components.still import still
from app.figures.dress import worn
from app.jobs import work as jobs
from app.library.models import short_model, stale
from app.methods import onward, words, work
from app.methods.addresses import BESIDE, RAW
from app.methods.drawing import Look, drawn_panels
from app.methods.work import MOST, Found, found, results_of
from probe.artifacts.manifest import Manifest
from probe.errors import BadInput, OpenworkError
from probe.methods.call import Call
from probe.methods.catalogue import method_named
from probe.methods.reading import Method

EMPTY = empty("No result yet", "Fill in the form and run it. What it finds is shown here, and is kept.")


def place(at: str) -> dict[str, str]:
    """The name of a method's place on a page, of whose parts `part_of(place(at), "done")` is one."""
    return {"type": "block", "at": at}


def result_view(
    at: str, about: Method, reference: str | None, beside: str = "", key: str = BESIDE, otherwise: Part = None
) -> html.Div:
    """The place of a result, and the choice of another beside it. reference: what is there; otherwise: what stands there while
    nothing is. key: where the address has what stands beside."""
    name, options = place(at), others(about, reference, beside) if reference else {}
    parts = shown(reference, beside, worn(), at) if reference else otherwise
    return html.Div(
        [
            store(part_of(name, "beside-key"), key),
            html.Div(choice(name, options, beside), id=part_of(name, "choice"), hidden=not options),
            html.Div(parts, id=part_of(name, "panels"), className="ow-stack ow-block-panels"),
        ],
        className="ow-stack",
    )


def stored_view(at: str, about: Method, name: str, beside: str) -> Parts:
    """The place of a stored result that is there from the start."""
    here = place(at)
    stores = [
        store(part_of(here, "about"), {"method": about.name}),
        *(store(part_of(here, k), name) for k in ("key", "done")),
    ]
    return [*stores, result_view(at, about, name, beside)]


def job_view(at: str, method: str, key: str) -> Parts:
    """The place of what a job of the page finds, with its progress."""
    about, here = method_named(method), place(at)
    there = key if jobs.is_there(key) else None
    stores = [store(part_of(here, "about"), {"method": about.name}), slot(here, key, shown=there is not None)]
    return [*stores, result_view(at, about, there, otherwise=loading())]


def choice(name: dict[str, str], options: dict[str, str], beside: str) -> Component:
    """Which result stands beside."""
    said = "Put another result beside it"
    more = {"clearable": True, "searchable": True, "placeholder": said, "className": "ow-beside-choice"}
    return choose(part_of(name, "beside"), options, beside or None, said, **more)


def others(about: Method, one: str, beside: str | None) -> dict[str, str]:
    """The stored results that may stand beside one, by name and in words."""
    name = one.replace(":", "-")
    found = {m.name: f"{line(m)} · {when(m)}" for m in results_of(about.name)[:MOST] if m.name != name}
    return {**({str(beside): str(beside)[:80]} if beside else {}), **found}


def register(app: Dash) -> None:
    """Draws a result as soon as its reference is there, and again when another is put beside it."""
    name = place(MATCH)  # type: ignore[arg-type]
    beside = part_of(name, "beside")
    app.clientside_callback(
        ClientsideFunction("openwork", "inAddress"),
        Output(part_of(name, "choice"), "data-beside"),
        Input(beside, "value"),
        State(part_of(name, "beside-key"), "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output(part_of(name, "panels"), "children"),
        Output(part_of(name, "choice"), "hidden"),
        Output(beside, "data"),
        Input(part_of(name, "done"), "data"),
        Input(part_of(name, "key"), "data"),
        Input(beside, "value"),
        State("scheme", "data"),
        State(part_of(name, "about"), "data"),
        State(beside, "id"),
        prevent_initial_call=True,
    )
    def show(done: str | None, asked: str | None, other: str | None, scheme: str, about: Mapping[str, Any], named: Any):
        if not done or asked != done:
            return loading() if asked else no_update, True, no_update
        options = others(method_named(about["method"]), done, other)
        return shown(done, other, scheme, named["at"]), not options, offered(options)


def shown(reference: str, beside: str | None, scheme: str, at: str = "") -> Any:
    """The parts of one result, or of two in rows; of a job's result a link leads to its own page. at: the place on the page."""
    try:
        one = found(reference)
        other = found(beside) if beside and beside != one.name else None
    except OpenworkError as problem:
        raw = (
            dcc.Link("What its file says", href=links.result_page(reference, **{RAW: 1}))
            if ":" not in reference
            else None
        )
        return error(str(problem), fix=raw, heading="This result cannot be shown")
    if other is None:
        return still(
            [
                *_notes(one),
                *_ways(one),
                *drawn_panels(one.record, "", _look(one, scheme), at),
                made(one, ":" in reference),
            ]
        )
    if None in (one.call, other.call) or one.call.method != other.call.method:  # type: ignore[union-attr]
        return error("Only two results of one method stand side by side.", heading="These do not go together")
    columns = [_column(one, "A", scheme, at), _column(other, "B", scheme, at)]
    pairs = [html.Div([a or html.Div(), b or html.Div()], className="ow-grid even") for a, b in zip_longest(*columns)]
    return still([differences(one.call, other.call, at), *pairs])


def _column(one: Found, side: str, scheme: str, at: str) -> Parts:
    head = html.Div([html.Span(side, className="ow-side"), *_link_to(one)], className="ow-sides")
    return [html.Div([head, *_notes(one)]), *drawn_panels(one.record, side, _look(one, scheme), at), made(one)]


def _look(one: Found, scheme: str) -> Look:
    return Look(scheme, onward.link_of(one.call), one.reference)


def _ways(one: Found) -> Parts:
    found = onward.ways(one.call)
    return [html.Nav(found, className="ow-link-bar", **{"aria-label": "Its prompts on other pages"})] if found else []


def _link_to(one: Found) -> Parts:
    said = words.asked(one.call) if one.call else one.name
    return [dcc.Link(said or one.name, href=links.result_page(one.name)) if one.name else said]


def differences(a: Call | None, b: Call | None, at: str = "") -> Part:
    """In what two calls differ; nothing that both have."""
    pairs = [_all_of(call) for call in (a, b)]
    names = [n for n in dict.fromkeys([*pairs[0], *pairs[1]]) if pairs[0].get(n) != pairs[1].get(n)]
    if not names:
        return html.P("Both were asked the same.", className="ow-sub")
    data = {
        "columns": [
            {"key": k, "label": label, "kind": "text"} for k, label in (("what", "asked"), ("a", "A"), ("b", "B"))
        ],
        "rows": [{"what": n, "a": pairs[0].get(n, ""), "b": pairs[1].get(n, "")} for n in names],
        "label": "What was asked differently",
    }
    return panel("Asked differently", drawn.rows({"type": "method-rows", "at": f"{at}-differ"}, 300, data))


def _all_of(call: Call | None) -> dict[str, str]:
    """Every argument by name, defaults too."""
    if call is None:
        return {}
    model = {"model": short_model(call.model)} if call.model else {}
    filled = {p.name: call.arguments.get(p.name, None if p.required else p.default) for p in call.about.parameters}
    said = {p.name.replace("_", " "): words.value(p, filled[p.name]) for p in call.about.parameters}
    return {**model, **{name: value for name, value in said.items() if value}}


def _notes(one: Found) -> list[Component]:
    """What is to be known before one believes it: that the model has other weights now."""
    reason = stale(one.manifest) if one.manifest else None
    return [html.Div([icon("warning"), html.Span(reason)], className="ow-warning", role="note")] if reason else []


def made(one: Found, alone: bool = True) -> Component:
    """How it was made: by which call, when, from which model, and the same in Python and in the shell."""
    call, manifest = one.call, one.manifest
    pairs: list[tuple[str, Part]] = [*(_all_of(call).items() if call else [])]
    if manifest is not None:
        pairs += [("made", when(manifest)), ("stored as", one.name)]
    else:
        pairs += [("stored", "not yet: it is in memory until the dashboard stops")]
    foot = snippets(call.python(), call.shell()) if call else None
    page = (
        link_button("Open alone", links.result_page(one.name), "external", small=True) if one.name and alone else None
    )
    return folded("How it was made", [fact_list(pairs, many=6), page], foot=foot, open=not alone)


# -- lists of results --------------------------------------------------------------------------------------------------------


def earlier(about: Method, model: str = "", fixed: Mapping[str, Any] | None = None, without: str | None = "") -> Drawn:
    """Stored results of a method as rows, newest first; each opens its page. model, fixed: only what was asked of these.
    without: the key of one that is shown already."""
    kept = [m for m in results_of(about.name) if m.name != (without or "").replace(":", "-")]
    kept = [m for m in kept if not fixed or asked_of(work.stored_call(m), model, fixed)]
    columns = [
        {"key": "what", "label": "asked", "kind": "text"},
        *([{"key": "model", "label": "model", "kind": "text"}] if about.of_model else []),
        {"key": "when", "label": "made", "kind": "text"},
        {"key": "name", "label": "stored as", "kind": "text", "wide": True},
        {"key": "state", "label": "", "kind": "text"},
    ]
    rows = [_row(m) for m in kept[:MOST]]
    note = f"The newest {MOST} of {len(kept):,}." if len(kept) > MOST else ""
    return {"columns": columns, "rows": rows, "label": "Earlier results", "sorts": True, "page": 12, "note": note}


def _row(manifest: Manifest) -> dict[str, Any]:
    call = work.stored_call(manifest)
    return {
        "what": line(manifest),
        "model": short_model(call.model) if call else "",
        "when": when(manifest),
        "name": manifest.name,
        "state": "stale" if outdated(manifest) else "",
        "href": links.result_page(manifest.name),
    }


def asked_of(call: Call | None, model: str, fixed: Mapping[str, Any]) -> bool:
    """Whether a call has these arguments among its own."""
    if call is None:
        return False
    try:
        return Call.checked(call.method, model or call.model, {**call.arguments, **fixed}) == call
    except BadInput:
        return False


def line(manifest: Manifest) -> str:
    """What a stored result was asked; the title where that is no call any more."""
    call = work.stored_call(manifest)
    return (
        (words.asked(call) or "all at their defaults")
        if call
        else str(manifest.facts.get("title") or manifest.name)[:200]
    )


def when(manifest: Manifest) -> str:
    return manifest.created[:16].replace("T", " ")
