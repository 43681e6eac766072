"""What the page of two prompts shows, as plain rows."""

from typing import TYPE_CHECKING

import numpy as np

from app import links
from app.components import drawn
from app.components.drawn import Drawn
from app.pages.compare_prompts.work import Pair
from probe.model.unit_names import unit_name
from probe.words import number

if TYPE_CHECKING:
    from probe.lens.logit import LensResult
    from probe.text.alignment import Column


def columns_data(pair: Pair) -> Drawn:
    """Both strips, and the difference of loss of each column, for `assets/beside.js`."""
    strips = [drawn.strip_data(r.tokens, r.token_ids, r.loss, label="loss", unit="nats") for r in (pair.a, pair.b)]
    top = max(strip.get("hi") or 0 for strip in strips)
    strips = [{**strip, "hi": top} if strip["values"] else strip for strip in strips]  # one scale for both
    columns = pair.found.alignment.columns
    more = [_more(pair, c) for c in columns]
    largest = max((abs(m) for m in more if m is not None), default=0.0)
    return {
        "a": strips[0],
        "b": strips[1],
        "columns": [[c.a, c.b, c.same] for c in columns],
        "more": [None if m is None else round(m, 4) for m in more],
        "largest": largest,
        "column": pair.column(None),
    }


def _more(pair: Pair, column: "Column") -> float | None:
    if column.a is None or column.b is None:
        return None
    more = float(pair.b.loss[column.b] - pair.a.loss[column.a])
    return more if np.isfinite(more) else None


def facts(pair: Pair, column: int) -> list[tuple[str, str, str | None]]:
    """Numbers of the two prompts, and of the selected column."""
    alignment = pair.found.alignment
    losses = [float(np.nanmean(r.loss)) if np.isfinite(r.loss).any() else np.nan for r in (pair.a, pair.b)]
    index = pair.index(column)
    apart = number(float(pair.found.kl[-1, index])) + " nats" if index is not None else "–"
    c = alignment.columns[column]
    where = f"A {'–' if c.a is None else c.a}, B {'–' if c.b is None else c.b}"
    return [
        ("tokens", f"{len(pair.a.tokens)} and {len(pair.b.tokens)}", f"{alignment.n_same} the same, at aligned places"),
        ("mean loss of A", f"{number(losses[0])} nats", None),
        ("mean loss of B", f"{number(losses[1])} nats", None),
        ("selected positions", where, "a gap: nothing to compare" if index is None else None),
        ("predictions there apart by", apart, "KL from A's to B's, whole model"),
    ]


def lens_rows(pair: Pair, column: int) -> Drawn:
    """A row a layer: both top tokens and the divergence."""
    index, c = pair.index(column), pair.found.alignment.columns[column]
    columns = [
        {"key": "layer", "label": "layer", "kind": "text"},
        *(
            {"key": f"{k}{side}", "label": label, "kind": kind}
            for side in "AB"
            for k, label, kind in (("token", side, "token"), ("p", "prob.", "num"))
        ),
        {
            "key": "bar",
            "label": "KL",
            "kind": "meter",
            "title": "from A's prediction to B's, nats; bars up to the largest",
        },
        {"key": "kl", "label": "", "kind": "num"},
    ]
    kl = pair.found.kl[:, index] if index is not None else np.full(len(pair.found.layers), np.nan)
    top = float(np.nanmax(kl)) if index is not None else 0.0
    rows = []
    for i in reversed(range(len(pair.found.layers))):
        known = np.isfinite(kl[i])
        rows.append(
            {
                "layer": pair.found.layers[i],
                **_top(pair.a, i, c.a, "A"),
                **_top(pair.b, i, c.b, "B"),
                "bar": float(kl[i] / (top or 1)) if known else 0.0,
                "kl": float(kl[i]) if known else None,
            }
        )
    return {"columns": columns, "rows": rows, "label": "Predictions by layer"}


def _top(lens: "LensResult", layer: int, pos: int | None, side: str) -> Drawn:
    if pos is None:
        return {f"token{side}": None, f"p{side}": None}
    return {f"token{side}": lens.top_tokens[layer][pos][0], f"p{side}": float(lens.top_probs[layer, pos, 0])}


def next_rows(pair: Pair, column: int) -> Drawn:
    """The likeliest next tokens of either."""
    index = pair.index(column)
    columns = [
        {"key": "token", "label": "token", "kind": "token"},
        {"key": "a", "label": "after A", "kind": "num"},
        {"key": "b", "label": "after B", "kind": "num"},
        {"key": "signed", "label": "B − A", "kind": "signed"},
        {"key": "amount", "label": "", "kind": "num"},
    ]
    rows = [
        {"token": c.token, "a": c.a, "b": c.b, "signed": c.b - c.a, "amount": c.b - c.a}
        for c in (pair.found.candidates[index][:14] if index is not None else [])
    ]
    return {"columns": columns, "rows": rows, "sorts": True, "label": "Next tokens", "note": "" if rows else _GAP}


_GAP = "Only one of the prompts has a token here; choose a column with two."


def head_rows(pair: Pair, column: int, args: dict[str, str]) -> Drawn:
    """Heads by the distance of their patterns at the column; each opens its page on prompt A."""
    index, token = pair.index(column), pair.found.alignment.columns[column].a
    columns = [
        {"key": "head", "label": "head", "kind": "unit"},
        {"key": "bar", "label": "distance here", "kind": "meter"},
        {"key": "here", "label": "", "kind": "num"},
        {"key": "mean", "label": "over all tokens", "kind": "num"},
    ]
    mean = pair.found.mean_heads
    rows = [
        {
            "head": unit_name("head", r["layer"], r["head"]),
            "bar": r["distance"],
            "here": r["distance"],
            "mean": float(mean[r["layer"], r["head"]]),
            "href": links.heads_page(args["model"], args["a"], token=token, head=f"{r['layer']}.{r['head']}"),
        }
        for r in (pair.found.head_rows(index, 24) if index is not None else [])
    ]
    return {"columns": columns, "rows": rows, "sorts": True, "label": "Heads", "note": "" if rows else _GAP}


def unit_rows(pair: Pair, column: int, args: dict[str, str]) -> Drawn:
    """Units by how differently they write; each opens its page."""

    index = pair.index(column)
    found = pair.found.units[index] if index is not None else []
    top = max((u.moved for u in found), default=1.0) or 1.0
    columns = [
        {"key": "unit", "label": "unit", "kind": "unit"},
        {"key": "of", "label": "of", "kind": "text"},
        {"key": "a", "label": "in A", "kind": "num"},
        {"key": "b", "label": "in B", "kind": "num"},
        {"key": "bar", "label": "writes differ by", "kind": "meter"},
        {"key": "moved", "label": "", "kind": "num"},
    ]
    rows = [
        {
            "unit": u.name,
            "of": u.dictionary or u.kind,
            "a": u.a,
            "b": u.b,
            "bar": u.moved / top,
            "moved": u.moved,
            "href": links.page_of_unit(u, args["model"], prompt=args["a"]),
        }
        for u in found
    ]
    none = "Nothing differs here: both read the same up to this token." if index is not None else _GAP
    return {"columns": columns, "rows": rows, "sorts": True, "label": "Units", "note": "" if rows else none}
