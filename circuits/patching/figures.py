"""The heat map of a patching sweep: blue towards the clean run, red towards the corrupted one, white where nothing moves."""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from probe.show.beside import draws
from probe.show.labels import SIGNED, _finish, label_text, plain, token_axis

if TYPE_CHECKING:
    from circuits.patching.record import Cell, PatchingSweep

QUANTITIES = {"effect": "effect (1 = all)", "raw": "metric − unpatched"}


def plane(sweep: "PatchingSweep", what: str = "effect") -> np.ndarray:
    """The sweep as rows and columns: layers upwards; of three axes, a row for each layer and head."""
    grid = sweep.effect if what == "effect" else sweep.raw - sweep.base.value
    return grid.reshape(-1, grid.shape[-1])


def cell_at(sweep: "PatchingSweep", row: int, column: int) -> "Cell":
    """The cell that a place of the heat map shows."""
    if len(sweep.axes) == 2:
        return row, column
    return (*divmod(row, sweep.raw.shape[1]), column)


@draws
def patching_figure(sweep: "PatchingSweep", what: str = "effect", height: int | None = None) -> go.Figure:
    """Layer by position or head. what: `effect` (normalised) or `raw` (the metric's own unit)."""
    z = plane(sweep, what)
    top = float(np.abs(z[np.isfinite(z)]).max(initial=0)) or 1.0
    figure = go.Figure(
        go.Heatmap(
            z=np.round(z, 6),
            colorscale=SIGNED,
            zmin=-top,
            zmax=top,
            zmid=0,
            customdata=_hover(sweep),
            hovertemplate="%{customdata}<br>moves by %{z:.4f}<extra></extra>",
            colorbar={"title": {"text": QUANTITIES[what], "side": "right"}, "thickness": 12},
        )
    )
    figure.update_yaxes(**_rows_axis(sweep), title="layer")
    if sweep.kind.by_pos:
        figure.update_xaxes(**_tokens_axis(sweep), title=_positions_title(sweep), side="bottom")
    else:
        n = z.shape[1]
        ticks: list[Any] = list(range(0, n, max(1, n // 32)))
        title = "neuron" if "neuron" in sweep.axes else "head"
        figure.update_xaxes(tickvals=ticks, ticktext=[str(i) for i in ticks], title=title)
    return _finish(figure, height or int(np.clip(90 + 18 * len(z), 240, 900)))


def _tokens_axis(sweep: "PatchingSweep") -> dict[str, Any]:
    """Positions by their token; where the prompts differ by both, the clean one first."""
    axis = token_axis(sweep.base.tokens)
    told = [sweep.tokens_at(i) for i in axis["tickvals"]]
    return {**axis, "ticktext": [" / ".join(plain(t, 12 if len(both) == 1 else 9) for t in both) for both in told]}


def _positions_title(sweep: "PatchingSweep") -> str:
    return "position patched" + (" (clean / corrupted where they differ)" if sweep.pair.differs else "")


def _rows_axis(sweep: "PatchingSweep") -> dict[str, Any]:
    layers, per = sweep.raw.shape[0], (sweep.raw.shape[1] if len(sweep.axes) == 3 else 1)
    every = max(1, layers // 16)
    at = list(range(0, layers, every))
    return {"tickvals": [i * per for i in at], "ticktext": [str(i) for i in at]}


def _hover(sweep: "PatchingSweep") -> list[list[str]]:
    z = plane(sweep)
    return [[_words(sweep, cell_at(sweep, row, column)) for column in range(z.shape[1])] for row in range(z.shape[0])]


def _words(sweep: "PatchingSweep", cell: "Cell") -> str:
    head = label_text(sweep.name(cell), 60)
    if not np.isfinite(sweep.raw[cell]):
        return f"{head}<br>not asked for"
    if not sweep.computed[cell]:
        return f"{head}<br>the same in both runs, so not run"
    best = ", ".join(f"{plain(c.token, 16)} {c.patched:.2f}" for c in sweep.candidates(cell)[:3])
    return f"{head}<br>then {best}"
