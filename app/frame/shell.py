"""The frame around every page: header, navigation, colour scheme, routing by path, and the status of models and jobs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update, set_props
from dash.development.base_component import Component

from app.components.parts import Parts, copyable, error, icon, loading, title
from app.components.polling import in_turn, poll
from app.components.still import still
from app.figures.dress import TEMPLATES
from app.frame import search
from app.frame.status import job_chip, job_status, model_chip
from app.frame.theme import THEME
from app.jobs.table import job_table
from app.trouble import Trouble, foreseen_in, meet
from probe.artifacts.json import Json
from probe.errors import brief

_BUSY, _IDLE = 600, 2500  # milliseconds between questions about jobs


@dataclass(frozen=True)
class Page:
    """A kind of page: the paths it answers, its name in the browser's tab, its layout and its callbacks.

    figures: ids of its graphs, which are dressed for the colour scheme when they are drawn.
    """

    pattern: str
    name: str
    layout: Callable[..., Any]
    register: Callable[[Dash], None] = lambda app: None
    figures: tuple[str, ...] = ()


def layout() -> dmc.MantineProvider:
    """The shell with an empty page in it."""
    stores = [
        dcc.Location(id="url", refresh="callback-nav"),
        dcc.Store(id="scheme", data="light"),
        dcc.Store(id="templates", data=TEMPLATES),
        dcc.Store(id="jobs"),
        dcc.Store(id="page-title"),
        dcc.Store(id="anew"),
        dcc.Store(id="sink"),
        dcc.Store(id="cancelled"),
        poll("poll", _BUSY),
        dmc.NotificationContainer(id="notices", position="bottom-right"),
    ]
    frame = dmc.AppShell(
        [
            dmc.AppShellHeader(_header()),
            dmc.AppShellNavbar(_navigation()),
            dmc.AppShellMain(html.Div(html.Div([loading(60), loading(240)], className="ow-page"), id="page")),
        ],
        header={"height": 54},
        navbar={"width": {"base": 226, "sm": 62, "lg": 226}, "breakpoint": "sm", "collapsed": {"mobile": True}},
        padding=0,
        id="frame",
    )
    skip = html.A("Skip to the page", href="#page", className="ow-skip")
    return dmc.MantineProvider([skip, *stores, frame], theme=THEME, defaultColorScheme="auto")


def _header() -> html.Div:
    brand = dcc.Link(
        [html.Img(src="/assets/favicon.svg", alt=""), html.Span("Openwork")], href="/", className="ow-brand"
    )
    menu = dmc.Burger(id="menu", size="sm", hiddenFrom="sm", opened=False, **{"aria-label": "Navigation"})
    toggle = dmc.ColorSchemeToggle(
        id="toggle",
        lightIcon=icon("sun"),
        darkIcon=icon("moon"),
        variant="subtle",
        color="gray",
        size="lg",
        **{"aria-label": "Light or dark"},
    )
    keys = html.Button(
        icon("keyboard"),
        id="keys-button",
        type="button",
        className="ow-plain ow-wide",
        title="Keys (?)",
        **{"aria-label": "Keys"},
    )
    status = html.Div(
        [html.Div(id="model-chip", className="ow-wide"), html.Div(id="job-chip"), _search_button(), keys, toggle]
    )
    return html.Div([html.Div([menu, brand]), status], className="ow-head")


def _search_button() -> html.Button:
    words = [icon("search", small=True), html.Span("Search", className="wide"), html.Kbd("/")]
    return html.Button(
        words, id="search-button", type="button", className="ow-search-button", **{"aria-label": "Search"}
    )


def _navigation() -> html.Div:
    entries = [
        dmc.NavLink(
            label=name,
            href=href,
            id=f"nav-{symbol}",
            leftSection=icon(symbol),
            active="exact" if href == "/" else "partial",
        )
        for name, href, _, symbol in search.PAGES
    ]
    return html.Div(
        [*entries, html.Div("Runs on this machine; nothing is sent anywhere.", className="ow-nav-foot")],
        className="ow-nav",
    )


def not_found(path: str) -> html.Div:
    """What an address without a page shows."""
    back = dcc.Link("Go home", href="/")
    return html.Div(
        [
            title("There is no such page"),
            html.Div([html.H3("404"), html.P(f"Nothing lives at {path}."), back], className="ow-state center"),
        ],
        className="ow-page",
    )


def route(pages: list[Page], path: str, search: str) -> tuple[Parts | Component, str]:
    """The layout and the title of the page at this address; errors become a page that explains them."""
    query = dict(parse_qsl((search or "").lstrip("?")))
    for page in pages:
        if found := re.fullmatch(page.pattern, path.rstrip("/") or "/"):
            parts = {name: unquote(part) for name, part in found.groupdict().items()}
            try:
                return html.Div(still(page.layout(**parts, query=query)), className="ow-page"), page.name
            except Exception as problem:  # a refusal, or a bug of ours; the shell around the page must live
                said = foreseen_in(problem, f"page {path}")
                shown = error(said) if said is not None else broken(meet(problem, f"page {path}"))
                return html.Div([title(page.name), shown], className="ow-page"), page.name
    return not_found(path), "Not found"


def broken(trouble: Trouble) -> html.Div:
    """What stands where a page could not be made."""
    fix = [html.Span("Other pages work as before. To report it, copy this line: "), copyable(trouble.details)]
    return error(trouble.sentence, fix=fix, heading="This page could not be made")


def explain(problem: Exception) -> None:
    """Show a failed callback as a notice; its traceback goes to the terminal, never to the page."""
    where = f"callback {_callback()}"
    message = foreseen_in(problem, where)
    if message is None:
        message = meet(problem, where, _came()).sentence
    set_props(
        "notices",
        {
            "sendNotifications": [
                {
                    "action": "show",
                    "title": "This did not work",
                    "message": message,
                    "color": "orange",
                    "autoClose": 9000,
                }
            ]
        },
    )


def _callback() -> str:
    """What triggered the callback that failed, for the log."""
    try:
        return ", ".join(ctx.triggered_prop_ids) or "at the start"
    except Exception:  # outside of a callback
        return "unknown"


def _came() -> str:
    """The values that the failed callback was asked with: what triggered it first, then what can be said in a few words."""
    try:
        given = {**{part["prop_id"]: part["value"] for part in ctx.triggered}, **ctx.inputs, **ctx.states}
    except Exception:  # outside of a callback
        return ""
    plain = {name: value for name, value in given.items() if isinstance(value, str | int | float | bool)}
    return ", ".join(f"{name[:60]} = {brief(value)}" for name, value in list((plain or given).items())[:4])


def register(app: Dash, pages: list[Page]) -> None:
    """Routing, the colour scheme, the address bar, and the status in the header."""
    register_routes(app, pages)
    register_scheme(app, pages)
    register_status(app)
    for page in pages:
        page.register(app)


def register_routes(app: Dash, pages: list[Page]) -> None:
    """An address opens its page."""

    @app.callback(
        Output("page", "children"),
        Output("page-title", "data"),
        Input("url", "pathname"),
        Input("url", "search"),  # an address of the same page with another query is another view
        Input("anew", "data"),  # a link to the address that this page was opened by: it may show something else by now
    )
    def show(path: str, search: str, _: int | None):
        return route(pages, path or "/", search or "")

    app.clientside_callback(  # here and not with the page: whoever opens the menu while a page is being made keeps it
        ClientsideFunction("openwork", "shut"),
        Output("menu", "opened"),
        Input("url", "pathname"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "fold"),
        Output("frame", "navbar"),
        Input("menu", "opened"),
        State("frame", "navbar"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "arrived"),
        Output("page", "data-arrived"),
        Input("page", "children"),
        State("page-title", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "moved"), Output("moved", "data-gone"), Input("moved", "data-to")
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "remember"), Output("sink", "data"), Input("selection", "data")
    )


def register_scheme(app: Dash, pages: list[Page]) -> None:
    """Light or dark, and every figure with it."""
    for figure in dict.fromkeys(name for page in pages for name in page.figures):
        drawn = ClientsideFunction("openwork", "dressed")
        app.clientside_callback(drawn, Output(figure, "data-dressed"), Input(figure, "figure"))
    app.clientside_callback(
        ClientsideFunction("openwork", "scheme"),
        Output("scheme", "data"),
        Input("toggle", "computedColorScheme"),
        State("templates", "data"),
    )


def register_status(app: Dash) -> None:
    """What models and jobs do, asked for again and again; and the buttons that call a job off."""

    @app.callback(
        Output("jobs", "data"),
        Output("model-chip", "children"),
        Output("job-chip", "children"),
        Output("poll", "interval"),
        Input("poll", "n_intervals"),
        Input("cancelled", "data"),
        State("jobs", "data"),
        running=in_turn("poll", _BUSY),
    )
    def status(_: int, __: object, before: Json | None):
        now = job_status()
        every = _BUSY if now["active"] else _IDLE
        if now == before:
            return no_update, no_update, no_update, every
        return now, model_chip(now), job_chip(now), every

    @app.callback(
        Output("cancelled", "data"), Input({"type": "cancel", "job": ALL}, "n_clicks"), prevent_initial_call=True
    )
    def cancel(clicks: list[int | None]):
        if not any(clicks) or not ctx.triggered_id:
            return no_update
        job_table().cancel(ctx.triggered_id["job"])
        return ctx.triggered_id["job"]
