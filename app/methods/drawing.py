"""A record's panels as parts of a page: figures, tables, token strips, aligned columns and sentences, in their order.

The record's own sentence stands first on a page: what was found, then what shows it. All of it is bounded, and what is left out
is said. A panel that cannot be drawn is a sentence in its place, and the others stand. What follows the selection of the page
(`Chosen`, and figures with options) is drawn anew by `app.methods.follow_selection`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from dash import MATCH, ClientsideFunction, Dash, Input, Output, html

from app.components import drawn
from app.components.drawn import Drawn
from app.components.inputs import choose
from app.components.parts import Part, error, graph, marked, panel, part_of, segmented, store
from app.components.plain_rows import TABLE, Link, panel_data, shown_of
from app.figures.dress import dress
from app.trouble import foreseen_in, meet
from probe.methods.in_words import heading
from probe.show.panels import Aligned, Chosen, Figure, Panel, Rows, Sentence, Tokens
from probe.words import counted, spaced

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from probe.show.record import Record

MOST, TOKENS, POINTS = 24, 4096, 400_000
"""Most panels of a record, tokens of a strip, points of a figure; a callback sends a megabyte or two, not ten."""
FEW = 5  # values of an option that stand side by side; more are a menu
_SAID = 200  # characters that tell a record's sentence, of which its panel may be a shorter one
_TITLE, _LEAST, _HIGHEST = 90, 260, 900  # characters of a heading; pixels
_FIGURE, _ROWS, _STRIP, _COLUMNS = "method-figure", TABLE, "method-strip", "method-columns"
FOLLOWS, TURN = "method-follows", "method-turn"


@dataclass(frozen=True)
class Look:
    """How panels are drawn. link: the page of a unit. reference: by which the record is found again
    (`app.methods.method_jobs.found`); without it nothing follows the selection. selection: what is chosen on the page."""

    scheme: str = "light"
    link: Link | None = None
    reference: str = ""
    selection: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a part stands: what tells its id from others of the page, the side that its heading names, and its place among the
    panels of its record."""

    at: str
    side: str
    path: tuple[int, ...]

    def named(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "at": self.at}

    def heading(self, words: str) -> str:
        """A heading that says which of two records it is of."""
        return f"{words} · {self.side}" if self.side else words

    def inner(self, i: int) -> "Place":
        """The place of what it holds."""
        return Place(f"{self.at}-{i}", self.side, (*self.path, i))


def in_page_order(record: "Record") -> list[Panel]:
    """A record's panels, its own sentence first: the one that sums it up, or else the first that it says."""
    panels, said = record.panels(), _words(record.summary())
    sentences = [p for p in panels if isinstance(p, Sentence)]
    first = [*(p for p in sentences if _words(p.text) == said), *sentences][:1]
    return [*first, *(p for p in panels if not any(p is one for one in first))]


def _words(text: object) -> str:
    return " ".join(str(text).split())[:_SAID]


def drawn_panels(record: "Record", side: str, look: Look, at: str = "") -> list[Part]:
    """The parts of a page for a record. side: A or B where two stand side by side, else nothing. at: where on the page, which
    tells these parts from others there."""
    where = f"panels of a {type(record).__name__}"
    found = _tried(where, lambda: in_page_order(record))
    if not isinstance(found, list):
        return [found]
    parts = drawn_list(found[:MOST], look, at, side, where)
    more = len(found) - MOST
    return [
        *parts,
        *([html.P(f"{counted(more, 'more panel')}: record.panels().", className="ow-sub")] if more > 0 else []),
    ]


def drawn_list(panels: Sequence[Panel], look: Look, at: str, side: str = "", where: str = "panels") -> list[Part]:
    """The parts of a page for some panels, in their order."""
    return [
        _tried(where, lambda panel=one, i=i: _part(panel, Place(f"{at}-{i}{side}", side, (i,)), look))
        for i, one in enumerate(panels)
    ]


