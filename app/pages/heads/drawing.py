"""What the heads page draws: plain data and parts from records, which say what their tables hold."""

import base64
from typing import TYPE_CHECKING

import numpy as np
from dash import html

from app.components import drawn
from app.components.drawn import Drawn
from app.components.parts import Part, Parts, stat
from app.components.plain_rows import TABLE, row_data, table
from app.pages.heads.chosen import FIRST, Chosen
from probe.heads.scores import AT_TOKEN, SCORES, HeadTable
from probe.show.html import shown
from probe.words import number

if TYPE_CHECKING:
    from numpy import ndarray

    from probe.heads.patterns import HeadPatterns

DENSE = 512  # positions up to which the whole pattern goes to the browser
_SPARSE = 32  # strongest keys a query keeps beyond that
READING = html.P("Being read.", className="ow-sub")


def base_of(heads: "HeadPatterns") -> Drawn:
    """All patterns as thumbnails, coarser where there are many."""
    layers, count = heads.patterns.shape[:2]
    return drawn.thumbs_data(heads.patterns, {}, {}, 40 if layers * count <= 300 else 24)


def tint(scored: HeadTable) -> Drawn:
    """The scores as the thumbnails take them: as they are, and from 0 to 1 by their own size."""
    raw = {m: np.nan_to_num(np.asarray(v, float)).ravel() for m, v in scored.scores.items()}
    size = {m: np.abs(v) if m == "direct" else np.maximum(v, 0) for m, v in raw.items()}
    top = {m: max(float(v.max(initial=0)), 1.0 if m not in (*AT_TOKEN, "entropy") else 1e-9) for m, v in size.items()}
    return {
        "names": {m: SCORES[m][0] for m in raw},
        "raw": {m: [float(f"{x:.4g}") for x in v] for m, v in raw.items()},
        "metrics": {m: [round(float(x), 3) for x in v / top[m]] for m, v in size.items()},
    }


def head_rows(scored: HeadTable, metric: str, name: str) -> Drawn:
    """The table of heads, by one score; a line selects its head."""
    rows = scored.rows(metric if metric in scored.scores else FIRST, None)
    data = row_data("All heads", rows, picks=[picks(row["head"]) for row in rows], chosen=picks(name), most=len(rows))
    waits = "" if "direct" in scored.scores else " More scores are being computed."
    return {**data, "page": None, "note": f"Click a column to sort by it.{waits}"}


def picks(part: str) -> dict[str, str]:
    """What the line of a head selects; nothing, of another part."""
    return {"head": part[1:].replace("H", ".")} if part.startswith("L") else {}


def pattern_bytes(pattern: "ndarray") -> Drawn:
    """A head's pattern for the hovering of strips: all of it up to `DENSE` positions, else each query's strongest keys."""
    n = len(pattern)
    small = np.round(np.clip(pattern, 0, 1) * 255).astype(np.uint8)
    if n <= DENSE:
        return {"n": n, "dense": base64.b64encode(small.tobytes()).decode()}
    best = np.argsort(-small, axis=1, kind="stable")[:, :_SPARSE]
    return {"n": n, "keys": [[[int(k), int(small[q, k])] for k in best[q] if small[q, k] > 0] for q in range(n)]}


def facts(at: Chosen) -> Parts:
    """What is known about the head, shortest first."""
    names = ("entropy", "previous_token", "first_token", "self", "induction")
    found = [(SCORES[m][0], number(float(at.heads.metrics[m][at.layer, at.head]))) for m in names]
    if (read := at.reading) is not None:
        found += [("direct effect", number(float(read.direct[at.query]))), ("copying", number(read.copying, 2))]
    return [stat(*fact) for fact in found]


def read_tables(at: Chosen) -> dict[str, Part]:
    """The tables of the head that was read, of the selected query and key; what is being read says so."""
    if (read := at.reading) is None:
        return dict.fromkeys(("attended", "here", "word", "qk", "directions"), READING)
    found = read.tables(at.query, at.key)
    few = found["attended"].rows
    rest = 1 - sum(row["attention"] for row in few)
    some = f"These {len(few)} of {at.query + 1} keys; the others get {max(rest, 0):.3f} together."
    notes = {"attended": some if len(few) <= at.query else ""}
    return {
        name: table(rows, f"heads-{name}", 440, chosen={"source": at.key}, note=notes.get(name, ""))
        for name, rows in found.items()
    }


def direct(at: Chosen) -> Parts:
    """What the head adds to the logit, and the heads and MLPs that add most to it, what is left, and their sum."""
    said = html.P(
        at.reading.adds(at.query) if at.reading is not None else "", id="heads-direct", className="ow-edited-sentence"
    )
    if (whole := at.scores.get("direct")) is None:
        return [said, READING]
    rows = whole.rows(at.query, 10)
    rows += [{"part": "together: the logit", "adds to the logit": float(whole.total()[at.query])}]
    title = f"What adds to the logit of {shown(whole.target_tokens[at.query])}"
    data = row_data(title, rows, picks=[picks(row["part"]) for row in rows], chosen=picks(at.name))
    sums = [{**row, "quiet": True} for row in data["rows"][-3:]]  # they stay below when the table is sorted
    parts = drawn.rows({"type": TABLE, "at": "heads-parts"}, 360, {**data, "rows": [*data["rows"][:-3], *sums]})
    return [said, html.H3(title, className="heads-h3"), html.Div(parts, id="heads-parts")]
