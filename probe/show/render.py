"""A record's panels drawn: as lines for a terminal, as pieces of HTML, as an HTML file that needs nothing else.

    print(as_text(found.panels()))        Path("found.html").write_text(as_file(found))

A terminal draws no figure and says which there are. In HTML a figure is plotly's, without the button that uploads it.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from probe.show.html import block, number, shaped, shown, table_html, text
from probe.show.notebook_token_strip import aligned_html, tokens_html
from probe.show.panels import Aligned, Figure, Panel, Plain, Rows, Tokens, unfolded
from probe.words import counted, one_line

if TYPE_CHECKING:
    from probe.show.record import Record

MOST_ROWS, MOST_WIDTH = 20, 32
_PAGE = (
    "<!doctype html><html><head><meta charset='utf-8'><title>{title}</title>"
    "<meta name='color-scheme' content='light dark'>{script}</head><body>{body}</body></html>"
)


def as_text(panels: Iterable[Panel]) -> str:
    """Panels as lines."""
    return "\n\n".join(_lines(panel) for panel in unfolded(panels))


def _lines(panel: Plain) -> str:
    if isinstance(panel, Figure):
        return f"[figure: {shaped(panel.title)}]"
    if isinstance(panel, Rows | Aligned):
        title, rows = (panel.title, panel.rows) if isinstance(panel, Rows) else (panel.apart, panel.rows())
        return f"{shaped(title)}\n{table_text(rows)}"
    if isinstance(panel, Tokens):
        pairs = zip(panel.tokens, panel.values, strict=True)
        return f"{shaped(panel.label)}: {'  '.join(f'{shaped(shown(t))} {number(float(v))}' for t, v in pairs)}"
    return shaped(panel.text)


def table_text(rows: Sequence[Mapping[str, Any]], most: int = MOST_ROWS) -> str:
    """Rows as aligned columns, the first `most` of them."""
    keys = list(dict.fromkeys(key for row in rows[:most] for key in row))
    cells = [[str(k) for k in keys], *([_cell(row.get(k)) for k in keys] for row in rows[:most])]
    widths = [max(len(line[i]) for line in cells) for i in range(len(keys))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in cells]
    rest = [f"... and {counted(len(rows) - most, 'more row')}"] if len(rows) > most else []
    return "\n".join(lines + rest)


def _cell(value: Any) -> str:
    words = shaped(one_line(number(value)))
    return words if len(words) <= MOST_WIDTH else words[: MOST_WIDTH - 1] + "…"


def as_html(panels: Iterable[Panel]) -> str:
    """Panels below each other, as pieces of HTML; figures want plotly's script on the page."""
    return block(*(_piece(panel) for panel in unfolded(panels)))


def _piece(panel: Plain) -> str:
    if isinstance(panel, Figure):
        from probe.show.labels import CONFIG  # plotly comes with it

        return panel.draw().to_html(full_html=False, include_plotlyjs=False, config=CONFIG)
    if isinstance(panel, Rows):
        return table_html(panel.rows, panel.title)
    if isinstance(panel, Tokens):
        return tokens_html(panel.tokens, panel.values, panel.label)
    if isinstance(panel, Aligned):
        return aligned_html(panel)
    return f"<p>{text(panel.text, len(panel.text))}</p>"


def as_file(record: "Record") -> str:
    """A whole HTML file of what there is to see of a record; with figures it holds plotly's script, some megabytes."""
    panels, script = unfolded(record.panels()), ""
    if any(isinstance(panel, Figure) for panel in panels):
        from plotly.offline import get_plotlyjs

        script = f"<script>{get_plotlyjs()}</script>"
    return _PAGE.format(title=escape(shaped(repr(record).split("\n")[0])), script=script, body=as_html(panels))
