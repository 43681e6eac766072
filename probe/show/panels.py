"""What there is to see of a record, in pieces of six sorts: a notebook, a page, a terminal and an HTML file draw the same list.

A piece holds plain values. A figure is drawn when somebody asks for it, since a terminal never does and plotly takes long to
import. Where a reader can choose a place (a token, a column, a layer), `Chosen` is what there is to see of it; who cannot choose
gets that of the place it begins with (`unfolded`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from probe.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import plotly.graph_objects as go
    from jaxtyping import Float


MOST = 40
"""Rows of a table that a terminal gets, if it asks for no other number; --json and --csv have all."""


@dataclass(frozen=True)
class Figure:
    """A picture. draw: makes the plotly figure; its options are those of the record's `figure`. choices: options that a reader
    may turn, each with its values, the first as it is drawn. axes: what is chosen by a place in it, across and up. named: each
    point carries the name of what has a page (`customdata`)."""

    title: str
    draw: "Callable[..., go.Figure]"
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    axes: tuple[str, ...] = ()
    named: bool = False


@dataclass(frozen=True)
class Rows:
    """A table, a mapping a row. picks: what is chosen by each row. kinds: of columns whose values do not tell what they are; a
    `name` is that of what has a page. meanings: of columns, what is more than the glossary says, or another thing. whole: no
    row is left out anywhere, however many there are. sums: so many last rows stay below, however it is sorted."""

    title: str
    rows: Sequence[Mapping[str, Any]]
    picks: Sequence[Mapping[str, Any]] = ()
    kinds: Mapping[str, Literal["token", "share", "name"]] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False
    sums: int = 0


@dataclass(frozen=True)
class Tokens:
    """A strip of tokens, each with its number (NaN: none), which colours it. label: what the number is. picks: what a reader
    chooses by a token. others: row i is what the numbers are while a reader points at token i."""

    label: str
    tokens: Sequence[str]
    values: Sequence[float]
    picks: str = "token"
    others: "Float[np.ndarray, 'token token'] | None" = None


@dataclass(frozen=True)
class Aligned:
    """Two rows of tokens, one above the other, as columns; a reader may choose a `column`. columns: the position in either, None
    for a gap. values: a number for each token of either (NaN: none), which colours it; label: what it is. between: a number for
    each column; apart: what that is."""

    label: str
    tokens: tuple[Sequence[str], Sequence[str]]
    columns: Sequence[tuple[int | None, int | None]]
    values: tuple[Sequence[float], Sequence[float]]
    apart: str
    between: Sequence[float]

    def rows(self) -> list[dict[str, Any]]:
        """A row a column."""

        def cell(side: int, at: int | None) -> tuple[str | None, float | None]:
            return (None, None) if at is None else (self.tokens[side][at], self.values[side][at])

        found = []
        for (a, b), apart in zip(self.columns, self.between, strict=True):
            (one, first), (other, second) = cell(0, a), cell(1, b)
            found.append(
                {
                    "a token": one,
                    f"{self.label} (a)": first,
                    "b token": other,
                    f"{self.label} (b)": second,
                    self.apart: apart,
                }
            )
        return found


@dataclass(frozen=True)
class Chosen:
    """What there is to see of one place. sizes: how many there are of what is chosen, by its name. show: takes the places by
    those names and gives the panels. start: where it begins; of what is not among it the last."""

    sizes: Mapping[str, int]
    show: "Callable[..., Sequence[Panel]]"
    start: Mapping[str, int] = field(default_factory=dict)

    def places(self, chosen: Mapping[str, Any] | None = None) -> dict[str, int]:
        """The places that are chosen; where none is, or one that is not there, those it begins with."""
        found = {name: self.start.get(name, size - 1) for name, size in self.sizes.items()}
        told = _apart(chosen or {})
        for name, size in self.sizes.items():
            at = told.get(name)
            if isinstance(at, int) and not isinstance(at, bool) and 0 <= at < size:
                found[name] = at
        return found

    def at(self, chosen: Mapping[str, Any] | None = None) -> "list[Panel]":
        """The panels of the places that are chosen."""
        return list(self.show(**self.places(chosen)))


def _apart(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What is chosen; a head, which is chosen as `5.3`, as its layer and its number."""
    layer, dot, head = str(chosen.get("head", "")).partition(".")
    named = {"layer": int(layer), "head": int(head)} if dot and layer.isdecimal() and head.isdecimal() else {}
    return {**chosen, **named}


@dataclass(frozen=True)
class Sentence:
    """A sentence, or several."""

    text: str


Plain = Figure | Rows | Tokens | Aligned | Sentence
Panel = Plain | Chosen


def unfolded(panels: Iterable[Panel], chosen: Mapping[str, int] | None = None) -> list[Plain]:
    """The panels for who cannot choose: in the place of a `Chosen` those of the places named, or that it begins with. BadInput
    for a place that there is not; the last is -1."""
    panels = list(panels)
    sizes = {name: size for one in panels if isinstance(one, Chosen) for name, size in one.sizes.items()}
    for name, at in (chosen or {}).items():
        if name not in sizes:
            raise BadInput(
                f"Nothing here follows a {name}; {', '.join(sizes) or 'no choice'} is what there is to choose."
            )
        if not -sizes[name] <= at < sizes[name]:
            raise BadInput(f"There is no {name} {at}; there are {sizes[name]}, from 0 to {sizes[name] - 1}.")
    places = {name: at % sizes[name] for name, at in (chosen or {}).items()}
    return [p for one in panels for p in (unfolded(one.at(places)) if isinstance(one, Chosen) else [one])]


def told(panels: Iterable[Panel]) -> list[dict[str, Any]]:
    """Panels as plain values, without the figures: a figure is drawn where its record is."""
    return [{"sort": type(p).__name__, **vars(p)} for p in unfolded(panels) if not isinstance(p, Figure)]


def as_told(plain: Iterable[Mapping[str, Any]]) -> list[Panel]:
    """The panels of what `told` gave."""
    sorts = {one.__name__: one for one in (Rows, Tokens, Aligned, Sentence)}
    return [sorts[one["sort"]](**{name: value for name, value in one.items() if name != "sort"}) for one in plain]
