"""What there is to see of a record, in pieces of four sorts: a notebook, a page, a terminal and an HTML file draw the same list.

A piece holds plain values. A figure is drawn when somebody asks for it, since a terminal never does and plotly takes long to
import.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Figure:
    """A picture. draw: makes the plotly figure; its options are those of the record's `figure`."""

    title: str
    draw: "Callable[..., go.Figure]"


@dataclass(frozen=True)
class Rows:
    """A table, a mapping a row. picks: what is chosen by each row. kinds: of columns whose values do not tell what they are."""

    title: str
    rows: Sequence[Mapping[str, Any]]
    picks: Sequence[Mapping[str, Any]] = ()
    kinds: Mapping[str, Literal["token", "share"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Tokens:
    """A strip of tokens, each with its number (NaN: none), which colours it. label: what the number is."""

    label: str
    tokens: Sequence[str]
    values: Sequence[float]


@dataclass(frozen=True)
class Sentence:
    """A sentence, or several."""

    text: str


Panel = Figure | Rows | Tokens | Sentence
