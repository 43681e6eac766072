"""A record's panels as parts of a page: figures, tables, token strips and sentences, in their order.

The record's own sentence stands first on a page: what was found, then what shows it. All of it is bounded, and what is left out
is said. A panel that cannot be drawn is a sentence in its place, and the others stand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from dash import MATCH, ClientsideFunction, Dash, Input, Output, html

from app.components import drawn
from app.components.parts import Part, error, graph, marked, panel
from app.components.plain_rows import TABLE, Link, panel_data, shown_of
from app.figures.dress import dress
from app.methods.words import heading
from app.trouble import foreseen_in, meet
from probe.show.panels import Figure, Panel, Rows, Sentence, Tokens
from probe.words import counted

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from probe.show.record import Record

MOST, TOKENS, POINTS = 24, 4096, 400_000
"""Most panels of a record, tokens of a strip, points of a figure; a callback sends a megabyte or two, not ten."""
_SAID = 200  # characters that tell a record's sentence, of which its panel may be a shorter one
_TITLE, _LEAST, _HIGHEST = 90, 260, 900  # characters of a heading; pixels
_FIGURE, _ROWS, _STRIP = "method-figure", TABLE, "method-strip"


def in_page_order(record: "Record") -> list[Panel]:
    """A record's panels, its own sentence first: the one that sums it up, or else the first that it says."""
    panels, said = record.panels(), _words(record.summary())
    sentences = [p for p in panels if isinstance(p, Sentence)]
    first = [*(p for p in sentences if _words(p.text) == said), *sentences][:1]
    return [*first, *(p for p in panels if not any(p is one for one in first))]


def _words(text: object) -> str:
    return " ".join(str(text).split())[:_SAID]


def drawn_panels(record: "Record", side: str, scheme: str, link: Link | None = None, at: str = "") -> list[Part]:
    """The parts of a page for a record. side: A or B where two stand side by side, else nothing. link: the page of a unit. at:
    where on the page, which tells these parts from others there."""
    where = f"panels of a {type(record).__name__}"
    found = _tried(where, lambda: in_page_order(record))
    if not isinstance(found, list):
        return [found]
    parts = [
        _tried(where, lambda panel=one, i=i: _part(panel, _Place(f"{at}-{i}{side}", side), scheme, link))
        for i, one in enumerate(found[:MOST])
    ]
    more = len(found) - MOST
    return [
        *parts,
        *([html.P(f"{counted(more, 'more panel')}: record.panels().", className="ow-sub")] if more > 0 else []),
    ]


def register(app: Dash) -> None:
    """What draws the parts in the browser, whatever they are of."""
    drawn.register_rows(app, {"type": _ROWS, "at": MATCH})
    drawn.register_strip(app, {"type": _STRIP, "at": MATCH})
    figure = {"type": _FIGURE, "at": MATCH}
    app.clientside_callback(
        ClientsideFunction("openwork", "dressed"), Output(figure, "data-dressed"), Input(figure, "figure")
    )


def _tried(where: str, draw: Callable[[], Any]) -> Any:
    """What is drawn; where that fails, the sentence that says why."""
    try:
        return draw()
    except Exception as problem:  # a method's own drawing; the page around it must live
        said = foreseen_in(problem, where)
        return error(meet(problem, where).sentence if said is None else said, heading="This could not be drawn")


@dataclass(frozen=True)
class _Place:
    """Where a part stands: what tells its id from others of the page, and the side that its heading names."""

    at: str
    side: str

    def named(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "at": self.at}

    def heading(self, words: str) -> str:
        """A heading that says which of two records it is of."""
        return f"{words} · {self.side}" if self.side else words


def _part(one: Panel, at: _Place, scheme: str, link: Link | None) -> Part:
    if isinstance(one, Figure):
        return _figure(one, at, scheme)
    if isinstance(one, Rows):
        note = shown_of(one.rows)
        note = f"{note}; all of them are in record.rows()." if note else None
        return panel(
            at.heading(_short(one.title, "Table")),
            drawn.rows(at.named(_ROWS), 460, panel_data(one, link)),
            note=note,
        )
    if isinstance(one, Tokens):
        return _strip(one, at)
    return html.P(marked(one.text), className="ow-finding", dir="auto")


def _figure(one: Figure, at: _Place, scheme: str) -> Part:
    figure = one.draw()
    title = at.heading(heading(one.title))
    if (points := _points(figure)) > POINTS:
        said = f"This figure holds {points:,} points, too many for a page. In Python: record.figure()."
        return panel(title, html.P(said, className="ow-sub"), export=False)
    height = min(max(figure.layout.height or 420, _LEAST), _HIGHEST)
    shown = graph(at.named(_FIGURE), height, title, dress(figure, scheme))
    return panel(title, html.Div(shown, className="ow-scroll"), flush=True)


def _strip(one: Tokens, at: _Place) -> Part:
    values = np.asarray(list(one.values[:TOKENS]), dtype=float)
    cut = len(one.tokens) > TOKENS
    note = f"The first {TOKENS:,} of {counted(len(one.tokens), 'token')}" if cut else None
    data = drawn.strip_data(list(one.tokens[:TOKENS]), values=values, label=one.label)
    return panel(at.heading(_short(one.label, "Tokens")), drawn.token_strip(at.named(_STRIP), data), note=note)


def _short(title: str, otherwise: str) -> str:
    """A title that fits over a panel; the record's whole sentence stands above already."""
    return heading(title) if len(title) <= _TITLE else otherwise


def _points(figure: "go.Figure") -> int:
    """How many numbers a figure holds."""
    held = [getattr(trace, name, None) for trace in figure.data for name in ("x", "y", "z", "text", "customdata")]
    return sum(
        int(np.size(np.asarray(values, dtype=object))) if not hasattr(values, "size") else int(values.size)
        for values in held
        if values is not None
    )
