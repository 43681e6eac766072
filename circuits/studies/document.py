"""A study as a document in Markdown: verdicts, what was measured by which rule, tables, and pictures as tables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from probe.show.html import number, shaped
from probe.words import one_line

if TYPE_CHECKING:
    from circuits.studies.record import Outcome, StudyResult
    from circuits.studies.study import Lines


def markdown_of(result: "StudyResult") -> str:
    """The whole document."""
    quick = " This was the quick form." if result.quick else ""
    parts = [
        f"# {result.title}",
        f"{result.paper}, re-examined on {result.model}. {result.summary()}{quick}",
        verdicts(result),
        "## What was measured, and the rules",
        *(_claim(o) for o in result.outcomes),
        *(f"## {table.title}\n\n{table_of(table.rows)}" for table in result.tables),
        *(f"## {one.title}\n\n{one.y}\n\n{table_of(points(one))}" for one in result.pictures),
    ]
    return "\n\n".join(parts) + "\n"


def points(one: "Lines") -> list[dict[str, Any]]:
    """A picture as numbers: a row for each place on its x axis, a column a line."""
    places = sorted({x for line in one.lines for x in line.x})
    known = {line.name: dict(zip(line.x, line.y, strict=True)) for line in one.lines}
    return [{one.x: x, **{name: line.get(x, "") for name, line in known.items()}} for x in places]


def verdicts(result: "StudyResult") -> str:
    """The table of verdicts, numbers with their intervals in one cell."""
    return table_of([_short(o) for o in result.outcomes])


def _short(one: "Outcome") -> dict[str, Any]:
    found, row = one.measured, {"claim": one.claim.sentence, "verdict": f"**{one.verdict.word}**"}
    if found is None:
        return {**row, "number": "", "control": "", "p": "", "n": "", "why": one.verdict.why}
    return {
        **row,
        "number": _interval(found.interval),
        "control": _interval(found.random),
        "p": f"{found.p:.3f}",
        "n": f"{found.n} {found.over}, {len(found.draws)} sets",
        "why": one.verdict.why,
    }


def _interval(one: Any) -> str:
    return f"{one.mean:.2f} ({one.low:.2f} to {one.high:.2f})"


def _claim(one: "Outcome") -> str:
    claim = one.claim
    return f"- **{claim.sentence}** {claim.source}\n  Measured: {claim.measure} Control: {claim.control} {claim.rule.words()}"


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a table; what would end a cell is escaped."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = [keys, ["---:" if _numeric(rows, key) else "---" for key in keys]]
    lines += [[_cell(row.get(key)) for key in keys] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _numeric(rows: Sequence[Mapping[str, Any]], key: str) -> bool:
    return all(isinstance(row.get(key), int | float) for row in rows)


def _cell(value: Any) -> str:
    return shaped(one_line(number(value))).replace("|", "\\|")
