"""The pinned subgraph tested in place: changed in the model, compared with the graph's prediction and with random subgraphs."""

from typing import Any

import dash_mantine_components as dmc
import numpy as np
from dash import Dash, Input, Output, State, dcc, html, no_update

from app import links
from app.components import drawn, snippets
from app.components.parts import empty, graph, panel
from app.components.slot import register_slot, slot
from app.components.still import still
from app.figures.dress import dress
from app.jobs import results, work
from app.jobs import table as jobs
from app.library.artifacts import registered
from app.library.graphs import body, graph_of
from app.library.models import model_named, models, stamp_in_memory
from app.pages.circuit.marks_on_disk import marked
from app.pages.circuit.panels import opening
from circuits.graph.graph import CircuitGraph
from probe.artifacts.manifest import Manifest
from probe.errors import BadInput, Unavailable
from probe.progress import Progress
from probe.show import glossary
from probe.words import counted, signed

MODES = [("ablate", "Set to zero"), ("scale", "Multiply by"), ("restore", "Values of another prompt")]
WHAT = "subgraph-test"
EARLIER = 8  # stored tests that are listed
TABLES = ("graph-test-verdicts", "graph-test-roots", "graph-test-random", "graph-test-agreement", "graph-enough-roots")
MOST_RANDOM = 100


def test_panel(found: CircuitGraph, name: str, key: str | None) -> html.Section:
    """What is changed and how, the button, the record of the test of this key, and the tests that are stored; or why this
    graph cannot be tested here."""
    lead = "Do the pinned nodes move the prediction? They are changed in the model; the graph says what should happen."
    if reason := cannot(found):
        return panel("Is it true?", empty("Not to be tested here", reason), note=lead, export=False)
    python = _python(found, name)
    shell = f"openwork graph test {snippets.shlex.quote(name)} --pinned --sufficient"
    return panel(
        "Is it true?",
        [
            _fields(),
            slot("graph-test", key, "test"),
            html.Div(_record(), id="graph-test-record", hidden=True),
            html.Div(still(earlier(name)), id="graph-test-earlier"),
        ],
        note=lead,
        foot=snippets.snippets(python, shell),
    )


def _python(found: CircuitGraph, name: str) -> str:
    used = list(dict.fromkeys(found.dictionaries.values()))
    loaded = f"[{', '.join(f'load_dictionary({d!r}, model)' for d in used)}]"
    more = "load_dictionary, load_model" if used else "load_model"
    lines = [
        f"graph = load_graph(place('graph', {name!r}))",
        f"model = load_model({found.model!r})",
        f"record = check_subgraph(model, graph{f', dictionaries={loaded}' if used else ''}, n_random=20)",
        "record.figure()",
    ]
    head = opening("\n".join(lines), "check_subgraph")
    return head.replace("from probe.artifacts", f"from probe import {more}\nfrom probe.artifacts", 1)


def _fields() -> html.Div:
    mode = dmc.Select(
        id="graph-test-mode", data=[{"value": v, "label": t} for v, t in MODES], value="ablate", size="xs", w=190,
        allowDeselect=False, label="Pinned nodes are",
    )  # fmt: skip
    factor = dmc.NumberInput(
        id="graph-test-factor", value=2.0, step=0.5, size="xs", w=90, label="Factor", min=-100, max=100
    )
    other = dmc.TextInput(
        id="graph-test-prompt",
        size="xs",
        w=300,
        label="The other prompt, of as many tokens",
        placeholder="The capital of Italy is",
    )
    random = dmc.NumberInput(
        id="graph-test-random-n", value=20, min=0, max=MOST_RANDOM, step=5, size="xs", w=130, label="Random subgraphs"
    )
    enough = dmc.Checkbox(
        id="graph-test-enough", checked=True, size="xs", label="also: are they enough by themselves?", mb=6
    )
    return html.Div(
        [
            mode,
            html.Div(factor, id="graph-test-factor-box", hidden=True),
            html.Div(other, id="graph-test-prompt-box", hidden=True),
            random,
            enough,
            dmc.Button("Test the pinned subgraph", id="graph-test-go", size="xs", mb=1),
        ],
        className="ow-fields",
    )  # fmt: skip


