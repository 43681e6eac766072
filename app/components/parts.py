"""Panels, icons, numbers and the designed states: empty, loading, error, partial."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from probe.artifacts.json import Json

Part = Component | str | int | float | None
"""What may stand in a page."""
Parts = Sequence[Part]
Name = str | Mapping[str, Any]
"""The id of a part: a text, or a pattern with a `type`, of which one registering is enough for many parts."""


def part_of(name: Name, part: str) -> Any:
    """The id of what belongs to a part, like its store: `NAME-data`, or the pattern with `data` behind its type."""
    return f"{name}-{part}" if isinstance(name, str) else {**name, "type": f"{name['type']}-{part}"}


def icon(name: str, small: bool = False) -> html.Span:
    """One of our own icons, in the colour of the text around it."""
    return html.Span(className=f"ow-icon {name}{' small' if small else ''}", **{"aria-hidden": "true"})


def title(
    text: Part | Parts,
    eyebrow: Part | Parts = None,
    lead: Part | Parts = None,
    actions: Parts | None = None,
    clamp: bool = False,
) -> html.Div:
    """The head of a page."""
    words = [
        html.Div(eyebrow, className="ow-eyebrow") if eyebrow else None,
        html.H1(text, className="ow-clamp" if clamp else "", dir="auto"),
        html.P(lead, className="ow-lead") if lead is not None else None,
    ]
    return html.Div([html.Div(words), html.Div(actions or [], className="ow-actions")], className="ow-title")


def panel(
    heading: str,
    body: Part | Parts,
    *,
    note: Part | Parts = None,
    tools: Part | Parts = None,
    foot: Part | Parts = None,
    flush: bool = False,
    export: bool = True,
) -> html.Section:
    """A titled box; `tools` stand at the right of the title, `foot` below the body.

    export: a button whose menu saves what the panel holds (figures, tables, strips, canvases) as PNG, SVG, HTML, CSV or JSON;
    `assets/export-png-csv.js` finds out what there is.
    """
    beside = [*([tools] if tools is not None else []), *([export_button(heading)] if export else [])]
    head = html.Header(
        [
            html.Div([html.H2(heading), html.P(note) if note is not None else None]),
            html.Div(beside, className="ow-actions") if beside else None,
        ]
    )
    inner = html.Div(body, className="body flush" if flush else "body")
    return html.Section([head, inner, foot], className="ow-panel")


def folded(heading: str, body: Part | Parts, *, foot: Part | Parts = None, open: bool = False) -> html.Details:
    """A panel of which at first the heading alone is seen."""
    shown = {"open": True} if open else {}
    parts = [html.Summary(heading), html.Div(body, className="body"), foot]
    return html.Details(parts, className="ow-panel ow-fold", **shown)


def marked(text: str) -> Parts:
    """Words between backticks, as docstrings have them, as code."""
    return [html.Code(part) if i % 2 else part for i, part in enumerate(text.replace("``", "`").split("`"))]


def fact_list(pairs: Iterable[tuple[str, Part]], many: int = 20) -> html.Dl:
    """Names and values below each other; more than `many` of them side by side where there is room."""
    told = list(pairs)
    parts = [part for k, v in told for part in (html.Dt(k.replace("_", " ")), html.Dd(v, dir="auto"))]
    return html.Dl(parts, className="ow-facts many" if len(told) > many else "ow-facts")


def card(name: Part | Parts, *below: str, href: str = "", title: str = "") -> Component:
    """A name and lines below it; with an address it opens that."""
    lines = [html.Div(line, className="meta") for line in below if line]
    words = [html.Div(name, className="name ow-clamp", dir="auto"), *lines]
    more = {"title": title} if title else {}
    return (
        dcc.Link(words, href=href, className="ow-card", **more)
        if href
        else html.Div(words, className="ow-card", **more)
    )


def stat(label: str, value: Part | Parts, note: Part | Parts = None) -> html.Div:
    """A number under its name, with the sentence that says what it means."""
    inner = [
        html.Span(label, className="label"),
        html.Span(value, className="value"),
        html.Span(note, className="note") if note else None,
    ]
    return html.Div(inner, className="ow-stat")


def copyable(text: str) -> html.Span:
    """A command with a button that copies it."""
    return html.Span([html.Span(text), copy_button("the command")], className="ow-command", **{"data-copy": text})


def copy_button(what: str) -> html.Button:
    """Copies the `data-copy` of the element around it, or the page's address where there is none."""
    return html.Button(
        icon("copy", small=True), className="ow-copy", type="button", title="Copy", **{"aria-label": f"Copy {what}"}
    )


