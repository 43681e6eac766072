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

from circuits.comparison.merge import MergedGraph
from circuits.studies import digits, patched_layers, unit_sets
from circuits.studies.claim import Measured
from circuits.studies.last_token import Scores
from circuits.studies.study import Bench, Found, Line, Lines, Part, Scale, Table
from circuits.studies.traced import Traced, runs_of
from circuits.studies.years_and_capitals import (
    PAIRS,
    SHORT,
    TESTED,
    TRACED,
    digit_ids,
    every_start_digit,
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
    run = patched_layers.Patching(bench.model, PAIRS[name](bench.model).first(bench.scale.prompts))
    rows = patched_layers.windows(run, bench.step)
    heads = patched_layers.by_head(run, bench.scale.sets, bench.scale.seed, bench.step)
    names = " ".join(f"L{layer}H{index}" for layer, index in heads.chosen)
    found = Measured.of(heads.together, heads.draws, over="pairs", seed=bench.scale.seed)
    random = {"head": f"{len(heads.chosen)} random of these layers", "attention": None, "mean": found.random.mean}
    together = {"head": names, "attention": None, **patched_layers.with_error(torch.tensor(heads.together))}
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
    circuit = Traced.of(name, bench)
    sets = unit_sets.sets_of(circuit.merged)
    tried = {what: circuit.tried(what, units) for what, units in sets.items()}
    measured = {
        **tried["writers"].measured(f"{SHORT[name]}-neurons"),
        **tried["heads"].measured(f"{SHORT[name]}-heads"),
    }
    tables = circuit.tables(list(tried.values()))
    if name == "greater-than":
        more, table = _by_digit(bench.model, sets["writers"], circuit.merged, bench.scale)
        measured, tables = {**measured, **more}, [*tables, table]
    return Found(measured=measured, tables=tables)


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


def one_task(bench: Bench) -> None:
    """BadInput where neither task can be asked of the model."""
    refused = []
    for name in TESTED:
        try:
            TRACED[name](bench.model)
            TESTED[name](bench.model)
        except BadInput as why:
            refused.append(why)
    if len(refused) == len(TESTED):
        raise refused[0]


def parts() -> list[Part]:
    """Three parts for each task."""
    return [
        part
        for name in TESTED
        for part in (
            Part(f"{name}-done", partial(doing, name), lambda scale: 2),
            Part(
                f"{name}-patching",
                partial(patching, name),
                lambda scale: patched_layers.WINDOW_RUNS + patched_layers.N_SEEN + scale.sets,
            ),
            Part(f"{name}-graphs", partial(graphs, name), partial(runs_of, name, sets=3)),
        )
    ]
