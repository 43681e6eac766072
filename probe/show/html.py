"""How records show themselves in a notebook: escaped text, no script, no request, no id; readable in light and dark.

Text inherits the notebook's colour and grounds are translucent, so the same HTML works on white and on black. Styles are
inline, so that two displays cannot disturb each other. Every piece is bounded: a record of 100,000 rows prints a page. Notebook
pieces with pictures: `tokens`, `grid`, `chart`.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from math import isfinite, isnan
from typing import Any

from probe.show.beside import shows
from probe.show.glossary import meaning
from probe.show.record import Record
from probe.show.values import gist
from probe.words import SPACE, clip, minus, one_line

MOST_ROWS, MOST_COLUMNS, MOST_CHARACTERS = 50, 24, 300
METERS = frozenset(
    ("probability", "influence", "share", "before", "after", "density", "dead_share", "main", "fvu", "kept", "accuracy")
) | {"attention"}
"Columns whose numbers, if they are between 0 and 1, are drawn as a bar too."
SIGNED = frozenset(
    ("change", "difference", "direct", "logit change", "weight", "strength", "score", "flow", "cosine", "logit")
) | {"adds to the logit", "mean activation"}
"Columns whose numbers are coloured by sign and size, beside the number itself."
SIZES = frozenset(("write", "writes differ by", "distance"))
"Columns whose numbers, none below 0, are drawn as a bar up to the largest."
_SHAPELESS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_CELL = "text-align:left;padding:2px 10px;white-space:pre-wrap;overflow-wrap:break-word;unicode-bidi:isolate"


def shown(token: str) -> str:
    """A token as people read it: a space is `·`, a newline `↵`, a tab `⇥`, nothing `∅`."""
    return one_line(token).replace(" ", SPACE) or "∅"


def number(value: Any) -> str:
    """Four digits for a float, a dash for what is not known (NaN), tokens beside each other, the plain text of all else."""
    if isinstance(value, float):
        return "–" if isnan(value) else minus(f"{value + 0.0:.4g}")
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return "  ".join(map(shown, value))
    return "" if value is None else str(value)


def shaped(words: str) -> str:
    """What has no shape of its own (controls, reversers, lone halves) as `⟨202e⟩`."""
    return "".join(f"⟨{ord(c):x}⟩" if unicodedata.category(c) in _SHAPELESS else c for c in words)


def text(words: str, most: int = MOST_CHARACTERS) -> str:
    """Escaped text, cut to `most` characters; its shapeless ones as `shaped` writes them."""
    return escape(shaped(clip(words, most)))


def token_text(token: str, most: int = 40) -> str:
    """A token, shown and escaped."""
    return text(shown(token), most)


def ground(value: float, most: float = 1.0) -> str:
    """CSS of a ground from clear to orange, or to blue below 0; full colour at `most`."""
    share = min(1.0, abs(value) / most) if most and isfinite(value) else 0.0
    return f"background:rgba({'230,130,20' if value >= 0 else '50,120,215'},{0.6 * share:.2f})"


def table_html(rows: Sequence[Mapping[str, Any]], title: str = "", most: int = MOST_ROWS) -> str:
    """Rows of equal keys as a table with a caption: the first `most` of them, and how many there are."""
    if not rows:
        return f"<p>{text(title)}</p>"
    keys = list(dict.fromkeys(key for row in rows[:most] for key in row))[:MOST_COLUMNS]
    scales = {key: scale(key, [row.get(key) for row in rows[:most]]) for key in keys}
    head = "".join(_head(str(k)) for k in keys)
    body = "".join("<tr>" + "".join(_cell(row.get(k), scales[k]) for k in keys) + "</tr>" for row in rows[:most])
    rest = f" ({most:,} of {len(rows):,} rows)" if len(rows) > most else ""
    return framed(head, body, f"{text(title)}{rest}" if title or rest else "")


def _head(column: str) -> str:
    """A column's heading, with what it means as its tooltip."""
    told = meaning(column)
    return f"<th style='{_CELL};font-weight:600'{f' title={chr(39)}{text(told)}{chr(39)}' if told else ''}>{text(column)}</th>"


