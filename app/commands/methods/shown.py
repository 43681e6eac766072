"""What there is to see of a record on a terminal: its panels in order, without the figures. Machines get JSON or CSV."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from app.commands.options import print_rows, visible
from probe.artifacts.json import clean
from probe.show.panels import Panel, Rows, Sentence, Tokens
from probe.words import SPACE

MOST = 40
"""Rows of a table that a terminal gets, if it asks for no other number; --json and --csv have all."""
_WIDTH = 100


def show_panels(panels: Sequence[Panel], most: int = MOST) -> None:
    """Print them, with a line between. A sentence that stands over a table is not said again."""
    said: set[str] = set()
    for panel in panels:
        if isinstance(panel, Rows) and panel.rows:
            _between(said)
            if panel.title:
                typer.echo(visible(panel.title))  # as a line: the table would break it into its own width
            print_rows(panel.rows[:most])
            if (more := len(panel.rows) - most) > 0:
                typer.echo(f"... and {more:,} rows more; --json and --csv FILE give all of them.")
            said.add(panel.title)
        elif isinstance(panel, Tokens):
            _between(said)
            for line in strip(panel):
                typer.echo(line)
            said.add(panel.label)
        elif isinstance(panel, Sentence) and panel.text not in said:
            _between(said)
            typer.echo("\n".join(visible(line) for line in panel.text.split("\n")))
            said.add(panel.text)


def _between(said: set[str]) -> None:
    if said:
        typer.echo()


def strip(tokens: Tokens, width: int = _WIDTH) -> Iterator[str]:
    """Lines of tokens with their numbers beneath them."""
    from rich.cells import cell_len

    from probe.show.html import number

    yield visible(tokens.label)
    above, below = "", ""
    for token, value in zip(tokens.tokens, tokens.values, strict=True):
        text = visible(token).replace(" ", SPACE)
        under = "" if math.isnan(value) else number(float(value))
        cell = max(cell_len(text), len(under)) + 1
        if above and cell_len(above) + cell > width:
            yield from (above.rstrip(), below.rstrip())
            above, below = "", ""
        above += text + " " * (cell - cell_len(text))
        below += under.ljust(cell)
    if above:
        yield from (above.rstrip(), below.rstrip())


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as the dashboard exports them: texts are JSON, so they are exact and no spreadsheet takes one for a formula."""
    out = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number else json.dumps(clean(value), ensure_ascii=False)


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """All rows of a record."""
    from probe.artifacts.exports import write_file

    write_file(path, as_csv(rows))
    typer.echo(f"wrote {path}", err=True)
