"""What the claims about two circuits are measured by: how well a task is done, patches, and graphs with what ablating shows.

Each part is of one task and gives the measures of its claims beside their controls. Sets of units come from graphs of the traced
prompts; whether they are needed is asked of the tested ones, beside random sets of the same layers, and of the other task.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float

import circuits
from circuits.comparison.merge import MergedGraph
from circuits.studies import digits, unit_sets, way
from circuits.studies.claim import Measured
from circuits.studies.last_token import Scores
from circuits.studies.study import Bench, Found, Line, Lines, Part, Scale, Table
from circuits.studies.years_and_capitals import (
    N_TRACED,
    PAIRS,
    SHORT,
    TESTED,
    TRACED,
    digit_ids,
    every_start_digit,
    n_traced,
)
from probe.errors import BadInput
from probe.statistics import Interval

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def doing(name: str, bench: Bench) -> Found:
    """How well the model does the task, beside the same prompts with each other's answers."""
    told = {kind: made[name](bench.model) for kind, made in (("traced", TRACED), ("tested", TESTED))}
    task = told["tested"].first(bench.scale.prompts)
    told["tested"], logits, draw = task, task.logits(), np.random.default_rng(bench.scale.seed)
    key = "gap" if name == "greater-than" else "right"
    shuffled = [getattr(task.shuffled(draw).scores(logits), key).mean() for _ in range(bench.scale.sets)]
    own = getattr(task.scores(logits), key)
    found = Measured.of(own, np.array(shuffled), over="prompts", seed=bench.scale.seed)
    rows = [_doing_row(f"{len(t.prompts)} {kind}", t.scores(t.logits())) for kind, t in told.items()]
    bench.step(2)
    return Found(measured={f"{SHORT[name]}-done": found}, tables=[Table(f"How well the model does {name}", rows)])


def _doing_row(prompts: str, scores: Scores) -> dict[str, Any]:
    means = scores.means()
    return {
        "prompts": prompts,
        "margin (logits)": means["margin"],
        "probability right": means["probability"],
        "right minus wrong": means["gap"],
        "likeliest right": means["right"],
        "likeliest wrong": means["wrong"],
    }


def patching(name: str, bench: Bench) -> Found:
    """Where the information is, and which heads move it."""
    run = way.Patching(bench.model, PAIRS[name](bench.model).first(bench.scale.prompts))
    rows = way.windows(run, bench.step)
    heads = way.by_head(run, bench.scale.sets, bench.scale.seed, bench.step)
    names = " ".join(f"L{layer}H{index}" for layer, index in heads.chosen)
    found = Measured.of(heads.together, heads.draws, over="pairs", seed=bench.scale.seed)
    random = {"head": f"{len(heads.chosen)} random of these layers", "attention": None, "mean": found.random.mean}
    together = {"head": names, "attention": None, **way.with_error(torch.tensor(heads.together))}
    return Found(
        measured={f"{SHORT[name]}-heads": found},
        tables=[
            Table(f"Heads patched in {name}: share of the way", [*heads.rows, together, {**random, "error": None}])
        ],
        pictures=[_flow(name, rows)],
    )


LINES = (
    ("resid_post", "varied", "stream at the varied token"),
    ("resid_post", "last", "stream at the last token"),
    ("attn_out", "last", "attention at the last token"),
    ("mlp_out", "last", "MLPs at the last token"),
    ("mlp_out", "varied", "MLPs at the varied token"),
)


def _flow(name: str, rows: Sequence[dict[str, Any]]) -> Lines:
    lines = []
    for what, where, words in LINES:
        some = [row for row in rows if (row["what"], row["where"]) == (what, where)]
        x = [row["last"] if what == "resid_post" else (row["first"] + row["last"]) / 2 for row in some]
        lines.append(Line(words, x, [row["mean"] for row in some], [row["error"] for row in some]))
    title = f"What patches move in {name}, by layer"
    return Lines(title, "layer (windows of three: their middle)", "share of the way to the other answer", lines)


