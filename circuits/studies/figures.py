"""A study's picture: a line a claim, its number with its interval, the range of its control, coloured by the verdict."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from circuits.studies.claim import WORDS
from probe.show.beside import draws

if TYPE_CHECKING:
    from circuits.studies.record import Outcome, StudyResult
    from circuits.studies.study import Lines

COLOURS = dict(zip(WORDS, ("#0072B2", "#E69F00", "#D55E00", "#888888"), strict=True))
SYMBOLS = dict(zip(WORDS, ("circle", "diamond", "x", "circle-open"), strict=True))


@draws
def study_figure(result: "StudyResult") -> go.Figure:
    """Every claim that has a number, the first on top."""
    told = [o for o in result.outcomes if o.measured is not None]
    names, figure = [o.claim.name for o in told], go.Figure()
    figure.add_trace(_controls(told))
    for word in WORDS:
        if some := [o for o in told if o.verdict.word == word]:
            figure.add_trace(_numbers(some, word))
    figure.add_vline(x=0, line={"color": "#888888", "width": 1})
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], automargin=True)
    figure.update_xaxes(title="more speaks for the claim")
    return figure.update_layout(
        height=140 + 32 * len(told), margin={"t": 20, "r": 20}, legend={"orientation": "h", "y": 1.08}
    )


def _controls(told: "list[Outcome]") -> go.Scatter:
    """The range of the control sets as a grey bar behind the numbers."""
    x, y = [], []
    for one in told:
        random = one.measured.random  # type: ignore[union-attr]  # those that have a number
        x += [random.low, random.high, None]
        y += [one.claim.name, one.claim.name, None]
    return go.Scatter(x=x, y=y, mode="lines", line={"color": "rgba(128,128,128,0.45)", "width": 9}, name="control sets")


def _numbers(some: "list[Outcome]", word: str) -> go.Scatter:
    ranges = [o.measured.interval for o in some]  # type: ignore[union-attr]
    return go.Scatter(
        x=[i.mean for i in ranges],
        y=[o.claim.name for o in some],
        mode="markers",
        marker={"color": COLOURS[word], "symbol": SYMBOLS[word], "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [i.high - i.mean for i in ranges],
            "arrayminus": [i.mean - i.low for i in ranges],
        },
        name=word,
    )


def lines_figure(one: "Lines") -> go.Figure:
    """Lines with their errors; some of them dashed, so that they differ without colour."""
    figure = go.Figure()
    for i, line in enumerate(one.lines):
        style = {"color": _LINES[i % len(_LINES)], "dash": ("solid", "dash", "dot")[i % 3]}
        error = {"array": line.error, "thickness": 1, "width": 2}
        figure.add_trace(go.Scatter(x=line.x, y=line.y, error_y=error, line=style, name=line.name))
    figure.update_xaxes(title=one.x)
    figure.update_yaxes(title=one.y)
    return figure.update_layout(height=380, margin={"t": 20, "r": 20}, legend={"orientation": "h", "y": 1.15})


_LINES = ("#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#009E73", "#56B4E9")
