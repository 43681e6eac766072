"""Patching: a clean and a corrupted prompt side by side, what is measured, a sweep as a heat map, and every cell to look into.

All that is shown stands in the address: `p` and `corrupted` (the prompts), `right`, `wrong`, `metric`, `over`, `dir`, `control`,
the keys of what was found (`pair`, `sweep`), and the clicked cell as the selection; `stored` names a sweep on disk.
"""

from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from app.components import drawn
from app.components.cards import outdated_note
from app.components.parts import Parts, empty, graph, icon, panel, segmented, title
from app.components.slot import slot
from app.frame.shell import Page
from app.library import memory, prompts
from app.library.artifacts import registered
from app.library.models import models, short_model
from app.methods import view
from app.pages.patching.asked import PAIR, SWEEP, Asked, asked_in, asked_of, start
from app.pages.patching.callbacks import MEASURED, SWEPT, register
from app.pages.patching.stored import stored_rows
from app.selection import selection_from
from circuits.patching.record import PatchingSweep
from circuits.patching.store import load_patching
from probe.artifacts.manifest import read_manifest
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
    """Boxes, the two runs, the sweep; results are drawn as they arrive."""
    stored = query.get("stored", "")
    asked = asked_of(stored_sweep(stored)) if stored else asked_in(query)
    chosen = {**selection_from(query), "model": asked.model}
    found = beside = None
    if asked.complete:
        found, beside = runs(asked, stored, query), looked_into()
    return [
        dcc.Store(id="patching-asked", data={**asked.__dict__, "stored": stored}),
        dcc.Store(id="selection", data={**chosen, "prompt": asked.clean} if asked.clean else chosen),
        title("Patching", lead=LEAD),
        *(outdated_note("result", stored) if stored else []),
        pair_panel(asked),
        *([*found, beside] if found else [nothing_yet()]),
        stored_panel(),
    ]


def stored_sweep(name: str) -> PatchingSweep:
    """A sweep on disk, put where the view of a result looks for it."""
    folder = registered("result", name)
    sweep = load_patching(folder)
    memory.remember("stored record", name, read_manifest(folder, "result").created, sweep)
    return sweep


def runs(asked: Asked, stored: str, query: dict[str, str]) -> Parts:
    """The two runs and the sweep between them; what an address asks for is begun."""
    beside = [dcc.Store(id="patching-beside-data"), html.Div(id="patching-beside")]
    if stored:
        shown = view.result_view(SWEPT.at, {"method": SWEPT.method}, stored, beside=query.get("beside", "")[:200])
        return [*beside, *shown]
    if PAIR not in query:
        start(asked.pair())
    if SWEEP not in query and asked.swept:
        start(asked.sweep())
    measured = html.Div(MEASURED.layout(asked.model, asked.given(), query), id="patching-measured")
    return [measured, *beside, SWEPT.layout(asked.model, {**asked.given(), **asked.swept}, query)]


def nothing_yet() -> html.Div:
    """Patching in two sentences, and the click that shows it."""
    show = dmc.Button(f"Show me: {EXAMPLES[0].name.lower()}", id={"type": "patching-example", "index": -1})
    return empty("Where does the answer come from?", NOTHING_YET, show)


def pair_panel(asked: Asked) -> html.Section:
    """The two boxes, examples, and what compares them."""
    texts = (prompts.load(asked.clean).text if asked.clean else "", asked.texts()[1] if asked.complete else "")
    said = (
        ("Clean: the behaviour to explain", EXAMPLES[0].clean),
        ("Corrupted: the same with another answer", EXAMPLES[0].corrupted),
    )
    box: dict[str, Any] = {"autosize": True, "minRows": 2, "maxRows": 6, "size": "sm"}
    boxes = [
        dmc.Textarea(id=f"patching-{side}", value=text, label=label, placeholder=hint, **box)
        for side, text, (label, hint) in zip(("clean", "corrupted"), texts, said, strict=True)
    ]
    model = dmc.Select(
        id="patching-model",
        data=[{"value": m, "label": short_model(m)} for m in models()],
        value=asked.model,
        w=180,
        size="sm",
        allowDeselect=False,
        **{"aria-label": "Model"},
    )
    swap = dmc.Button("Swap", id="patching-swap", variant="default", size="sm")
    compare = dmc.Button("Compare", id="patching-compare", size="sm", rightSection=icon("arrow", small=True))
    examples = [
        html.Button(
            e.name, id={"type": "patching-example", "index": i}, type="button", title=f"{e.clean}\n{e.corrupted}"
        )
        for i, e in enumerate(EXAMPLES)
    ]
    below = [
        html.Div(["Try", *examples], className="ow-examples"),
        html.Div([model, swap, compare], className="ow-actions"),
    ]
    body = [
        html.Div(boxes, className="ow-grid even"),
        html.Div(below, className="ow-title patching-below"),
        html.Div(id="patching-refused", role="alert"),
    ]
    return panel(
        "Two prompts", body, note="They need the same number of tokens: a position replaces the same position."
    )


def looked_into() -> html.Div:
    """Where else to look at the chosen cell: pages of both prompts, and of a head its pattern on either side."""
    which = segmented("patching-side", [("clean", "clean"), ("corrupted", "corrupted")], "clean")
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
    """Sweeps on disk."""
    data = stored_rows()
    if not data["rows"]:
        return None
    return panel("Stored sweeps", drawn.rows("patching-disk", 300, data), note="Of this home, newest first.")


PAGE = Page(r"/patching", "Patching", layout, register, ("patching-pattern",))
