"""The logit lens in a notebook."""

from typing import TYPE_CHECKING

import numpy as np

from probe.show.beside import shows
from probe.show.grid import cells_html
from probe.show.html import block, table_html
from probe.show.notebook_token_strip import tokens_html
from probe.show.values import quoted

if TYPE_CHECKING:
    from probe.lens.logit import LensResult

POSITIONS, LAYERS = 10, 16
"Columns and rows of a lens table; the last positions, layers evenly spaced."


@shows
def lens_html(lens: "LensResult") -> str:
    """Loss of each token, the likeliest token by layer and position, and the model's own prediction."""
    lens = lens.as_read()
    n, layers = len(lens.tokens), len(lens.layers)
    at = list(range(max(0, n - POSITIONS), n))
    some = sorted({*range(layers - 1, -1, -max(1, -(-layers // LAYERS))), 0}, reverse=True)
    words = [[lens.top_tokens[i][p][0] for p in at] for i in some]
    part = (
        ""
        if len(at) == n and len(some) == layers
        else f": {len(some)} of {layers} layers, {len(at)} of {n:,} positions"
    )
    grid = cells_html(
        words,
        np.asarray(lens.top_probs)[np.ix_(some, at, [0])][..., 0],
        [lens.layers[i] for i in some],
        [lens.tokens[p] for p in at],
        f"Likeliest next token, layer by position{part}; the fuller the colour, the surer",
        1.0,
    )
    said = table_html(lens.next_tokens(), f"Next token, after position {n - 1}")
    return block(
        tokens_html(lens.tokens, lens.loss, "loss of each token, nats"),
        grid,
        said,
        title=f"Logit lens of {quoted(lens.prompt)}",
    )
