"""A declared method on any page: a form, a job with progress and cancel, its result drawn, how it was made, earlier results.

    TEST = Block("test", "subgraph-test", fields=("draws",), key="test", title="Does the model agree?")    # once, in the module
    TEST.layout(model, {"graph": name, "nodes": pinned}, query)      # in the page's layout
    Output(TEST.part("fixed"), "data")      # what the page gives, plain values by parameter: its callbacks may change it
    Input(TEST.part("done"), "data")        # the key of the result once it is there, for `app.methods.work.found`

Several stand on one page, told apart by `at`. `register(app)` is called once for the whole application, so a page registers
nothing; it holds the store `selection`, which tokens and units set. A result that was found before, for what the page gives and
defaults, is there at once; with a `key` the one that the page's address names, so that what was run is a permalink. Of a result
that was asked of something else than the page gives now, the block says so.

The page of a method (`app.pages.method`) is the one block that asks for everything and keeps the whole call in its address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import dash_mantine_components as dmc
from dash import MATCH, ClientsideFunction, Dash, Input, Output, State, html, no_update
from dash.development.base_component import Component

from app import links
from app.components import drawn
from app.components.parts import Part, error, folded, icon, link_button, marked, panel, part_of, store
from app.components.slot import register_slot, slot
from app.jobs import work as jobs
from app.library.models import require_offered
from app.methods import addresses, drawing, following, form, view, work
from app.methods.words import label
from probe.errors import OpenworkError
from probe.methods.call import Call
from probe.methods.catalogue import method_named
from probe.methods.reading import Method

_LONGEST = 80  # characters of a job's key in an address
EQUAL = "Equal questions are asked once: what is stored is shown at once."
CANNOT = "This cannot be asked"
Given = Mapping[str, Any]


@dataclass(frozen=True)
class Block:
    """at: its place on the page, one word. method: which one. fields: parameters that the form asks for, others stay as the page
    gives them or at their defaults; None: all that the page does not give. key: of the page's query, where the shown result's
    reference is; "" for no permalink. title, note: over the form; by default what the method says of itself."""

    at: str
    method: str
    fields: tuple[str, ...] | None = None
    key: str = ""
    title: str = ""
    note: str = ""

    def part(self, name: str) -> Any:
        """The id of a part, for callbacks of the page: `fixed`, `done`, `key`, `panels`."""
        return part_of(view.place(self.at), name)

    def layout(self, model: str = "", given: Given | None = None, query: Given | None = None) -> html.Div:
        """The block, of this model and these arguments. One that is among the fields only begins with what the page gives."""
        about, given, query = method_named(self.method), given or {}, query or {}
        fields = self.fields
        if fields is None:
            fields = tuple(p.name for p in about.parameters if p.name not in given)
        fixed = {name: value for name, value in given.items() if name not in fields}
        key = self._key(about, model, given, query)
        call = _call_that_made(key)
        ask = form.form(self.at, about, model, {**given, **(call.arguments if call else {}), **fixed}, fields)
        every = link_button(label(about.name), links.method_page(about.name), "methods", small=True)
        head = {"heading": self.title or label(about.name), "note": self.note or marked(about.summary), "tools": every}
        asked = {"method": about.name, "model": model, "key": self.key}
        beside = f"{self.key}-beside" if self.key else ""
        earlier = view.earlier(about, model, fixed, key)
        parts = [
            ask_panel(self.at, head, ask, asked, fixed, hint=_hint(call, fixed)),
            slot(view.place(self.at), key, shown=call is not None),
            view.result_view(self.at, about, key if call else None, str(query.get(beside, ""))[:200], beside),
            html.Div(
                folded("Earlier results", drawn.rows(self.part("earlier"), 420, earlier)),
                id=self.part("kept"),
                hidden=not earlier["rows"],
            ),
        ]
        return html.Div(parts, className="ow-stack ow-block")

    def _key(self, about: Method, model: str, given: Given, query: Given) -> str | None:
        """The key of the result to show: the address's, else that of what the page gives."""
        asked = str(query.get(self.key, "")) if self.key else ""
        if asked:
            return asked[:_LONGEST] if asked.startswith(f"{work.WHAT}:") else None
        try:
            call = addresses.call_of(about, model, given)
            return jobs.given(work.key_for(call), work.WHAT) if call else None
        except OpenworkError:  # nothing is pinned yet, say: Run tells
            return None


def _call_that_made(key: str | None) -> Call | None:
    """The call of a result that is there."""
    return work.call_that_made(found) if key and (found := jobs.result(key)) is not None else None