def _record() -> list[Any]:
    def part(heading: str, table: str, height: int) -> html.Div:
        return html.Div([html.H3(heading, className="ow-partial"), drawn.rows(table, height)])

    tables = [
        part("Each logit", "graph-test-roots", 260),
        part("Against random subgraphs", "graph-test-random", 260),
        part("Prediction and measurement, over all nodes", "graph-test-agreement", 200),
    ]
    enough = [
        html.P(id="graph-enough-words", className="ow-sentence", style={"marginTop": 16}, dir="auto"),
        graph("graph-enough-figure", 300, "Share of each logit that is left"),
        drawn.rows("graph-enough-roots", 260),
    ]
    return [
        html.P(id="graph-test-words", className="ow-sentence", dir="auto"),
        drawn.rows("graph-test-verdicts", 320),
        graph("graph-test-figure", 400, "Predicted against measured, and the subgraph beside random ones"),
        html.Div(tables, className="ow-grid"),
        html.Div(enough, id="graph-enough-box"),
    ]


def cannot(found: CircuitGraph) -> str:
    """Why a graph cannot be tested from its page; empty where it can."""
    if "imported" in found.facts:
        return "This graph was imported, so the model it was traced in may not be here. Trace its prompt to test one."
    if found.model not in models():
        named = found.model[:60] or "not named in it"
        return (
            f"The model of this graph ({named}) is none of those known here. `openwork graph test --model` takes any."
        )
    if lost := [d for d in found.dictionaries.values() if not _stored(d)]:
        return f"The dictionary '{lost[0][:60]}' of this graph is not stored here. Trace the prompt again with one that is."
    return ""


def _stored(name: str) -> bool:
    try:
        return registered("dictionary", name).is_dir()
    except BadInput:
        return False


# -- the work --------------------------------------------------------------------------------------------------------------


def ask(name: str, mode: str, factor: float, other: str, n_random: int, enough: bool) -> str:
    """Queue the test of what is pinned now; equal questions are one job."""
    now = marked(name)
    if not now.marks.chosen:
        raise BadInput("Nothing is pinned. Pin the nodes to be tested first: select one and press p.")
    if mode == "restore" and not (other or "").strip():
        raise BadInput("Write the other prompt: its values are put in where nodes are pinned. It needs as many tokens.")
    options = {"mode": mode, "n_random": int(np.clip(n_random or 0, 0, MOST_RANDOM))}
    options |= {"factor": float(factor or 0.0)} if mode == "scale" else {"restore": other} if mode == "restore" else {}
    return start(name, body(name), sorted(now.marks.chosen), options, bool(enough))


def start(name: str, of: str, nodes: list[int], options: dict[str, Any], enough: bool) -> str:
    """Queue the test of these nodes of a graph whose edges have the digest `of`, whatever is pinned now."""
    found, now = same_body(name, of), body(name)
    if not nodes or not all(type(i) is int and 0 <= i < len(found.nodes) for i in nodes):
        raise BadInput(f"These are not nodes of {name}; pin some on its page and test them there.")
    options = {**options, "n_random": int(np.clip(options["n_random"], 0, MOST_RANDOM))}
    key = work.key_of(WHAT, name, now, nodes, options, enough)
    title = f"Test {counted(len(nodes), 'pinned node')} of {name}"
    origin = results.Origin(
        (name, *dict.fromkeys(found.dictionaries.values())),
        {**options, "nodes": [found.name(i) for i in nodes], "sufficient": enough, "of": now},
        f"openwork graph test {snippets.shlex.quote(name)} --pinned{' --sufficient' if enough else ''}",
        lambda: stamp_in_memory(found.model),
    )
    link = links.circuit_page(name, test=key)
    again = ["test", {"name": name, "of": now, "nodes": nodes, "options": options, "enough": enough}]
    wanted = work.Work(key, title, lambda p: run(name, nodes, options, enough, p), link, "graph", origin, again=again)
    return work.submit(wanted)


def same_body(name: str, of: str) -> CircuitGraph:
    """The stored graph of this name, if its edges are those of the digest; BadInput where it was traced anew since."""
    if body(name) != of:
        raise BadInput(
            f"{name} was traced anew since, so nodes have other numbers. Start it from the page of the graph."
        )
    return graph_of(name)


def shown_first(name: str, given: str | None) -> str | None:
    """The key of the test that a page opens with: the address's, the one that is under way, or the newest that is stored."""
    if key := work.given(given, WHAT):
        return key
    page = links.circuit_page(name)
    running = [j for j in jobs.table().active() if j.key.startswith(f"{WHAT}:") and j.link.partition("?")[0] == page]
    if running:
        return running[0].key
    newest = next((m for m in stored_tests(name) if m.config.get("of") == body(name)), None)
    return str(newest.facts["key"]) if newest else None