def register(app: Dash) -> None:
    """What draws the parts in the browser, whatever they are of."""
    drawn.register_rows(app, {"type": _ROWS, "at": MATCH})
    drawn.register_strip(app, {"type": _STRIP, "at": MATCH})
    drawn.register_columns(app, {"type": _COLUMNS, "at": MATCH})
    figure = {"type": _FIGURE, "at": MATCH}
    for function, of, part in (("dressed", "figure", "dressed"), ("placeChosen", "clickData", "clicked")):
        app.clientside_callback(
            ClientsideFunction("openwork", function), Output(figure, f"data-{part}"), Input(figure, of)
        )


def _tried(where: str, draw: Callable[[], Any]) -> Any:
    """What is drawn; where that fails, the sentence that says why."""
    try:
        return draw()
    except Exception as problem:  # a method's own drawing; the page around it must live
        said = foreseen_in(problem, where)
        return error(meet(problem, where).sentence if said is None else said, heading="This could not be drawn")


def _part(one: Panel, at: Place, look: Look) -> Part:
    if isinstance(one, Chosen) or (isinstance(one, Figure) and one.choices):
        return _following(one, at, look)
    if isinstance(one, Figure):
        return _figure(one, at, look)
    if isinstance(one, Rows):
        note = None if one.whole else shown_of(one.rows)
        note = f"{note}; all of them are in record.rows()." if note else None
        data = panel_data(one, look.link, look.selection)
        return panel(at.heading(_short(one.title, "Table")), drawn.rows(at.named(_ROWS), 460, data), note=note)
    if isinstance(one, Tokens):
        return _strip(one, at)
    if isinstance(one, Aligned):
        return panel(
            at.heading(_short(one.label, "Tokens")),
            drawn.columns(at.named(_COLUMNS), columns_data(one)),
            note=f"{BELOW.format(one.apart) if one.apart else ''}{KEYS}",
        )
    return html.P(marked(one.text), className="ow-finding", dir="auto")


BELOW = "The first above the second; below, {}. "
KEYS = "Click a column, or focus them and use the arrow keys."


# -- what follows the selection ----------------------------------------------------------------------------------------------


def _following(one: Chosen | Figure, at: Place, look: Look) -> Part:
    """The panels of the place that is chosen, or the figure as it is turned."""
    name = at.named(FOLLOWS)
    of = followed(one, at, look) if look.reference else None
    stores = [store(part_of(name, "wanted")), store(part_of(name, "of"), of)]
    sizes = {n: [size, one.places()[n]] for n, size in one.sizes.items()} if isinstance(one, Chosen) else {}
    told = {"data-sizes": json.dumps(sizes)} if sizes and look.reference else {}
    return html.Div([*stores, html.Div(inside(one, at, look), id=name, className="ow-chosen")], **told)


def followed(one: Panel, at: Place, look: Look) -> dict[str, Any]:
    """Of which panel it is, and of which selection."""
    names = one.sizes if isinstance(one, Chosen) else [f"show-{o}" for o in getattr(one, "choices", ())]
    shown = {name: look.selection.get(name) for name in names}
    return {"reference": look.reference, "path": list(at.path), "side": at.side, "shown": shown}


def inside(one: Panel, at: Place, look: Look) -> list[Part]:
    """What is drawn for what is chosen now."""
    if isinstance(one, Figure):
        return [_figure(one, at, look)]
    assert isinstance(one, Chosen)
    where, chosen = "panels of a place", {**look.selection, **one.places(look.selection)}
    seen = Look(look.scheme, look.link, look.reference, chosen)
    panels = _tried(where, lambda: one.at(look.selection))
    if not isinstance(panels, list):
        return [panels]
    return [_tried(where, lambda p=p, i=i: _part(p, at.inner(i), seen)) for i, p in enumerate(panels[:MOST])]


def _turned(one: Figure, selection: Mapping[str, Any]) -> dict[str, str]:
    """The value of each option: that of the selection, else the first."""
    asked = {option: selection.get(f"show-{option}") for option in one.choices}
    return {
        option: str(asked[option] if asked[option] in values else values[0]) for option, values in one.choices.items()
    }


