"""Patching: a clean and a corrupted prompt side by side, what is measured, a sweep as a heat map, and every cell to look into.

All that is shown stands in the address: `p` and `c` (the prompts), `right`, `wrong`, `metric`, `over`, `dir`, `control`, and the
clicked cell as the selection; `stored` names a sweep on disk.
"""

from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from app.components import drawn, snippets
from app.components.cards import outdated_note
from app.components.parts import Parts, empty, graph, icon, panel, segmented, title
from app.components.slot import slot
from app.frame.shell import Page
from app.library import prompts
from app.library.artifacts import registered
from app.library.models import first_model, models, short_model
from app.pages.patching.callbacks import register
from app.pages.patching.tables import stored_rows
from app.pages.patching.work import METRICS, Asked, asked_in, python_for, shell_for, start_pair
from app.selection import selection_from
from circuits.patching.kinds import KINDS, METRIC_LABELS
from circuits.patching.store import load_patching
from probe.tasks.examples import EXAMPLES

LEAD = (
    "Two prompts that differ in a word call for different answers. Run one of them, put in a single piece of the other's run, "
    "and see how far the answer follows: the pieces that move it carry the difference."
)


def layout(query: dict[str, str]) -> Parts:
    """Boxes, strips and controls; the callbacks fill them as the runs arrive."""
    stored = query.get("stored", "")
    asked = asked_of_stored(stored) if stored else asked_in(query)
    texts = ("", "")
    if asked.clean:
        texts = (prompts.load(asked.clean).text, prompts.load(asked.corrupted).text if asked.corrupted else "")
    key = start_pair(asked) if asked.complete and not stored else None
    chosen = {**selection_from(query), "model": asked.model}
    page = [
        dcc.Store(id="patching-asked", data={**asked.__dict__, "stored": stored}),
        dcc.Store(id="patching-shape"),
        dcc.Store(id="selection", data={**chosen, "prompt": asked.clean} if asked.clean else chosen),
        title("Patching", lead=LEAD),
        *(outdated_note("result", stored) if stored else []),
        pair_panel(asked, texts, key),
    ]
    panels = [measure_panel(asked), sweep_panel(asked, stored), cell_panels()]
    page.append(
        html.Div(panels, className="patching-panels", hidden=not asked.complete)
    )  # callbacks need all of them there
    page += [] if asked.complete else [nothing_yet()]
    return [*page, stored_panel()]


def nothing_yet() -> html.Div:
    """Patching in two sentences, and the click that shows it."""
    words = (
        "Activation patching asks which piece of a run carries an answer: it runs one prompt, replaces a single piece (one "
        "position of a layer, one head) by that of another prompt's run, and measures how far the prediction moves. "
        "Do that for every piece, and the heat map shows where the difference between both prompts lives."
    )
    show = dmc.Button(f"Show me: {EXAMPLES[0].name.lower()}", id={"type": "patching-example", "index": -1})
    return empty("Where does the answer come from?", words, show)


def asked_of_stored(name: str) -> Asked:
    """What a stored sweep shows; its prompts become prompts of this home, so that they can be opened."""
    found = load_patching(registered("result", name))
    pair = found.pair
    model = pair.model.name if pair.model.name in models() else first_model()
    ids = [prompts.store(side.prompt, model).id for side in (pair.clean, pair.corrupted)]
    given = pair.answers if pair.answers_given else []
    right, wrong = (*given, "", "")[:2]
    metric = pair.metric if pair.metric in METRICS else "logit_diff"
    return Asked(
        model,
        *ids,
        right=right,
        wrong=wrong,
        metric=metric,
        over=found.over,
        direction=found.direction,
        control=found.control is not None,
    )


