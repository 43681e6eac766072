"""A declared method on any page: a form, a job with progress and cancel, its result drawn, how it was made, earlier results.

    TEST = Block("test", "subgraph-test", fields=("draws",), key="test", title="Does the model agree?")    # once, in the module
    TEST.layout(model, {"graph": name, "nodes": pinned}, query)      # in the page's layout
    Output(TEST.part("fixed"), "data")      # what the page gives, plain values by parameter: its callbacks may change it
    Input(TEST.part("done"), "data")        # the key of the result once it is there, for `app.methods.method_jobs.found`

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
from dash import MATCH, ClientsideFunction, Dash, Input, Output, State, html, no_update, set_props
from dash.development.base_component import Component

from app import links
from app.components import drawn
from app.components.parts import Part, Parts, empty, error, folded, icon, link_button, marked, panel, part_of, store
from app.components.slot import register_slot, slot
from app.jobs import work as jobs
from app.library.models import require_offered
from app.methods import addresses, drawing, follow_selection, form, method_jobs, result_view
from probe.errors import OpenworkError
from probe.methods.call import Call
from probe.methods.catalogue import method_named
from probe.methods.in_words import label
from probe.methods.read_declarations import Method
from probe.methods.results import asked_of, call_that_made

_LONGEST = 80  # characters of a job's key in an address
EQUAL = "Equal questions are asked once: what is stored is shown at once."
CANNOT = "This cannot be asked"
Given = Mapping[str, Any]


@dataclass(frozen=True)
class Block:
    """at: its place on the page, one word. method: which one. fields: parameters that the form asks for, `model` among them where
    that is one; others stay as the page gives them or at their defaults; None: all that the page does not give. key: of the
    page's query, where the shown result's reference is; "" for no permalink; None where the address has the whole call and the
    form asks for all of it. title, note: over the form; by default what the method says of itself. of: what earlier results have
    in common with what the page gives; None: all of it. leads: the form alone, with what a call would take beside Run, which goes
    to the page of the artifact that it leaves, or else of the method."""

    at: str
    method: str
    fields: tuple[str, ...] | None = None
    key: str | None = ""
    title: str = ""
    note: str | None = None
    of: tuple[str, ...] | None = None
    leads: bool = False

    def part(self, name: str) -> Any:
        """The id of a part, for callbacks of the page: `fixed`, `done`, `key`, `panels`."""
        return part_of(result_view.place(self.at), name)

    def layout(
        self,
        model: str = "",
        given: Given | None = None,
        query: Given | None = None,
        wrong: str = "",
        about: Part = None,
    ) -> html.Div:
        """The block, of this model and these arguments. One that is among the fields only begins with what the page gives. wrong:
        what is wrong with what the page was asked. about: what stands beside the form."""
        method, given, query, whole = method_named(self.method), given or {}, query or {}, self.key is None
        fields = self.fields
        if fields is None:
            fields = (
                *(p.name for p in method.parameters if whole or p.name not in given),
                *(["model"] if whole else []),
            )
        fixed = {name: value for name, value in given.items() if name not in fields}
        key = self._key(method, model, given, query)
        call = _call_that_made(key)
        arguments = {**given, **(call.arguments if call else {}), **fixed}
        ask = self._ask(form.form(self.at, method, model, arguments, fields), fixed, _hint(call, fixed), wrong)
        beside_key = f"{self.key}-beside" if self.key else addresses.BESIDE if whole else ""
        asked = {"method": method.name, "model": "" if "model" in fields else model, "key": self.key, "of": self.of}
        if self.leads:
            return html.Div(
                [ask, store(self.part("about"), {**asked, "leads": True}), slot(result_view.place(self.at))]
            )
        result = result_view.result_view(
            self.at,
            asked,
            key,
            beside=str(query.get(beside_key, ""))[:200],
            beside_key=beside_key,
            otherwise=NO_RESULT if whole else None,
        )
        earlier = result_view.earlier(method, model, _shared(fixed, self.of), "" if whole else key)
        listed = folded("Earlier results", drawn.rows(self.part("earlier"), 420, earlier), open=whole)
        kept = html.Div(listed, id=self.part("kept"), hidden=not earlier["rows"], className="ow-block-earlier")
        asks = html.Div([ask, about], className="ow-grid two") if about is not None else ask
        return html.Div([asks, *result, kept], className="ow-stack ow-block")

    def _key(self, about: Method, model: str, given: Given, query: Given) -> str | None:
        """The key of the result to show: the address's, else that of what the page gives."""
        asked = str(query.get(self.key, "")) if self.key else ""
        if asked:
            return asked[:_LONGEST] if asked.startswith(f"{method_jobs.WHAT}:") else None
        try:
            call = addresses.call_of(about, model, given)
            return jobs.given(method_jobs.key_for(call), method_jobs.WHAT) if call else None
        except OpenworkError:  # nothing is pinned yet, say: Run tells
            return None

    def _ask(self, fields: Parts, fixed: Given, hint: str, wrong: str) -> Component:
        """The form in its panel, with the button that runs it."""
        about = method_named(self.method)
        run = dmc.Button("Run", id=self.part("run"), leftSection=icon("play", small=True))
        said = html.Span(hint or EQUAL, id=self.part("hint"), className="ow-sub")
        plan = html.Span(id=self.part("plan"), className="ow-sub", role="status")
        body = [
            *fields,
            html.Div(error(wrong, heading=CANNOT) if wrong else None, id=self.part("wrong")),
            html.Div([run, plan if self.leads else said], className="ow-actions"),
            store(self.part("fixed"), dict(fixed)),
            store(self.part("asked")),
        ]
        every = link_button(label(about.name), links.method_page(about.name), "methods", small=True)
        note = marked(about.summary) if self.note is None else self.note
        return panel(
            self.title or label(about.name),
            html.Div(body, className="ow-stack ow-ask"),
            note=note or None,
            tools=None if self.key is None else every,
            export=False,
        )


