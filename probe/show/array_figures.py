"""Any array of layers by heads (or by anything) as one figure."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from probe.show.labels import SEQUENTIAL, SIGNED, _finish, label_text


def grid_figure(
    values: Float[np.ndarray, "layer head"],
    label: str,
    signed: bool = False,
    height: int | None = None,
    layers: Sequence[int] | None = None,
) -> go.Figure:
    """One cell a head; the longer of the two axes runs to the right. layers: which ones the rows of values are, where they are
    not all; then layers run to the right, however few they are."""
    wide = layers is not None or values.shape[0] >= values.shape[1]
    named = list(layers) if layers is not None else list(range(values.shape[0]))
    z = values.T if wide else values
    size = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    names = [[f"L{named[x if wide else y]}H{y if wide else x}" for x in range(z.shape[1])] for y in range(z.shape[0])]
    trace = go.Heatmap(
        z=np.round(z.astype(float), 5),
        customdata=names,
        colorscale=SIGNED if signed else SEQUENTIAL,
        zmin=-size if signed else min(0.0, float(np.nanmin(values, initial=0))),
        zmax=size,
        xgap=1,
        ygap=1,
        hoverongaps=False,
        colorbar={"title": {"text": label, "side": "right"}, "thickness": 10, "outlinewidth": 0},
        hovertemplate=f"%{{customdata}}: {label_text(label, 60)} %{{z:.3f}}<extra></extra>",
    )
    figure = go.Figure(trace)
    across, down = ("L", "H") if wide else ("H", "L")
    for name, letter, count in (("x", across, z.shape[1]), ("y", down, z.shape[0])):
        at = list(range(0, count, -(-count // 18)))
        texts = [f"{letter}{named[i] if letter == 'L' else i}" for i in at]
        axis = {"tickvals": at, "ticktext": texts, "showgrid": False}
        figure.update_xaxes(**axis) if name == "x" else figure.update_yaxes(**axis)
    figure.update_yaxes(autorange="reversed")
    return _finish(figure, height or 80 + 24 * z.shape[0])
