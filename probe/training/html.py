"""A training result in a notebook."""

from typing import TYPE_CHECKING

from probe.show.beside import shows
from probe.show.chart import lines_html
from probe.show.html import block, facts_html, side_by_side

if TYPE_CHECKING:
    from probe.training.result import TrainResult

_TRAINING = {"fvu": "fraction of variance unexplained", "l0": "active latents per token", "dead_share": "dead share"}


@shows
def training_html(result: "TrainResult") -> str:
    """How training went, and how it ended."""
    charts = []
    for key, title in _TRAINING.items():
        lines = [m for m in result.metrics if key in m]
        charts.append(lines_html({key: ([m["tokens"] for m in lines], [m[key] for m in lines])}, title, "tokens"))
    plain = {k: v for k, v in result.last.items() if isinstance(v, int | float | str)}
    title = f"{result.folder.name}: trained in {result.seconds:.0f} s"
    return block(side_by_side(*charts), facts_html(plain, "At the end"), title=title)