def stored_tests(name: str) -> list[Manifest]:
    """The tests of a graph that are stored, newest first."""
    return results.of(WHAT, name)


def earlier(name: str) -> Any:
    """Links to the stored tests of a graph; nothing where there is none."""
    found = stored_tests(name)[:EARLIER]
    if not found:
        return None
    return html.Div(
        [
            html.H3("Tests of this graph", className="ow-partial"),
            html.Ul([_earlier(m) for m in found], className="ow-notes"),
        ]
    )


def _earlier(manifest: Manifest) -> html.Li:
    asked, when = manifest.config, manifest.created[:16].replace("T", " ")
    nodes = asked.get("nodes")
    size = counted(len(nodes), "node") if isinstance(nodes, list) else "nodes"
    how = dict(MODES).get(str(asked.get("mode")), "changed").lower()
    words = f"{when}: {size} {how}, {asked.get('n_random', 0)} random subgraphs"
    return html.Li(dcc.Link(words, href=results.page_of(manifest) or "", refresh=True))


def run(name: str, nodes: list[int], options: dict[str, Any], enough: bool, progress: Progress) -> tuple[Any, Any]:
    """The records of the test and of sufficiency. Raises where the model is not the one that the graph was traced in."""
    from circuits.faithfulness.sufficiency import check_sufficiency
    from circuits.validation.subgraph import check_subgraph

    found = graph_of(name)
    model = model_named(found.model, progress)
    same_model(name, model)
    shared = {"dictionaries": dictionaries_for(found, model), "progress": progress}
    test = check_subgraph(model, found, nodes, **options, **shared)
    most = min(options["n_random"], 10)
    return test, check_sufficiency(model, found, nodes, n_random=most, **shared) if enough else None


def same_model(name: str, model: Any) -> None:
    """Raise BadInput where the loaded model has other weights or another tokenizer than the graph's manifest says."""
    from probe.artifacts.manifest import check_model, read_manifest
    from probe.model.load import stamp

    folder = registered("graph", name)
    manifest = read_manifest(folder, "graph")
    if manifest.model is not None:
        check_model(manifest, stamp(model), folder)


def dictionaries_for(found: CircuitGraph, model: Any) -> list[Any]:
    """The stored dictionaries that a graph was traced with."""
    from probe.dictionaries import load_dictionary

    names = list(dict.fromkeys(found.dictionaries.values()))
    if lost := [n for n in names if not _stored(n)]:
        raise Unavailable(f"The dictionary '{lost[0][:60]}' of this graph is not stored here. Trace the prompt again.")
    return [load_dictionary(registered("dictionary", n), model) for n in names]


# -- what it means ---------------------------------------------------------------------------------------------------------


def meaning(test: Any) -> str:
    """The record in sentences: what moved, what was predicted, and whether random subgraphs do as much."""
    first, n = test.first, len(test.first.nodes)
    top = max(first.roots, key=lambda r: r.probability or 0.0)
    does = {"ablate": "Setting to zero", "scale": f"Multiplying by {test.factor:g}", "restore": "Restoring"}[test.mode]
    moved = f"{does} the {counted(n, 'pinned node')} moves {top.root} by {signed(top.full)}"
    moved += f"; the graph predicted {signed(top.predicted_full)}"
    if top.probability is not None and top.probability_after is not None:
        whose = "Its" if top.other_probability is None else "Its first token's"
        moved += f". {whose} probability goes from {top.probability:.3f} to {top.probability_after:.3f}"
        if top.other_probability is not None:
            moved += f", the other's from {top.other_probability:.3f} to {top.other_probability_after:.3f}"
    held = f"With everything else held, the graph's sums are met to {_gap(top)}"
    against = _against(test, len(first.random))
    return f"{moved}. {held}. {against}"


def _against(test: Any, n: int) -> str:
    """The subgraph beside random ones, by every measure."""
    from circuits.validation.verdicts import chance_words

    said = chance_words(test.verdicts)
    if not test.comparisons:
        return f"{said[0].upper()}{said[1:]}."
    each = "; ".join(
        f"{c.measure} {signed(c.subgraph.mean)}, theirs {signed(c.random.mean)} (p = {c.p:.2g})"
        for c in test.comparisons
    )
    words = (
        f"Beside {counted(n, 'random subgraph')} of as many nodes of the same kinds and layers: {each}. That is {said}"
    )
    shared = test.first.overlap
    return f"{words}." + (
        f" They share {100 * shared:.0f} % of their nodes with it, for want of others." if shared > 0.05 else ""
    )


