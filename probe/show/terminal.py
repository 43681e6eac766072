"""What there is to see of a record on a terminal: its panels in order, without the figures. Machines get JSON or CSV."""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from probe.show.html import number
from probe.show.panels import MOST, Aligned, Panel, Rows, Sentence, Tokens, unfolded
from probe.words import SPACE, one_line

_WIDTH = 100


def show_panels(panels: Sequence[Panel], most: int = MOST, chosen: Mapping[str, int] | None = None) -> None:
    """Print them, with a line between. A sentence that stands over a table is not said again. chosen: which token, layer or
    column those follow that follow one."""
    said: set[str] = set()
    for panel in unfolded(panels, chosen):
        if isinstance(panel, Rows) and panel.rows:
            _between(said)
            if panel.title:
                _say(visible(panel.title))  # as a line: the table would break it into its own width
            print_rows(panel.rows[:most])
            if (more := len(panel.rows) - most) > 0:
                _say(f"... and {more:,} rows more; --json and --csv FILE give all of them.")
            said.add(panel.title)
        elif isinstance(panel, Tokens | Aligned):
            _between(said)
            for line in strip(panel) if isinstance(panel, Tokens) else columns(panel):
                _say(line)
            said.add(panel.label)
        elif isinstance(panel, Sentence) and panel.text not in said:
            _between(said)
            _say("\n".join(visible(line) for line in panel.text.split("\n")))
            said.add(panel.text)


def _say(line: str = "") -> None:
    """One line; typer's echo would take an output that says it is ASCII for one that takes UTF-8."""
    sys.stdout.write(f"{line}\n")


def _between(said: set[str]) -> None:
    if said:
        _say()


def strip(tokens: Tokens, width: int = _WIDTH) -> Iterator[str]:
    """Lines of tokens with their numbers beneath them."""
    yield visible(tokens.label)
    cells = ((_token(t), _number(v)) for t, v in zip(tokens.tokens, tokens.values, strict=True))
    yield from _wrapped(cells, 2, width)


def columns(panel: Aligned, width: int = _WIDTH) -> Iterator[str]:
    """Lines of the first tokens, below them the second ones and what is between them."""
    yield visible(panel.apart)

    def cells() -> Iterator[tuple[str, ...]]:
        for (a, b), apart in zip(panel.columns, panel.between, strict=True):
            pair = (_token(row[at]) if at is not None else "–" for row, at in zip(panel.tokens, (a, b), strict=True))
            yield (*pair, _number(apart))

    yield from _wrapped(cells(), 3, width)


def _token(text: str) -> str:
    return visible(text).replace(" ", SPACE)


def _number(value: float) -> str:
    return "" if math.isnan(value) else number(float(value))


def _wrapped(cells: Iterable[Sequence[str]], rows: int, width: int) -> Iterator[str]:
    """Columns of so many rows, as many beside each other as fit."""
    from rich.cells import cell_len

    lines = [""] * rows
    for column in cells:
        wide = max(map(cell_len, column)) + 1
        if lines[0] and cell_len(lines[0]) + wide > width:
            yield from (line.rstrip() for line in lines)
            lines = [""] * rows
        lines = [line + text + " " * (wide - cell_len(text)) for line, text in zip(lines, column, strict=True)]
    if lines[0]:
        yield from (line.rstrip() for line in lines)


def print_rows(rows: Sequence[Mapping[str, object]], title: str = "") -> None:
    """Rows as a table on stdout, a column for every key of any. Cells are plain text: a token cannot carry markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as Plain

    if not rows:
        _say(title)
        return
    table = Table(
        title=Plain(title, style="bold") if title else None,
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    columns: dict[str, object] = {}
    for row in rows:
        columns |= {key: value for key, value in row.items() if key not in columns}
    for key, value in columns.items():
        table.add_column(
            Plain(str(key)), justify="right" if isinstance(value, int | float) else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Plain(visible(number(row[key])) if key in row else "") for key in columns))
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width to fit
        console = Console(width=200)
    console.print(table)


def visible(text: str) -> str:
    """Control characters as they are named, so that a token cannot move the cursor or colour the terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in one_line(text))
