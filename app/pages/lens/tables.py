"""The numbers and rows of the lens page: plain data from records, no components."""

from typing import TYPE_CHECKING

import numpy as np

from app.components.drawn import Drawn
from app.figures.lens_follow import COLOURS
from app.selection import Selection
from probe.words import number

if TYPE_CHECKING:
    from probe.lens.follow import TokenThroughLayers
    from probe.lens.logit import LensResult


OWN = ("final", "next")
FOLLOWED = {"final": "final prediction", "next": "what really follows"}


def chosen_layer(selection: Selection | None, lens: "LensResult") -> int:
    """The selected layer's row; the last when none is, or the address names one that is not there."""
    layer = (selection or {}).get("layer")
    return layer if isinstance(layer, int) and 0 <= layer < len(lens.layers) else len(lens.layers) - 1


def chosen_colour(text: str | None) -> str:
    """The colour of an address."""
    return text if text in COLOURS else "probability"


def chosen_follow(text: object) -> int | str:
    """What is followed: `final`, `next` or a token id."""
    if isinstance(text, int) and text >= 0:
        return text
    return (
        int(text)
        if isinstance(text, str) and text.isdecimal() and len(text) < 10
        else "next"
        if text == "next"
        else "final"
    )


def layer_rows(lens: "LensResult", at: int, layer: int) -> Drawn:
    """The selected position, layer by layer, the last on top."""
    rows = [
        {
            "layer": label,
            "tokens": lens.top_tokens[i][at][:4],
            "bar": float(lens.top_probs[i, at, 0]),
            "p": float(lens.top_probs[i, at, 0]),
            "rank": int(lens.rank_of_final[i, at]),
            "entropy": float(lens.entropy[i, at]),
            "kl": float(lens.kl[i, at]),
            "norm": float(lens.resid_norm[i, at]),
            "pick": {"layer": i},
            "selected": i == layer,
        }
        for i, label in reversed(list(enumerate(lens.layers)))
    ]
    columns = [
        {"key": "layer", "label": "layer", "kind": "unit"},
        {"key": "tokens", "label": "likeliest next", "kind": "tokens"},
        {"key": "bar", "label": "", "kind": "meter"},
        {"key": "p", "label": "p", "kind": "num", "title": "probability of the first"},
        {
            "key": "rank",
            "label": "rank of final",
            "kind": "count",
            "title": "of the whole model's likeliest token; 0 is first",
        },
        {"key": "entropy", "label": "entropy", "kind": "num", "title": "nats"},
        {"key": "kl", "label": "KL", "kind": "num", "title": "to the final prediction, nats"},
        {"key": "norm", "label": "norm", "kind": "num", "title": "length of the residual stream"},
    ]
    return {"columns": columns, "rows": rows, "label": "Layers at the selected position", "sorts": True}


def next_rows(lens: "LensResult", at: int, layer: int) -> Drawn:
    """The likeliest next tokens at one cell; a click follows one."""
    cells = zip(lens.top_tokens[layer][at], lens.top_probs[layer, at], lens.top_ids[layer, at], strict=True)
    rows = [{"token": t, "bar": float(p), "p": float(p), "pick": {"follow": int(i)}} for t, p, i in cells]
    columns = [
        {"key": "token", "label": "next token", "kind": "token"},
        {"key": "bar", "label": "", "kind": "meter"},
        {"key": "p", "label": "probability", "kind": "num"},
    ]
    return {
        "columns": columns,
        "rows": rows,
        "label": "Next tokens",
        "note": "Click one to follow it through the layers.",
    }


def cell_words(lens: "LensResult", at: int, layer: int) -> str:
    """The selected cell in one sentence."""
    label = lens.layers[layer]
    where = "at the embedding" if label == "embed" else f"after layer {label}"
    rank, kl = int(lens.rank_of_final[layer, at]), number(float(lens.kl[layer, at]))
    return (
        f"Read {where}: entropy {number(float(lens.entropy[layer, at]))} nats, KL to the final prediction {kl} nats; "
        f"the final prediction has rank {rank:,}; the stream is {number(float(lens.resid_norm[layer, at]))} long."
    )


def follow_rows(found: "TokenThroughLayers", which: int, at: int, layer: int) -> Drawn:
    """One followed token at the selected position, the last layer on top."""
    rows = [
        {
            "layer": row["layer"],
            "p": _cell(row["probability"]),
            "rank": row["rank"] if row["rank"] >= 0 else None,
            "logit": _cell(row["logit"]),
            "pick": {"layer": i},
            "selected": i == layer,
        }
        for i, row in reversed(list(enumerate(found.rows(at, which))))
    ]
    columns = [
        {"key": "layer", "label": "layer", "kind": "unit"},
        {"key": "p", "label": "probability", "kind": "num"},
        {"key": "rank", "label": "rank", "kind": "count"},
        {"key": "logit", "label": "logit", "kind": "num"},
    ]
    return {"columns": columns, "rows": rows, "label": "The followed token, by layer", "sorts": True}


def _cell(value: float) -> float | None:
    return None if not np.isfinite(value) else float(f"{value:.5g}")