def enough_meaning(found: Any) -> str:
    """What is left of the likeliest root with the pinned units alone."""
    one = next((r for r in found.roots if not np.isnan(r.share)), None)
    if one is None:
        return "Silencing every unit moves no logit by a hundredth of its value, so what is enough alone cannot be told here."
    random = f"; random subgraphs of the same size keep {100 * np.mean(one.random):.0f} %" if one.random else ""
    kept = f"the {counted(found.n_kept, 'pinned unit')} keep {100 * one.share:.0f} % of what all units together do to {one.root}"
    said = f"the graph predicts {100 * one.predicted_share:.0f} %"
    return (
        f"Alone, with the other {counted(found.n_silenced, 'unit')} of the graph set to zero, {kept} ({said}){random}."
    )


def _gap(top: Any) -> str:
    return f"{abs(top.direct - top.predicted_direct):.1g}"


def table(rows: list[dict[str, Any]], label: str) -> dict[str, Any]:
    """Rows of a record for the page: numbers right, texts left."""
    keys = list(dict.fromkeys(k for row in rows for k in row))
    number = {k: all(isinstance(row.get(k), int | float | None) for row in rows) for k in keys}
    columns = [
        {
            "key": k,
            "label": k.replace("_", " "),
            "kind": "num" if number[k] and k != "n" else "text",
            "title": glossary.meaning(k),
        }
        for k in keys
    ]
    plain = [
        {
            k: None if isinstance(v, float) and not np.isfinite(v) else f"{v:,}" if k == "n" and v is not None else v
            for k, v in row.items()
        }
        for row in rows
    ]
    return {"columns": columns, "rows": plain, "label": label, "sorts": True}


def verdict_table(test: Any, enough: Any) -> dict[str, Any]:
    """Every question by every measure, with its p and n."""
    from circuits.validation.verdicts import verdict_rows

    found = table(verdict_rows([*test.verdicts, *(enough.verdicts if enough else [])]), "What the test says")
    note = "p: share of random subgraphs that do as much, itself counted; n: how many there are. Each measure answers for itself."
    return {**found, "note": note}


def shown(key: str, scheme: str) -> list[Any]:
    """Everything the record's panel shows, in the order of its outputs."""
    test, enough = work.found(key)
    tables = [
        verdict_table(test, enough),
        table(test.rows(), "Each logit: predicted and measured"),
        table(test.comparison_rows(), "Against random subgraphs"),
        table(test.agreement_rows(), "Prediction and measurement"),
        table(enough.rows() if enough else [], "What is left of each logit"),
    ]
    figures = [dress(test.figure(), scheme), dress(enough.figure(), scheme) if enough else no_update]
    return [False, meaning(test), enough is None, enough_meaning(enough) if enough else "", *figures, *tables]


# -- callbacks -------------------------------------------------------------------------------------------------------------


def register(app: Dash) -> None:
    register_slot(app, "graph-test", "test")
    for name in TABLES:
        drawn.register_rows(app, name)

    @app.callback(
        Output("graph-test-factor-box", "hidden"),
        Output("graph-test-prompt-box", "hidden"),
        Input("graph-test-mode", "value"),
    )
    def fields(mode: str):
        return mode != "scale", mode != "restore"

    @app.callback(
        Output("graph-test-key", "data"),
        Output("graph-test-record", "hidden", allow_duplicate=True),
        Input("graph-test-go", "n_clicks"),
        State("graph-name", "data"),
        State("graph-test-mode", "value"),
        State("graph-test-factor", "value"),
        State("graph-test-prompt", "value"),
        State("graph-test-random-n", "value"),
        State("graph-test-enough", "checked"),
        prevent_initial_call=True,
    )
    def go(clicks: int | None, name: str, mode: str, factor: Any, other: str, n: Any, enough: bool):
        return (ask(name, mode, factor, other, n, enough), True) if clicks else (no_update, no_update)

    @app.callback(
        Output("graph-test-record", "hidden"),
        Output("graph-test-words", "children"),
        Output("graph-enough-box", "hidden"),
        Output("graph-enough-words", "children"),
        Output("graph-test-figure", "figure"),
        Output("graph-enough-figure", "figure"),
        *(Output(f"{name}-data", "data") for name in TABLES),
        Output("graph-test-earlier", "children"),
        Input("graph-test-done", "data"),
        State("scheme", "data"),
        State("graph-name", "data"),
    )
    def show(key: str | None, scheme: str, name: str):
        return [*shown(key, scheme), still(earlier(name))] if key else [no_update] * 12