NO_RESULT = empty("No result yet", "Fill in the form and run it. What it finds is shown here, and is kept.")


def _call_that_made(key: str | None) -> Call | None:
    """The call of a result that is there."""
    return call_that_made(found) if key and (found := jobs.result(key)) is not None else None


def _shared(fixed: Given, of: Sequence[str] | None) -> Given:
    """What earlier results that are listed have in common."""
    return fixed if of is None else {name: fixed[name] for name in of if name in fixed}


def _hint(call: Call | None, fixed: Given) -> str:
    """That what is shown was asked of something else than the page gives now."""
    if call is None or asked_of(call, "", fixed):
        return ""
    return "What is shown below was asked before the choice above changed. Run asks it of what is chosen now."


# -- what it does ------------------------------------------------------------------------------------------------------------


def register(app: Dash) -> None:
    """What every block of every page does."""
    name = result_view.place(MATCH)  # type: ignore[arg-type]
    register_slot(app, name)
    form.register(app)
    drawing.register(app)
    result_view.register(app)
    follow_selection.register(app)
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
            wanted = method_jobs.work_of(call)
            jobs.submit(replace(wanted, link=_page(about, wanted, path, query) or wanted.link))
            if about.get("leads"):
                method_jobs.keep_artifact(call, wanted.key)
                set_props("url", {"href": wanted.link})
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
        shown = done if about["key"] is not None else ""  # the page of a method lists all of them
        data = result_view.earlier(
            method_named(about["method"]), about["model"], _shared(fixed or {}, about["of"]), shown
        )
        return data, not data["rows"], _hint(_call_that_made(done), fixed or {}) or EQUAL


def register_plan(app: Dash, block: Block) -> None:
    """What a block that leads says beside Run, from what stands in its form; its page registers it."""
    written = [
        Input(one.component_id, one.component_property) if one.component_property in ("value", "checked") else one
        for one in form.states(block.at)
    ]

    @app.callback(
        Output(block.part("plan"), "children"),
        Output(block.part("run"), "disabled"),
        Input(block.part("fixed"), "data"),
        State(block.part("about"), "data"),
        State({"type": form.MODEL, "at": block.at}, "value"),
        *written,
    )
    def announce(fixed: Given | None, about: Given, model: str | None, *filled: Any):
        """What it would take, or why it cannot be asked."""
        try:
            return method_jobs.planned(asked_by(about, fixed, model, *filled)), False
        except OpenworkError as problem:
            return str(problem), True


def asked_by(asked: Given, fixed: Given | None, model: str | None, *filled: Any) -> Call:
    """The call of what stands in a form and what the page gives."""
    about = method_named(asked["method"])
    model = asked.get("model") or model
    arguments = {**form.given(about, *filled), **(fixed or {})}
    return Call.checked(about.name, require_offered(model) if about.of_model else "", arguments)


def _in_address(asked: Given, call: Call, key: str) -> Any:
    """What the address has of a call: the key of its result, on the page of the method all that was asked."""
    if asked["key"]:
        return {asked["key"]: key}
    if asked["key"] is None:
        query = addresses.query_of(call)
        return {k: query.get(k) for k in (*addresses.keys_of(call.about), addresses.LIKE)}
    return no_update


def _page(asked: Given, wanted: jobs.Work, path: str, query: str) -> str | None:
    """The page that the block stands on, with its result; None where that is no permalink."""
    if not asked["key"]:
        return None
    held = {**dict(parse_qsl((query or "").lstrip("?"))), asked["key"]: wanted.key}
    page = f"{path}?{urlencode(held)}"
    return page if links.local(page) else None
