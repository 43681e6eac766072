"""The records of a unit as plain data for the page: examples, token tables, neighbours, circuits. No components, no model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.components.drawn import Drawn
from app.library.tables import open_table
from app.library.units import PageUnit
from app.pages.unit.circuits import circuits_of
from app.selection import Selection
from probe.artifacts.json import Json
from probe.features.unit import Unit
from probe.words import counted

if TYPE_CHECKING:
    from probe.features.unit import Near, TokenScore


RARE = 30
"""Firings below which averages say little."""


def examples_data(record: Unit) -> Drawn:
    """Groups of examples, strongest first, for `assets/examples.js`."""
    groups: dict[str, list[Any]] = {}
    for e in record.examples:
        one = {
            "tokens": e.tokens,
            "ids": e.token_ids,
            "values": [float(f"{v:.4g}") for v in e.activations],
            "peak": e.peak,
            "value": float(f"{e.value:.4g}"),
            "where": f"{e.document}, row {e.row}, position {e.pos}",
        }
        groups.setdefault(e.group, []).append(one)
    order = sorted(groups, key=_order)
    return {
        "groups": [{"name": _title(name, groups[name]), "examples": groups[name]} for name in order],
        "lo": min(record.min, 0.0),
        "hi": max(record.max, 0.0) or 1.0,
        "label": f"activation of {record.name}",
    }


def _order(group: str) -> tuple[int, int]:
    """Strongest, the bins from strong to weak, lowest."""
    return {"strongest": (0, 0), "lowest": (2, 0)}.get(group, (1, -_bin(group)))


_NTH = {2: "2nd", 3: "3rd"}


def _bin(group: str) -> int:
    words = group.split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


def _title(group: str, examples: list[Json]) -> str:
    low, high = min(e["value"] for e in examples), max(e["value"] for e in examples)
    if group.startswith("bin"):
        n, of = _bin(group), group.split()[-1]
        place = {1: "weakest", int(of): "strongest"}.get(n, f"{_NTH.get(n, f'{n}th')} from below")
        return f"Sampled from the {place} of {of} equally frequent ranges ({low:.3g} to {high:.3g})"
    return {"strongest": "Strongest", "lowest": "Lowest, below 0"}.get(group, group) + f" ({low:.3g} to {high:.3g})"


def score_rows(scores: "Sequence[TokenScore]", label: str, score: str) -> Drawn:
    """Tokens with their scores."""
    counted = any(s.count is not None for s in scores)
    columns = [
        {"key": "token", "label": label, "kind": "token"},
        {"key": "amount", "label": score, "kind": "num"},
        {"key": "bar", "label": "", "kind": "signed"},
    ]
    if counted:
        columns.append({"key": "count", "label": "seen", "kind": "count", "title": "occurrences in the sample"})
    rows = [{"token": s.token, "id": s.id, "amount": s.score, "bar": s.score, "count": s.count} for s in scores]
    return {"columns": columns, "rows": rows, "label": label, "note": "" if rows else "None."}


def near_rows(found: PageUnit, record: "Unit", chosen: Selection) -> Drawn:
    """Units that write in the same direction."""
    columns = [
        {"key": "name", "label": "unit", "kind": "unit"},
        {"key": "cosine", "label": "cosine", "kind": "num"},
        {"key": "bar", "label": "", "kind": "signed"},
    ]
    rows = [{**_neighbour(found, n, chosen), "bar": n.cosine} for n in record.near]
    columns += _labels(rows)
    return {"columns": columns, "rows": rows, "label": "Units that write alike", "note": "" if rows else "None."}


def coactive_rows(found: PageUnit, record: "Unit", chosen: Selection) -> Drawn:
    """Units that fire at the same tokens."""
    columns = [
        {"key": "name", "label": "unit", "kind": "unit"},
        {"key": "cosine", "label": "cosine", "kind": "num", "title": "n_ij / sqrt(n_i n_j) on the sampled tokens"},
        {"key": "pmi", "label": "PMI", "kind": "num", "title": "log of how much more often than by chance, nats"},
        {"key": "joint", "label": "together", "kind": "count", "title": "sampled tokens both fired at"},
    ]
    rows = [{**_neighbour(found, n, chosen), "joint": n.joint, "pmi": n.pmi} for n in record.coactive]
    columns += _labels(rows)
    return {"columns": columns, "rows": rows, "label": "Units that fire together", "note": "" if rows else "None."}


def _labels(rows: list[Json]) -> list[dict[str, str]]:
    """A column of labels, where there are any."""
    return [{"key": "label", "label": "label", "kind": "text"}] if any(row["label"] for row in rows) else []


def _neighbour(found: PageUnit, near: "Near", chosen: Selection) -> Json:
    labels = open_table(found.table).labels.get(near.unit, []) if found.table else []
    label = labels[0].text[:80] if labels else ""
    return {"name": near.name, "cosine": near.cosine, "label": label, "href": found.href(near.unit, **chosen)}


def bin_rows(record: Unit) -> Drawn:
    """The histogram as a table."""
    pairs = zip(record.edges[:-1], record.edges[1:], record.counts, strict=True)
    rows = [{"from": a, "to": b, "count": n} for a, b, n in pairs if n]
    columns = [
        {"key": "from", "label": "from", "kind": "num"},
        {"key": "to", "label": "to", "kind": "num"},
        {"key": "count", "label": "tokens", "kind": "count"},
    ]
    return {"columns": columns, "rows": rows, "label": "Histogram of activations"}


def circuit_rows(found: PageUnit) -> Drawn:
    """The nodes of stored graphs that are this unit."""
    appearances, looked = circuits_of(found)
    columns = [
        {"key": "graph", "label": "circuit", "kind": "text"},
        {"key": "prompt", "label": "prompt", "kind": "text"},
        {"key": "token", "label": "at", "kind": "token"},
        {"key": "pos", "label": "position", "kind": "text"},
        {"key": "activation", "label": "activation", "kind": "num"},
    ]
    rows = [
        {
            "graph": a.graph,
            "prompt": a.prompt[:90],
            "token": a.token,
            "pos": a.pos,
            "activation": a.activation if a.activation == a.activation else None,
            "href": a.href,
        }
        for a in appearances
    ]
    many = f"{counted(looked, 'stored circuit')} of this model looked at"
    note = f"{many}." if rows else f"In none of them: {many}." if looked else "No circuit of this model is stored."
    return {"columns": columns, "rows": rows, "sorts": True, "note": note, "label": "Circuits this unit appears in"}


def warning(record: Unit) -> str | None:
    """What to be careful about: a dead or a rare unit."""
    if record.dead:
        return f"Dead: it was active at none of {record.n_tokens:,} tokens. No examples, then; what its weights say stands below."
    if record.fired < RARE:
        return (
            f"Rare: it was active at {record.fired:,} of {record.n_tokens:,} tokens. Means, neighbours and examples rest on few "
            "firings."
        )
    return None
