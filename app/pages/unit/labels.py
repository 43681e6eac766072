"""Labels of a unit: what people and programs say it does, with author and score, and the form that adds one's own."""

import getpass
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update

from app.components.inputs import write
from app.components.parts import Parts, panel
from app.components.snippets import python, shell_line, snippets
from app.library import tables, units
from app.library.labels import forget
from app.library.units import PageUnit
from probe.errors import OpenworkError

if TYPE_CHECKING:
    from probe.features.labels import Label


def labels_panel(found: PageUnit) -> html.Section:
    """The labels there are, and the form."""
    form = html.Div(
        [
            write("unit-label-text", "Label", hint="What does it do?", size="sm"),
            write("unit-label-author", "Author", whoami(), size="sm"),
            dmc.Button("Save", id="unit-label-save", size="sm", variant="default"),
        ],
        className="ow-label-form",
    )
    note = "Kept beside the table. Saving under the same author replaces, an empty text removes."
    body = [
        html.Div(label_list(found), id="unit-labels"),
        form,
        html.Div(id="unit-label-problem", className="ow-units-error", role="status"),
    ]
    return panel("Label", body, note=note, foot=snippets(*_code(found)), export=False)


def labels_at(found: PageUnit) -> "list[Label]":
    """The labels that its table has of it, the best first."""
    return tables.open_table(str(found.table)).labels.get(found.row or 0, [])


_CALLED = 120  # characters of a label in the heading


def called(label: str) -> str:
    """What stands behind a unit's name in the heading."""
    return f" · {label[:_CALLED]}" if label else ""


def said(label: str) -> str | None:
    """A label in full below the heading, where that cuts it."""
    return label if len(label) > _CALLED else None


def label_list(found: PageUnit) -> Parts:
    """Each label as text, the best first."""
    labels = labels_at(found)
    if not labels:
        return [html.P("Nobody has labelled it yet.", className="ow-sub", style={"marginBottom": 10})]
    return [
        html.Div(
            [
                html.Div(label.text, className="text", dir="auto"),
                html.Div(_origin(label), className="meta", dir="auto"),
            ],
            className="ow-label",
        )
        for label in labels
    ]


def _origin(label: "Label") -> str:
    score = "" if label.score is None else f" · score {label.score:.3g} ({label.method})"
    return f"{label.author}, {label.date[:10]}{score}"


def whoami() -> str:
    """The name to begin with as author."""
    try:
        return getpass.getuser()[:80]
    except (OSError, KeyError, ImportError):
        return "me"


def _code(found: PageUnit) -> tuple[str, str]:
    line = f'set_label(home() / "features" / {found.table!r}, {found.row}, "what it does", author="me")'
    return python(line, probe=["home", "set_label"]), shell_line(
        "label", str(found.table), str(found.row), "what it does", "--author", "me"
    )


def register(app: Dash) -> None:
    @app.callback(
        Output("unit-labels", "children"),
        Output("unit-said", "children"),
        Output("unit-called", "children"),
        Output("unit-label-problem", "children"),
        Output("unit-label-text", "value"),
        Input("unit-label-save", "n_clicks"),
        Input("unit-label-text", "n_submit"),
        State("unit-label-text", "value"),
        State("unit-label-author", "value"),
        State("unit-args", "data"),
        prevent_initial_call=True,
    )
    def save(clicks: int | None, submits: int | None, text: str | None, author: str | None, args: dict[str, str]):
        if not (clicks or submits):
            return (no_update,) * 5
        return saved(units.unit_of(args), text or "", author or "")


def saved(found: PageUnit, text: str, author: str) -> tuple[Any, ...]:
    """Keep the label; the new list, the best text, the same in the heading, what went wrong, the emptied box."""
    from probe.features import set_label

    table = tables.open_table(str(found.table))
    try:
        set_label(table.folder, int(found.row or 0), text, author=author)
    except OpenworkError as problem:
        return no_update, no_update, no_update, str(problem), no_update
    forget()
    text = best[0].text if (best := labels_at(found)) else ""
    return label_list(found), said(text), called(text), None, ""
