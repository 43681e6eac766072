"""A result on a page: its panels, how it was made, and a second result of the same method beside it where one is asked for.

    result_view(at, asked, reference)     the place, filled where the result is there, with its progress while it is not
    register(app)                         what draws a result that comes later; once for all places

A reference is the key of a job or the name of a stored result (`app.methods.method_jobs.found`). What stands beside it is in the
page's address, so two results side by side are a permalink as well.
"""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from dash import MATCH, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import links
from app.components import drawn
from app.components.cards import outdated, outdated_words
from app.components.drawn import Drawn
from app.components.inputs import choose, offered
from app.components.parts import Part, Parts, error, fact_list, folded, link_button, loading, panel, part_of, store
from app.components.plain_rows import row_data
from app.components.slot import slot
from app.components.snippets import snippets
from app.components.still import still
from app.figures.dress import worn
from app.jobs import work as jobs
from app.library.models import short_model
from app.methods import result_links
from app.methods.addresses import BESIDE, RAW
from app.methods.drawing import Look, drawn_panels
from app.methods.method_jobs import MOST, Found, found
from app.selection import Selection
from probe.artifacts.manifest import Manifest
from probe.errors import OpenworkError
from probe.methods import in_words as words
from probe.methods.call import Call
from probe.methods.read_declarations import Method
from probe.methods.results import asked_of, line, results_of, stored_call, when
from probe.show.columns import column


def place(at: str) -> dict[str, str]:
    """The name of a method's place on a page, of whose parts `part_of(place(at), "done")` is one."""
    return {"type": "block", "at": at}


def result_view(
    at: str,
    asked: Mapping[str, Any],
    reference: str | None,
    *,
    beside: str = "",
    beside_key: str = BESIDE,
    otherwise: Part = None,
    selection: Selection | None = None,
) -> Parts:
    """The place of a result. asked: what callbacks have to know of the page, its `method` at least ("": of none). beside: what
    stands beside it, and the key under which the address has that. otherwise: what stands there before anything was asked.
    selection: what the page begins with."""
    name = place(at)
    stored = bool(reference) and ":" not in str(reference)
    there = reference if reference and (stored or jobs.is_there(reference)) else None
    options = others(asked["method"], there, beside) if there else {}
    parts = shown(there, beside, worn(), at, selection) if there else loading() if reference else otherwise
    choice = choose(
        part_of(name, "beside"),
        options,
        beside or None,
        _BESIDE,
        clearable=True,
        searchable=True,
        placeholder=_BESIDE,
        className="ow-beside-choice",
    )
    known = [store(part_of(name, which), reference) for which in ("key", "done")]
    return [
        store(part_of(name, "about"), dict(asked)),
        store(part_of(name, "beside-key"), beside_key),
        *(known if stored else [slot(name, reference, shown=there is not None)]),
        html.Div(choice, id=part_of(name, "choice"), hidden=not options),
        html.Div(parts, id=part_of(name, "panels"), className="ow-stack ow-block-panels"),
    ]


_BESIDE = "Put another result beside it"


def others(method: str, one: str, beside: str | None) -> dict[str, str]:
    """The stored results that may stand beside one, by name and in words."""
    name = one.replace(":", "-")
    found = {m.name: f"{line(m)} · {when(m)}" for m in results_of(method)[:MOST] if m.name != name}
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
        State("selection", "data"),
        prevent_initial_call=True,
    )
    def show(
        done: str | None,
        asked: str | None,
        other: str | None,
        scheme: str,
        about: Mapping[str, Any],
        named: Any,
        selection: Selection | None,
    ):
        if not done or asked != done:
            return loading() if asked else no_update, True, no_update
        options = others(about["method"], done, other)
        return shown(done, other, scheme, named["at"], selection), not options, offered(options)


def shown(reference: str, beside: str | None, scheme: str, at: str = "", selection: Selection | None = None) -> Any:
    """The parts of one result, or of two in rows; of a job's result a link leads to its own page. at: the place on the page.
    selection: what is chosen there."""
    try:
        one = found(reference)
        other = found(beside) if beside and beside != one.name else None
    except OpenworkError as problem:
        page = None if ":" in reference else links.result_page(reference, **{RAW: 1})
        raw = dcc.Link("What its file says", href=page) if page else None
        return error(str(problem), fix=raw, heading="This result cannot be shown")
    if other is None:
        how = [made(one, ":" in reference)] if one.call or one.manifest else []
        panels = drawn_panels(one.record, "", _look(one, scheme, selection), at)
        return still([*outdated_words(one.manifest), *_ways(one), *panels, *how])
    if None in (one.call, other.call) or one.call.method != other.call.method:  # type: ignore[union-attr]
        return error("Only two results of one method stand side by side.", heading="These do not go together")
    columns = [_column(of, side, _look(of, scheme, selection), at) for of, side in ((one, "A"), (other, "B"))]
    pairs = [html.Div([a or html.Div(), b or html.Div()], className="ow-grid even") for a, b in zip_longest(*columns)]
    return still([_differences(one.call, other.call, at), *pairs])


def _column(one: Found, side: str, look: Look, at: str) -> Parts:
    said = (words.asked(one.call) if one.call else "") or one.name
    named = dcc.Link(said, href=links.result_page(one.name)) if one.name else said
    head = html.Div([html.Span(side, className="ow-side"), named], className="ow-sides")
    return [html.Div([head, *outdated_words(one.manifest)]), *drawn_panels(one.record, side, look, at), made(one)]


def _look(one: Found, scheme: str, selection: Selection | None) -> Look:
    return Look(scheme, one.link or result_links.link_of(one.call, selection or {}), one.reference, selection or {})


def _ways(one: Found) -> Parts:
    found = result_links.ways(one.call, one.record, one.name or one.reference)
    return [html.Nav(found, className="ow-link-bar", **{"aria-label": "The same on other pages"})] if found else []


def _differences(a: Call | None, b: Call | None, at: str) -> Part:
    if not (rows := words.differences(a, b)):
        return html.P("Both were asked the same.", className="ow-sub")
    data = row_data("What was asked differently", rows)
    return panel("Asked differently", drawn.rows({"type": "method-rows", "at": f"{at}-differ"}, 300, data))


def made(one: Found, alone: bool = True) -> Component:
    """How it was made: by which call, when, from which model, and the same in Python and in the shell."""
    call, manifest = one.call, one.manifest
    pairs: list[tuple[str, Part]] = [*words.everything(call).items()]
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
    kept = [m for m in kept if not fixed or asked_of(stored_call(m), model, fixed)]
    models = [column("model")] if about.of_model else []
    columns = [column("asked"), *models, column("made"), column("name", "stored as", wide=True), column("state", "")]
    rows = [_row(m) for m in kept[:MOST]]
    cut = f"The newest {MOST} of {len(kept):,}. " if len(kept) > MOST else ""
    note = f"{cut}Whoever made them: a page, Python, or the command line."
    return {"columns": columns, "rows": rows, "label": "Earlier results", "sorts": True, "page": 12, "note": note}


def _row(manifest: Manifest) -> dict[str, Any]:
    call = stored_call(manifest)
    return {
        "asked": line(manifest),
        "model": short_model(call.model) if call else "",
        "made": when(manifest),
        "name": manifest.name,
        "state": "stale" if outdated(manifest) else "",
        "href": links.result_page(manifest.name),
    }
