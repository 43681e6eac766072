"""Training runs as their records show themselves, one or several over each other, drawn anew while one of them is written.

A reference names them (`run:NAME`, `runs:NAME,NAME`), so that what is turned on a curve stands in the page's address.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

from dash import Output, dcc, html, no_update, set_props
from dash.development.base_component import Component

from app import links
from app.components.parts import Part, Parts
from app.methods.drawing import Look, drawn_panels
from app.methods.method_jobs import RECORDS, Found
from app.pages.training.work import run_of
from app.selection import Selection, selection_from
from probe.show.record import Record
from probe.training.run_logs.compare_runs import RunComparison
from probe.training.run_logs.runs_on_disk import SMOOTHED, TrainingRun

_BEFORE = {"x": "show-axis", "y": "show-scale", "w": "show-smoothed"}
"""How addresses of before call what is turned on a curve."""


def selected(query: dict[str, str]) -> Selection:
    """How curves are turned, as the address has it."""
    smoothed = {str(lines): word for word, lines in SMOOTHED.items()}
    before = {new: smoothed.get(query[old], query[old]) for old, new in _BEFORE.items() if old in query}
    return selection_from({**before, **query})


def in_address(names: Sequence[str]) -> str:
    """Names as they stand in an address: quoted, so that a comma in a name is none between two."""
    return ",".join(quote(name, safe="") for name in names)


def from_address(text: str) -> list[str]:
    """Names that an address holds, each once."""
    return [*dict.fromkeys(unquote(part) for part in text.split(",") if part)]


def run_link(name: Any, row: object) -> tuple[str, str]:
    """The page of a run by its name."""
    return links.run_page(str(name)), ""


def mark(some: Sequence[TrainingRun]) -> list[object]:
    """Changes whenever they would look different."""
    return [[run.name, run.state, run.log.lines if run.log else 0, bool(run.facts)] for run in some]


def drawn_run(run: TrainingRun, selection: Selection, scheme: str) -> Parts:
    """One run."""
    return drawn_panels(run, "", Look(scheme, None, f"run:{run.name}", selection), at="run")


def drawn_runs(some: list[TrainingRun], selection: Selection, scheme: str) -> Parts:
    """Several runs over each other."""
    if not some:
        return [html.P("No run is shown; click one above.", className="ow-partial")]
    look = Look(scheme, run_link, f"runs:{in_address([run.name for run in some])}", selection)
    return drawn_panels(RunComparison(some), "", look, at="runs")


def laid_out(at: str, parts: Parts) -> Parts:
    """What is said first, the curves, and the rest, each where it can be drawn anew."""
    places = {"said": parts[:1], "figure": parts[1:2], "more": parts[2:]}
    return [html.Div(some, id=f"{at}-{name}", className="ow-stack") for name, some in places.items()]


def outputs(at: str) -> list[Output]:
    """Of these places, as `again` fills them."""
    return [Output(f"{at}-{name}", "children") for name in ("said", "figure", "more")]


def again(parts: Parts, same: bool) -> tuple[Any, Any, Any]:
    """The same parts for a page on which they stand. same: the curves are of the runs that are there already; these get longer in
    the figure that stands, which stays zoomed as it is."""
    standing = [one for part in parts[1:2] for one in _graphs(part)] if same else []
    for one in standing:
        set_props(one.id, {"figure": one.figure})
    return parts[:1], no_update if standing else parts[1:2], parts[2:]


def _graphs(part: Part) -> list[dcc.Graph]:
    return [one for one in part._traverse() if isinstance(one, dcc.Graph)] if isinstance(part, Component) else []


def _several(names: str) -> Record:
    return RunComparison([run_of(name) for name in from_address(names)])


RECORDS["run"] = lambda name: Found(f"run:{name}", run_of(name))
RECORDS["runs"] = lambda names: Found(f"runs:{names}", _several(names), link=run_link)