def pair_panel(asked: Asked, texts: tuple[str, str], key: str | None) -> html.Section:
    """The two boxes, the examples, and the tokens one under the other."""
    boxes = [
        dmc.Textarea(
            id=f"patching-{side}",
            value=text,
            label=label,
            placeholder=hint,
            autosize=True,
            minRows=2,
            maxRows=6,
            size="sm",
        )
        for side, text, label, hint in (
            ("clean", texts[0], "Clean: the behaviour to explain", EXAMPLES[0].clean),
            ("corrupted", texts[1], "Corrupted: the same with another answer", EXAMPLES[0].corrupted),
        )
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
    below = html.Div(
        [
            html.Div(["Try", *examples], className="ow-examples"),
            html.Div([model, swap, compare], className="ow-actions"),
        ],
        className="ow-title patching-below",
    )
    body = [
        html.Div(boxes, className="ow-grid even"),
        below,
        html.Div(id="patching-refused", role="alert"),
        slot("patching-pair", key),
        dcc.Store(id="patching-tokens-data"),
        html.Div(id="patching-tokens", className="ow-data", **{"aria-live": "polite"}),
    ]
    return panel(
        "Two prompts", body, note="They need the same number of tokens: a position replaces the same position."
    )


def measure_panel(asked: Asked) -> html.Section:
    """Metric and answers, with their values in both runs before anything is patched."""
    metric = segmented(
        "patching-metric",
        list(METRIC_LABELS.items()),
        asked.metric,
    )
    right, wrong = (
        dmc.TextInput(
            id=f"patching-{side}", value=value, label=label, placeholder="what the run says itself", w=190, size="sm"
        )
        for side, value, label in (("right", asked.right, "Right answer"), ("wrong", asked.wrong, "Wrong answer"))
    )
    again = dmc.Button("Measure", id="patching-measure", size="sm", variant="default")
    chosen = html.Div([right, wrong, again], className="ow-actions patching-answers")
    pair = Asked(**{**asked.__dict__, "over": ""})
    return panel(
        "What is measured",
        [chosen, html.Div(id="patching-facts"), drawn.rows("patching-top")],
        note="After the last token. One token each, with its space: “ Mary”. The clean run counts as 1, the corrupted run as 0.",
        tools=metric,
        foot=snippets.snippets(python_for(pair), shell_for(pair)) if pair.complete else None,
    )


def sweep_panel(asked: Asked, stored: str) -> html.Section:
    """Which pieces are patched, the button that does it, and the heat map."""
    over = dmc.Select(
        id="patching-over",
        data=[{"value": name, "label": kind.label} for name, kind in KINDS.items()],
        value=asked.over or "resid_pre",
        w=270,
        size="sm",
        allowDeselect=False,
        **{"aria-label": "What is patched"},
    )
    direction = segmented(
        "patching-direction",
        [("denoise", "restore the corrupted run"), ("noise", "break the clean run")],
        asked.direction,
    )
    control = dmc.Switch(id="patching-control", checked=asked.control, label="compare with unrelated donors", size="sm")
    run = dmc.Button("Run", id="patching-run", size="sm", leftSection=icon("patching", small=True))
    shown = html.Div(
        [
            html.P(id="patching-sentence", className="ow-sub", dir="auto"),
            html.Div(graph("patching-figure", 420, "Heat map of the sweep"), className="ow-scroll"),
        ],
        id="patching-shown",
        hidden=True,
    )
    body = [
        html.Div([over, direction, control, run], className="ow-actions"),
        html.P(id="patching-meaning", className="ow-sub patching-meaning"),
        slot("patching-sweep"),
        dcc.Store(id="patching-beside-data"),
        html.Div(id="patching-beside"),
        shown,
    ]
    foot = None
    if asked.over and asked.complete:
        shell = None if stored else shell_for(asked)
        foot = snippets.snippets(python_for(asked, stored), shell)
    keep = [
        dmc.TextInput(
            id="patching-name", placeholder="name to store it under", size="xs", w=190, **{"aria-label": "Name"}
        ),
        dmc.Button("Store", id="patching-store", size="xs", variant="default"),
        html.Span(id="patching-stored-note", className="ow-partial", role="status"),
    ]
    tools = html.Div(keep, className="ow-actions", id="patching-keep", hidden=True)
    note = "Blue moves the answer towards the clean run, red towards the corrupted one. Click a cell to look into it."
    return panel("Sweep", body, note=note, tools=tools, foot=foot)


def cell_panels() -> html.Div:
    """The clicked cell, and all cells as a table."""
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
    cell = panel("One patch", [html.Div(id="patching-cell"), drawn.rows("patching-then"), pattern])
    table = panel("Strongest patches", drawn.rows("patching-rows", 620), note=html.Span(id="patching-rows-note"))
    return html.Div([cell, table], className="ow-grid even", id="patching-details", hidden=True)


def stored_panel() -> html.Section | None:
    """Sweeps on disk."""
    data = stored_rows()
    if not data["rows"]:
        return None
    box: Any = drawn.rows("patching-disk", 300)
    box.children[0].data = data
    return panel("Stored sweeps", box, note="Results of patching in this home, newest first.")


PAGE = Page(r"/patching", "Patching", layout, register, ("patching-figure", "patching-pattern"))
