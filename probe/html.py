"""Small tables for notebooks: escaped text, no script, readable in light and dark."""

from collections.abc import Sequence
from html import escape
from typing import Any


def shown(token: str) -> str:
    """A token as people read it: a space is `·`, a newline `↵`, a tab `⇥`, nothing `∅`."""
    return token.replace(" ", "·").replace("\n", "↵").replace("\t", "⇥").replace("\r", "␍") or "∅"


def number(value: Any) -> str:
    """Four digits for a float, the plain text of anything else."""
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def table_html(rows: Sequence[dict[str, Any]], title: str = "") -> str:
    """Rows of equal keys as an HTML table with a caption."""
    if not rows:
        return f"<p>{escape(title)}</p>"
    head = "".join(f"<th style='text-align:left;padding:2px 10px'>{escape(str(k))}</th>" for k in rows[0])
    body = "".join(
        "<tr>"
        + "".join(f"<td style='text-align:left;padding:2px 10px'>{escape(number(v))}</td>" for v in row.values())
        + "</tr>"
        for row in rows
    )
    caption = f"<caption style='text-align:left;padding:4px 10px'>{escape(title)}</caption>" if title else ""
    return (
        f"<table style='border-collapse:collapse'>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
