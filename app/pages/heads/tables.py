"""The numbers and rows of the heads page: plain data from records, no components."""

from typing import TYPE_CHECKING

import numpy as np

from app.components.drawn import Drawn
from app.selection import Selection, chosen_head, position
from probe.artifacts.json import Json
from probe.heads.scores import AT_TOKEN, SCORES, HeadTable, put_together
from probe.words import number

if TYPE_CHECKING:
    from numpy import ndarray

    from probe.heads.patterns import HeadPatterns
    from probe.heads.reading import HeadReading
    from probe.lens.direct import DirectLogits


FIRST = "previous_token"
DENSE = 512  # positions up to which the whole pattern goes to the browser
_SPARSE = 32  # strongest keys a query keeps beyond that


def table_of(heads: "HeadPatterns", scores: Json | None, at: int) -> HeadTable:
    """All scores that are known so far, at one position."""
    found = scores or {}
    return put_together(heads, found.get("direct"), found.get("copying"), at)


def chosen_metric(text: str | None) -> str:
    """The metric of an address."""
    return text if text in SCORES else FIRST


def chosen_target(selection: Selection | None) -> int | None:
    """The next token that was chosen to be explained, if one was."""
    target = (selection or {}).get("target")
    return target if isinstance(target, int) and target >= 0 else None


def chosen_source(selection: Selection | None, pattern: "ndarray", at: int) -> int:
    """The key position of the selection, if the query can see it; else the one the query looks at most."""
    source = (selection or {}).get("source")
    return source if isinstance(source, int) and 0 <= source <= at else int(np.argmax(pattern[at, : at + 1]))


def complete(selection: Selection | None, heads: "HeadPatterns") -> Selection:
    """A selection with token and head in range."""
    head = "{}.{}".format(*chosen_head(selection, heads))
    return {**(selection or {}), "token": position(selection, heads), "head": head}


def tint(table: HeadTable) -> Drawn:
    """The scores as the thumbnails take them: as they are, and from 0 to 1 by their own size."""
    raw = {m: np.nan_to_num(np.asarray(v, float)).ravel() for m, v in table.scores.items()}
    size = {m: np.abs(v) if m == "direct" else np.maximum(v, 0) for m, v in raw.items()}
    top = {m: max(float(v.max(initial=0)), 1.0 if m not in (*AT_TOKEN, "entropy") else 1e-9) for m, v in size.items()}
    return {
        "names": {m: SCORES[m][0] for m in raw},
        "raw": {m: [float(f"{x:.4g}") for x in v] for m, v in raw.items()},
        "metrics": {m: [round(float(x), 3) for x in v / top[m]] for m, v in size.items()},
    }


def head_rows(table: HeadTable, metric: str, chosen: str | None) -> Drawn:
    """The table of heads, by one score."""
    known = metric if metric in table.scores else FIRST
    columns = [{"key": "head", "label": "head", "kind": "unit"}]
    scores = [m for m in (*AT_TOKEN, *(m for m in SCORES if m not in AT_TOKEN)) if m in table.scores]
    columns += [{"key": m, "label": table.column(m), "kind": "num", "title": SCORES[m][1]} for m in scores]
    rows = []
    for row in table.rows(known, None):
        name = str(row["head"])[1:].replace("H", ".")
        cells = {m: _cell(row[table.column(m)]) for m in scores}
        rows.append({"head": row["head"], **cells, "pick": {"head": name}, "selected": name == chosen})
    note = "Click a column to sort by it." + ("" if "direct" in table.scores else " More scores are being computed.")
    return {"columns": columns, "rows": rows, "sorts": True, "label": "All heads", "note": note}


def _cell(value: float) -> float | None:
    return None if not np.isfinite(value) else float(f"{value:.4g}")


def facts(
    heads: "HeadPatterns", layer: int, head: int, reading: "HeadReading | None", at: int
) -> list[tuple[str, str, str | None]]:
    """What is known about one head, shortest first."""
    names = ("entropy", "previous_token", "first_token", "self", "induction")
    found: list[tuple[str, str, str | None]] = []
    found += [(SCORES[m][0], number(float(heads.metrics[m][layer, head])), None) for m in names]
    if reading is not None:
        direct = number(float(reading.direct[at]))
        found.append(("direct effect", direct, None))
        found.append(("copying", number(reading.copying, 2), None))
    return found