def graphs(name: str, bench: Bench) -> Found:
    """Graphs of the traced prompts, and what becomes of the task without the sets of units found in them."""
    model, scale, short = bench.model, bench.scale, SHORT[name]
    traced, own = (made[name](model).first(scale.prompts) for made in (TRACED, TESTED))
    found = unit_sets.graphs_of(traced, bench.step)
    merged = circuits.merge_graphs(found, align="end")
    sets, untouched = unit_sets.sets_of(merged), own.scores(own.logits())
    measured, rows = {}, {"traced": [], "tested": [_tested_row("nothing", untouched, [], _other(name, model, []))]}
    for what, units in sets.items():
        test = unit_sets.checked(model, found, units, bench.step)
        rows["traced"].append(unit_sets.traced_row(name, what, units, test))
        after = unit_sets.ablated(own, units)
        drawn = unit_sets.without_random(own, units, merged, scale.sets, scale.seed, bench.step)
        rows["tested"].append(_tested_row(what, after, drawn, _other(name, model, units)))
        if what != "suppressors":
            kind = "neurons" if what == "writers" else "heads"
            draws = np.array([unit_sets.lost(one, untouched).mean() for one in drawn])
            values = unit_sets.lost(after, untouched)
            measured[f"{short}-{kind}-needed"] = Measured.of(values, draws, over="prompts", seed=scale.seed)
            guesses = unit_sets.random_closeness(found, units, test, scale.sets, scale.seed).mean(1)
            near = unit_sets.closeness(test)
            measured[f"{short}-{kind}-forecast"] = Measured.of(near, guesses, over="prompts", seed=scale.seed)
    tables = [
        Table(f"Sets of {name} ablated in traced prompts: change of the margin", rows["traced"]),
        Table(f"Sets of {name} ablated in other prompts", rows["tested"]),
    ]
    if name == "greater-than":
        more, table = _by_digit(model, sets["writers"], merged, scale)
        measured, tables = {**measured, **more}, [*tables, table]
    return Found(measured=measured, tables=tables)


def _other(name: str, model: "TransformerBridge", units: Sequence[unit_sets.Unit]) -> float | None:
    """The margin of the other task without these units; None where the model cannot be asked it."""
    other = next(one for one in TESTED if one != name)
    try:
        return float(unit_sets.ablated(TESTED[other](model), units).margin.mean())
    except BadInput:
        return None


def _tested_row(what: str, scores: Scores, drawn: Sequence[Scores], other: float | None) -> dict[str, Any]:
    margins = np.array([one.margin.mean() for one in drawn] or [np.nan])
    return {
        "ablated": what,
        "margin": float(scores.margin.mean()),
        "random sets": float(margins.mean()),
        "lowest": float(margins.min()),
        "highest": float(margins.max()),
        "right minus wrong": float(scores.gap.mean()),
        "likeliest right": float(scores.right.mean()),
        "likeliest wrong": float(scores.wrong.mean()),
        "margin of the other task": other,
    }


def _by_digit(
    model: "TransformerBridge", writers: Sequence[unit_sets.Unit], merged: MergedGraph, scale: Scale
) -> tuple[dict[str, Measured], Table]:
    """What the writers do with the start year, beside random sets of other nodes of their layers."""
    units = [(layer, unit) for _, layer, unit in writers]
    at = np.flatnonzero(unit_sets.at_the_end(merged, "neuron"))
    pool = [(int(merged.nodes.layer[i]), int(merged.nodes.unit[i])) for i in at]
    task = every_start_digit(model)
    table = digits.digits_of(task, digit_ids(model), sorted({layer for layer, _ in [*units, *pool]}))
    draw, free = np.random.default_rng(scale.seed), [one for one in pool if one not in units]
    sets = [digits.matched(units, free, draw) for _ in range(scale.sets)]
    written = table.written(units)
    together = Measured(
        interval=Interval(digits.agreement(written, table.logits), *digits.resampled(written, table.logits)),
        n=10,
        over="start digits",
        draws=np.array([digits.agreement(table.written(one), table.logits) for one in sets]),
        seed=scale.seed,
    )
    rulers = Measured.of(
        _rulers(table, units), np.array([_rulers(table, one).mean() for one in sets]), over="neurons", seed=scale.seed
    )
    rows = [{k: v for k, v in table.row(*unit).items() if not isinstance(v, list)} for unit in units]
    return {"years-together": together, "years-single": rulers}, Table("The neurons by start year", rows)


def _rulers(table: digits.Digits, units: digits.Neurons) -> Float[np.ndarray, " neuron"]:
    return np.array([table.ruler(*unit) for unit in units])


def _graph_runs(name: str, scale: Scale) -> float:
    traced = min(n_traced(name), scale.prompts or N_TRACED)
    checked = min(traced, unit_sets.N_CHECKED) * (2 + unit_sets.N_MEASURED)
    return traced * unit_sets.TRACE_RUNS + 3 * (checked + scale.sets)


def parts() -> list[Part]:
    """Three parts for each task."""
    return [
        part
        for name in TESTED
        for part in (
            Part(f"{name}-done", partial(doing, name), lambda scale: 2),
            Part(f"{name}-patching", partial(patching, name), lambda scale: way.WINDOW_RUNS + way.N_SEEN + scale.sets),
            Part(f"{name}-graphs", partial(graphs, name), partial(_graph_runs, name)),
        )
    ]