def scale(key: str, values: Sequence[Any]) -> tuple[str, float]:
    """How the numbers of a column are drawn beside being written: `meter`, `signed` or not, and what is full."""
    numbers = [v for v in values if isinstance(v, float) and isfinite(v)]
    top = max(map(abs, numbers), default=0.0)
    if key in METERS and numbers and min(numbers) >= 0 and top <= 1:
        return "meter", top if key in ("influence", "density") else 1.0
    if key in SIZES and numbers and min(numbers) >= 0:
        return "meter", top
    return ("signed", top) if key in SIGNED and top else ("", 0.0)


def _cell(value: Any, drawn: tuple[str, float]) -> str:
    kind, most = drawn
    style = _CELL
    if isinstance(value, float):
        style += ";font-variant-numeric:tabular-nums"
        if kind == "signed":
            style += f";{ground(value, most)}"
        elif kind == "meter" and isfinite(value):
            share = f"{100 * value / (most or 1.0):.1f}%"
            style += f";background:linear-gradient(90deg,rgba(70,140,210,0.3) {share},transparent {share})"
    return f"<td style='{style}'>{text(one_line(number(value)))}</td>"


def facts_html(facts: Mapping[str, Any], title: str = "") -> str:
    """Names and values below each other; whole numbers with thousands marked."""
    rows = [{"": k, "value": f"{v:,}" if type(v) is int else v} for k, v in facts.items()]
    return table_html(rows, title)


def plan_html(plan: Mapping[str, Any], title: str) -> str:
    """The same of a plan, whose answers of yes and no are 1 and 0."""
    shown = {k: f"{v:,}" if isinstance(v, int) else v for k, v in plan.items()}
    return table_html([{"": name, "value": value} for name, value in shown.items()], title)


def block(*parts: str, title: str = "") -> str:
    """A display: a heading, then its parts below each other, in the notebook's own colours."""
    head = f"<div style='font-weight:600;padding:2px 0 6px;overflow-wrap:anywhere'>{text(title)}</div>" if title else ""
    inner = "".join(f"<div style='margin:0 0 10px'>{part}</div>" for part in parts if part)
    return f"<div style='color:inherit;font-family:system-ui,sans-serif;font-size:13px;line-height:1.4'>{head}{inner}</div>"


def svg(parts: Sequence[str], width: float, height: float, label: str, mono: bool = False) -> str:
    """Inline SVG in the notebook's text colour, no wider than the page."""
    family = "ui-monospace,monospace" if mono else "system-ui,sans-serif"
    return (
        f"<svg viewBox='0 0 {width:.0f} {height:.0f}' width='{width:.0f}' role='img' aria-label='{text(label)}' "
        f"style='max-width:100%;height:auto' fill='currentColor' font-family='{family}' font-size='{10 if mono else 11}'>"
        f"{''.join(parts)}</svg>"
    )


def framed(head: str, body: str, caption: str = "") -> str:
    """A table that scrolls sideways where it is too wide."""
    above = f"<div style='padding:4px 10px'>{caption}</div>" if caption else ""
    return (
        f"{above}<div style='overflow-x:auto'>"
        "<table style='border-collapse:collapse;color:inherit;font-family:inherit;font-size:13px'>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def side_by_side(*parts: str) -> str:
    """Parts beside each other where there is room."""
    return (
        f"<div style='display:flex;flex-wrap:wrap;gap:12px 28px'>{''.join(f'<div>{p}</div>' for p in parts if p)}</div>"
    )


def note(words: str) -> str:
    """A quiet line."""
    return f"<div style='opacity:0.75;font-size:12px'>{text(words)}</div>"


def folded(label: str, part: str) -> str:
    """What opens at a click, without a script."""
    return f"<details><summary style='cursor:pointer'>{text(label)}</summary>{part}</details>"


@shows
def record_html(record: Record) -> str:
    """A record without a display of its own: its rows under its sentence, or its facts."""
    kind = type(record)
    if kind.rows is not Record.rows:
        return table_html(record.rows(), record.summary())
    own = kind.to_dict is not Record.to_dict
    facts = record.to_dict() if own else {f.name: gist(getattr(record, f.name)) for f in fields(record)}
    return block(facts_html(facts), title=kind.__name__)