def pattern_bytes(pattern: "ndarray") -> Drawn:
    """A head's pattern for the hovering of strips: all of it up to `DENSE` positions, else each query's strongest keys."""
    import base64

    n = len(pattern)
    small = np.round(np.clip(pattern, 0, 1) * 255).astype(np.uint8)
    if n <= DENSE:
        return {"n": n, "dense": base64.b64encode(small.tobytes()).decode()}
    best = np.argsort(-small, axis=1, kind="stable")[:, :_SPARSE]
    return {"n": n, "keys": [[[int(k), int(small[q, k])] for k in best[q] if small[q, k] > 0] for q in range(n)]}


def attended_rows(
    reading: "HeadReading | None", heads: "HeadPatterns", layer: int, head: int, at: int, source: int
) -> Drawn:
    """The tokens the selected query looks at most."""
    pattern = heads.patterns[layer, head, at, : at + 1]
    order = np.argsort(-pattern, kind="stable")[:12]
    rows = [
        {
            "token": heads.tokens[s],
            "at": str(int(s)),
            "bar": float(pattern[s]),
            "attention": float(pattern[s]),
            "adds": None if reading is None else float(reading.by_key[at, s]),
            "pick": {"source": int(s)},
            "selected": int(s) == source,
        }
        for s in order
    ]
    columns = [
        {"key": "token", "label": "looks at", "kind": "token"},
        {"key": "at", "label": "", "kind": "text"},
        {"key": "bar", "label": "", "kind": "meter"},
        {"key": "attention", "label": "attention", "kind": "num"},
        {"key": "adds", "label": "adds", "kind": "num", "title": "what this look adds to the logit explained"},
    ]
    rest = float(pattern.sum() - pattern[order].sum())
    note = "" if len(pattern) <= 12 else f"These 12 of {len(pattern)} keys; the others get {rest:.3f} together."
    return {"columns": columns, "rows": rows, "label": "Attended tokens", "note": note, "sorts": True}


def pair_rows(found: "HeadReading", names: tuple[str, str], factor: float = 1.0) -> Drawn:
    """Tokens raised and lowered, side by side."""
    cells = zip(found.up, found.up_scores, found.down, found.down_scores, strict=True)
    rows = [{"up": u, "by": a * factor, "down": d, "less": b * factor} for u, a, d, b in cells]
    columns = [
        {"key": "up", "label": names[0], "kind": "token"},
        {"key": "by", "label": "", "kind": "num"},
        {"key": "down", "label": names[1], "kind": "token"},
        {"key": "less", "label": "", "kind": "num"},
    ]
    return {"columns": columns, "rows": rows, "label": f"{names[0]} and {names[1]}"}


def direction_rows(reading: "HeadReading") -> Drawn:
    """The strongest directions of OV, both ends of each."""
    rows = []
    for one in reading.directions:
        rows.append({"share": one["share"], "in": one["in"], "out": one["out"]})
        rows.append({"share": None, "in": one["in_other_end"], "out": one["out_other_end"]})
    columns = [
        {"key": "share", "label": "share", "kind": "share", "title": "of the squared size of the whole map"},
        {"key": "in", "label": "looking at tokens like", "kind": "tokens"},
        {"key": "out", "label": "promotes tokens like", "kind": "tokens"},
    ]
    return {"columns": columns, "rows": rows, "label": "Strongest directions"}


def part_rows(direct: "DirectLogits | None", at: int, chosen: str) -> Drawn:
    """The heads and MLPs that add most to the logit, what is left, and their sum."""
    if direct is None:
        return {"columns": [], "rows": [], "note": "Being computed."}
    rows = [
        {
            "part": r["part"],
            "bar": r["adds to the logit"],
            "adds": r["adds to the logit"],
            **_pick(str(r["part"]), chosen),
        }
        for r in direct.rows(at, 10)
    ]
    for row in rows[-2:]:
        row["quiet"] = True
    rows.append({"part": "together: the logit", "bar": None, "adds": float(direct.total()[at]), "quiet": True})
    columns = [
        {"key": "part", "label": "part", "kind": "unit"},
        {"key": "bar", "label": "", "kind": "signed"},
        {"key": "adds", "label": "adds", "kind": "num"},
    ]
    return {"columns": columns, "rows": rows, "sorts": True, "label": "Parts of the logit"}


def _pick(part: str, chosen: str) -> Drawn:
    """A row of a head can be clicked."""
    if not part.startswith("L"):
        return {}
    return {"pick": {"head": part[1:].replace("H", ".")}, "selected": part == chosen}
