"""Patching: a clean and a corrupted prompt side by side, what is measured, a sweep as a heat map, and every cell to look into.

The address holds the keys of what was found (`pair`, `sweep`), and the chosen cell as the selection. It may ask instead: `p` and
`corrupted` (the prompts), `right`, `wrong`, `metric`, `over`, `dir`, `control`; `example` names a built-in pair, `stored` a sweep
on disk.
"""

import dash_mantine_components as dmc
from dash import Dash, dcc, html
from dash.development.base_component import Component

from app import links
from app.components import drawn
from app.components.cards import outdated_note
from app.components.parts import Parts, empty, graph, link_button, panel, segmented, title
from app.components.plain_rows import TABLE
from app.components.slot import slot
from app.frame.shell import Page
from app.jobs import work
from app.library import prompts
from app.library.artifacts import registered
from app.library.models import models, short_model, stale
from app.methods import result_view
from app.methods.method_jobs import keep_in_memory, work_of
from app.pages.patching import beyond as others
from app.pages.patching.address import EXAMPLE, PAIR, SIDES, SWEEP, Asked, asked_in, asked_of
from app.pages.patching.beyond import beyond
from app.pages.patching.callbacks import MEASURED, SWEPT, register
from app.selection import selection_from
from circuits.patching.store import load_patching, stored_patchings
from probe.artifacts.manifest import read_manifest
from probe.methods.results import line, when
from probe.show.columns import column
from probe.tasks.examples import EXAMPLES

LEAD = (
    "Two prompts that differ in a word call for different answers. Run one of them, put in a single piece of the other's run, "
    "and see how far the answer follows: the pieces that move it carry the difference."
)
NOTHING_YET = (
    "Activation patching asks which piece of a run carries an answer: it runs one prompt, replaces a single piece (one "
    "position of a layer, one head) by that of another prompt's run, and measures how far the prediction moves. "
    "Do that for every piece, and the heat map shows where the difference between both prompts lives."
)


def layout(query: dict[str, str]) -> Parts:
    """The two prompts, the two runs, the sweep; what the address asks for is begun."""
    stored = query.get("stored", "")
    asked, key = _stored(stored) if stored else (asked_in(query), query.get(SWEEP))
    foreign = bool(stored) and key is None
    if asked.complete and PAIR not in query and not foreign:
        work.submit(work_of(asked.runs()))
    if key is None and asked.swept and not foreign:
        key = work.submit(work_of(asked.sweep()))
    clean = {"prompt": prompts.store(asked.pair["clean"], asked.model).id} if "clean" in asked.pair else {}
    nothing = empty("Where does the answer come from?", NOTHING_YET, _show_me(asked.model))
    return [
        dcc.Store(id="selection", data={**selection_from(query), "model": asked.model, **clean}),
        title("Patching", lead=LEAD),
        *(outdated_note("result", stored) if stored else []),
        _begin(asked.model),
        MEASURED.layout(asked.model, asked.pair, query),
        html.Div(nothing, id="patching-nothing", hidden=asked.complete),
        html.Div(
            _swept(asked, {**query, SWEEP: key or ""}, stored if foreign else ""),
            id="patching-swept",
            className="ow-stack",
            hidden=not asked.complete,
        ),
        *beyond(asked, query),
        stored_panel(),
    ]


def _stored(name: str) -> tuple[Asked, str | None]:
    """What a sweep on disk was asked, and the key under which it is found now; None for one of a model that is not here, or has
    other weights now."""
    folder = registered("result", name)
    sweep, manifest = load_patching(folder), read_manifest(folder, "result")
    asked, here = asked_of(sweep), sweep.pair.model.name in models() and not stale(manifest)
    return asked, keep_in_memory(asked.sweep(), sweep) if here else None


def _swept(asked: Asked, query: dict[str, str], stored: str) -> Parts:
    """The sweeps of the pair in small, and the one that is shown. stored: the name of one that is only shown."""
    smalls = [dcc.Store(id="patching-beside-data"), html.Div(id="patching-beside")]
    if not stored:
        return [*smalls, SWEPT.layout(asked.model, {**asked.pair, **asked.swept}, query), looked_into()]
    fixed = dcc.Store(id=SWEPT.part("fixed"))
    return [*smalls, fixed, *result_view.result_view(SWEPT.at, {"method": SWEPT.method}, stored), looked_into()]


def _begin(model: str) -> html.Div:
    """Built-in pairs, and both prompts changed about."""
    tried = [
        dcc.Link(
            one.name,
            href=links.patching_page(model, **{EXAMPLE: i}),
            title=f"{one.clean}\n{one.corrupted}",
            className="ow-chip",
        )
        for i, one in enumerate(EXAMPLES)
    ]
    swap = dmc.Button("Swap", id="patching-swap", variant="default", size="xs")
    return html.Div([html.Span("Try", className="ow-partial"), *tried, swap], className="ow-link-bar")


def _show_me(model: str) -> Component:
    """The first of them, with its sweep."""
    return link_button(
        f"Show me: {EXAMPLES[0].name.lower()}", links.patching_page(model, **{EXAMPLE: 0}, over="resid_pre")
    )


def looked_into() -> html.Div:
    """Where else to look at the chosen cell: pages of both prompts, and of a head its pattern on either side."""
    which = segmented("patching-side", [(side, side) for side in SIDES], SIDES[0])
    pattern = html.Div(
        [
            html.Div([html.H3("Where this head looks"), which], className="ow-slot-line"),
            slot("patching-heads"),
            graph("patching-pattern", 380, "Attention pattern of the patched head"),
        ],
        id="patching-head",
        hidden=True,
    )
    body = [html.Div(id="patching-links", className="patching-links"), pattern]
    return html.Div(panel("The chosen patch elsewhere", body), id="patching-details", hidden=True)


def stored_panel() -> html.Section | None:
    """The sweeps of this home, which open here."""
    rows = [
        {
            "asked": line(manifest),
            "model": short_model(manifest.model.name) if manifest.model else "",
            "made": when(manifest),
            "stored as": name,
            "href": links.address(links.PATCHING, stored=name),
        }
        for name, manifest in stored_patchings()
    ]
    if not rows:
        return None
    columns = [column("asked"), column("model"), column("made"), column("stored as", wide=True)]
    data = {"columns": columns, "rows": rows, "label": "Stored sweeps", "sorts": True, "page": 12}
    return panel("Stored sweeps", drawn.rows({"type": TABLE, "at": "patching"}, 300, data), note="Newest first.")


def _register(app: Dash) -> None:
    register(app)
    others.register(app)


PAGE = Page(r"/patching", "Patching", layout, _register, ("patching-pattern",))