def ask_panel(
    at: str,
    head: Given,
    parts: Sequence[Part],
    asked: Given,
    fixed: Given | None = None,
    said: str = "",
    hint: str = "",
) -> Component:
    """A form in its panel, with the button that runs it. head: heading, note, tools. asked: what the run callback has to know.
    said: what is wrong with what the page was asked."""
    name = view.place(at)
    run = dmc.Button("Run", id=part_of(name, "run"), leftSection=icon("play", small=True))
    words = html.Span(hint or EQUAL, id=part_of(name, "hint"), className="ow-sub")
    body = [
        *parts,
        html.Div(error(said, heading=CANNOT) if said else None, id=part_of(name, "wrong")),
        html.Div([run, words], className="ow-actions"),
        store(part_of(name, "about"), dict(asked)),
        store(part_of(name, "fixed"), dict(fixed or {})),
        store(part_of(name, "asked")),
    ]
    return panel(**head, body=html.Div(body, className="ow-stack ow-ask"), export=False)


def _hint(call: Call | None, fixed: Given) -> str:
    """That what is shown was asked of something else than the page gives now."""
    if call is None or view.asked_of(call, "", fixed):
        return ""
    return "What is shown below was asked before the choice above changed. Run asks it of what is chosen now."


# -- what it does ------------------------------------------------------------------------------------------------------------


def register(app: Dash) -> None:
    """What every block of every page does."""
    name = view.place(MATCH)  # type: ignore[arg-type]
    register_slot(app, name)
    form.register(app)
    drawing.register(app)
    view.register(app)
    following.register(app)
    drawn.register_rows(app, part_of(name, "earlier"))
    app.clientside_callback(
        ClientsideFunction("openwork", "callInAddress"),
        Output(part_of(name, "asked"), "data-written"),
        Input(part_of(name, "asked"), "data"),
        prevent_initial_call=True,
    )
    _register_run(app, name)
    _register_listed(app, name)


def _register_run(app: Dash, name: dict[str, str]) -> None:
    @app.callback(
        Output(part_of(name, "key"), "data", allow_duplicate=True),
        Output(part_of(name, "wrong"), "children"),
        Output(part_of(name, "asked"), "data"),
        Input(part_of(name, "run"), "n_clicks"),
        State(part_of(name, "about"), "data"),
        State(part_of(name, "fixed"), "data"),
        State("url", "pathname"),
        State("url", "search"),
        State({"type": form.MODEL, "at": MATCH}, "value"),
        *form.states(),
        prevent_initial_call=True,
    )
    def run(
        clicks: int | None, about: Given, fixed: Given | None, path: str, query: str, model: str | None, *filled: Any
    ):
        if not clicks:
            return no_update, no_update, no_update
        try:
            call = asked_by(about, fixed, model, *filled)
            wanted = work.work_of(call)
            jobs.submit(replace(wanted, link=_page(about, wanted, path, query) or wanted.link))
        except OpenworkError as problem:
            return no_update, error(str(problem), heading=CANNOT), no_update
        return wanted.key, None, _in_address(about, call, wanted.key)


def _register_listed(app: Dash, name: dict[str, str]) -> None:
    @app.callback(
        Output(part_of(part_of(name, "earlier"), "data"), "data"),
        Output(part_of(name, "kept"), "hidden"),
        Output(part_of(name, "hint"), "children"),
        Input(part_of(name, "done"), "data"),
        Input(part_of(name, "fixed"), "data"),
        State(part_of(name, "about"), "data"),
        prevent_initial_call=True,
    )
    def listed(done: str | None, fixed: Given | None, about: Given):
        shown = done if about.get("key") is not None else ""  # the page of a method lists all of them
        data = view.earlier(method_named(about["method"]), about.get("model") or "", fixed, shown)
        return data, not data["rows"], _hint(_call_that_made(done), fixed or {}) or EQUAL


def asked_by(asked: Given, fixed: Given | None, model: str | None, *filled: Any) -> Call:
    """The call of what stands in a form and what the page gives."""
    about = method_named(asked["method"])
    model = asked.get("model") or model
    arguments = {**form.given(about, *filled), **(fixed or {})}
    return Call.checked(about.name, require_offered(model) if about.of_model else "", arguments)


def _in_address(asked: Given, call: Call, key: str) -> Any:
    """What the address has of a call: the key of its result, on the page of the method all that was asked."""
    if asked.get("key"):
        return {asked["key"]: key}
    if asked.get("key") is None:
        query = addresses.query_of(call)
        return {k: query.get(k) for k in (*addresses.keys_of(call.about), addresses.LIKE)}
    return no_update


def _page(asked: Given, wanted: jobs.Work, path: str, query: str) -> str | None:
    """The page that the block stands on, with its result; None where that is no permalink."""
    if not asked.get("key"):
        return None
    held = {**dict(parse_qsl((query or "").lstrip("?"))), asked["key"]: wanted.key}
    page = f"{path}?{urlencode(held)}"
    return page if links.local(page) else None