# -- one panel ---------------------------------------------------------------------------------------------------------------


def _figure(one: Figure, at: Place, look: Look) -> Part:
    turned = _turned(one, look.selection)
    figure, title = one.draw(**turned), at.heading(heading(one.title))
    tools = (
        [_turn({"type": TURN, "at": at.at, "option": option}, one.choices[option], v) for option, v in turned.items()]
        if look.reference
        else []
    )
    if (points := _points(figure)) > POINTS:
        said = f"This figure holds {points:,} points, too many for a page. In Python: record.figure()."
        return panel(title, html.P(said, className="ow-sub"), export=False)
    height = min(max(figure.layout.height or 420, _LEAST), _HIGHEST)
    shown = graph(at.named(_FIGURE), height, title, dress(figure, look.scheme, **_margins(figure)))
    axes = {"data-axes": " ".join(one.axes)} if one.axes else {}
    if one.named and look.link:
        axes["data-pages"] = json.dumps(_pages(figure, look.link))
    body = html.Div(shown, className="ow-scroll", **axes)
    return panel(title, body, flush=True, tools=html.Div(tools, className="ow-actions") if tools else None)


def _margins(figure: "go.Figure") -> dict[str, Any]:
    """As little room as its words take: the heading stands over it already, and axes and legends make room for themselves."""
    over = bool(figure.layout.annotations or figure.layout.title.text)
    return {"margin": {"b": 12, **({} if over else {"t": 12})}}


def _pages(figure: "go.Figure", link: Link) -> list[list[str | None]]:
    """The page of each point that carries a name, by trace."""
    return [[link(name, {})[0] for name in getattr(trace, "customdata", None) or ()] for trace in figure.data]


def _turn(name: dict[str, str], values: Sequence[str], value: str) -> Part:
    """The choice of an option's value."""
    options = {one: spaced(one) for one in values}
    if len(values) > FEW:
        return choose(name, options, value, name["option"], w=150)
    return segmented(name, [*options.items()], value)


def _strip(one: Tokens, at: Place) -> Part:
    values = np.asarray(list(one.values[:TOKENS]), dtype=float)
    cut = len(one.tokens) > TOKENS
    note = f"The first {TOKENS:,} of {counted(len(one.tokens), 'token')}" if cut else None
    data = drawn.strip_data(list(one.tokens[:TOKENS]), values=values, label=one.label, key=one.picks)
    if one.others is not None:
        data["others"] = drawn.rows_of_bytes(one.others[:TOKENS, :TOKENS])
    return panel(at.heading(_short(one.label, "Tokens")), drawn.token_strip(at.named(_STRIP), data), note=note)


def columns_data(one: Aligned) -> Drawn:
    """Both strips on one scale, and the number of each column, for `assets/beside.js`."""
    a, b = (
        drawn.strip_data(list(tokens[:TOKENS]), values=np.asarray(list(values[:TOKENS]), dtype=float), label=one.label)
        for tokens, values in zip(one.tokens, one.values, strict=True)
    )
    top = max(strip.get("hi") or 0 for strip in (a, b))
    sides = [{**strip, "hi": top} if strip["values"] else strip for strip in (a, b)]
    inside = [i for i, places in enumerate(one.columns) if all(at is None or at < TOKENS for at in places)]
    more = [None if np.isnan(v := float(one.between[i])) else round(v, 4) for i in inside]
    return {
        "a": sides[0],
        "b": sides[1],
        "columns": [[*one.columns[i], _same(one, *one.columns[i])] for i in inside],
        "more": more,
        "largest": max((abs(m) for m in more if m is not None), default=0.0),
        "apart": one.apart,
        "column": next(
            (i for i in reversed(range(len(inside))) if None not in one.columns[inside[i]]), len(inside) - 1
        ),
    }


def _same(one: Aligned, a: int | None, b: int | None) -> bool:
    return a is not None and b is not None and one.tokens[0][a] == one.tokens[1][b]


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