def export_button(what: str) -> html.Button:
    """Opens the menu of downloads of the panel it stands in, whose name it says."""
    return html.Button(
        icon("download", small=True),
        className="ow-export",
        type="button",
        title="Save what this panel shows",
        **{"aria-label": f"Save {what}", "aria-haspopup": "menu", "aria-expanded": "false"},
    )


def link_button(
    words: str, href: str, symbol: str | None = None, *, small: bool = False, download: bool = False
) -> Component:
    """A link that looks like a button. One stop for the keyboard, where a button in a link would be two."""
    inner = [icon(symbol, small=True), words] if symbol else words
    look = "ow-go small" if small else "ow-go"
    if download:
        return html.A(inner, href=href, className=look, download="", title=f"Download as {words}")
    return dcc.Link(inner, href=href, className=look)


def empty(heading: str, sentence: Part | Parts, action: Part | Parts = None) -> html.Div:
    """Nothing here yet: what is missing and the one thing that makes it."""
    return html.Div([html.H3(heading), html.P(sentence), action], className="ow-state center")


def error(message: str, fix: Part | Parts = None, heading: str = "This did not work") -> html.Div:
    """A plain sentence with its cause and its fix, copyable."""
    copied = html.Span(copy_button("the message"), **{"data-copy": message})
    body = [html.H3(heading), html.P([message, " ", copied]), html.P(fix) if fix is not None else None]
    return html.Div(body, className="ow-state error", role="alert")


def loading(height: int = 180) -> html.Div:
    """A shape of what is coming."""
    return html.Div(className="ow-skeleton", style={"height": height}, **{"aria-label": "Loading", "aria-busy": "true"})


def meter(share: float | None) -> html.Div:
    """A progress bar; unknown size shows as a sliver."""
    width = "4%" if share is None else f"{100 * share:.1f}%"
    return html.Div(
        html.I(style={"width": width}),
        className="ow-bar",
        role="progressbar",
        **{"aria-valuenow": str(round(100 * (share or 0)))},
    )


def graph(id: str | Json, height: int | str = 420, label: str = "", figure: object = None) -> html.Div:
    """A Plotly figure without the button that would upload it, and with PNG and SVG on its bar; blank until it is given one."""
    config = {
        "displaylogo": False,
        "showSendToCloud": False,
        "responsive": True,
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
        "toImageButtonOptions": {"format": "svg", "filename": f"openwork-{id if isinstance(id, str) else label}"},
    }
    inner = dcc.Graph(
        id=id,
        config=config,
        style={"height": height, "width": "100%"},
        className="ow-plot",
        figure=blank() if figure is None else figure,
    )
    return html.Div(inner, role="img", **{"aria-label": label}) if label else html.Div(inner)


def store(id: str | Json, data: object = None) -> dcc.Store:
    """A store of the page. One that is given None would announce a change when laid out, and who listens run for nothing."""
    return dcc.Store(id=id) if data is None else dcc.Store(id=id, data=data)


def blank() -> Json:
    """A figure with nothing in it, for the moment before the first."""
    hidden = {"visible": False}
    clear = "rgba(0,0,0,0)"
    return {"data": [], "layout": {"xaxis": hidden, "yaxis": hidden, "paper_bgcolor": clear, "plot_bgcolor": clear}}


def segmented(id: str, options: list[tuple[str, str]], value: str) -> dmc.SegmentedControl:
    """A small choice among few."""
    return dmc.SegmentedControl(
        id=id, data=[{"value": v, "label": text} for v, text in options], value=value, size="xs"
    )


def moved(href: str) -> Parts:
    """What stands at an address whose page has another one now, to which the browser goes by itself (`openwork.moved`)."""
    there = html.P([html.Span("This page has moved: "), dcc.Link("it is here", href=href), html.Span(".")])
    return [html.Div(id="moved", **{"data-to": href}), loading(), there]
