"""The late MLPs of greater-than, and their neurons: what they add to the logits of the years, by how much later each is."""

from collections.abc import Callable
from typing import Any

import numpy as np

from circuits.studies.claim import Measured
from circuits.studies.component_circuits.cuts import between, logits_of
from circuits.studies.component_circuits.head_sets import sets_run
from circuits.studies.component_circuits.shares import Each, measured_share, share
from circuits.studies.greater_than import years
from circuits.studies.greater_than.components_found import Components
from circuits.studies.greater_than.doing import distance_line
from circuits.studies.greater_than.years import Table as ByValue
from circuits.studies.greater_than.years import agreement, lead
from circuits.studies.study import Bench, Found, Lines, Scale, Table
from probe.statistics import DRAWS, Interval


def mlps(bench: Bench) -> Found:
    """What the late MLPs write, and what is lost without it."""
    found = Components.of(bench)
    own, half, scale = found.tested.years, found.tested, bench.scale
    together = half.mlps[:, found.late].sum(1)
    random = [half.mlps[:, some].sum(1) for some in found.random_mlps(scale.sets)]
    whole = lead(own.logits, own.start)
    measured = {
        "mlps-write": agrees(found, together, random),
        "mlps-lead": _shares(found, together, random, whole),
        "mlps-sharp": _sharp(found, together),
        "mlps-needed": _needed(found),
    }
    lines = [distance_line(name, table - table.mean(0), own.start) for name, table in _lines(found, together)]
    title = "What is added to a year's logit, less its mean over prompts, by how much later than the start it is"
    rows = [_row(found, i) for i in found.late]
    return Found(
        measured=measured,
        tables=[Table("Late MLPs", rows)],
        pictures=[Lines(title, "value minus start", "logits", lines)],
    )


def _lines(found: Components, together: ByValue) -> list[tuple[str, ByValue]]:
    logits = found.tested.years.logits
    neurons = found.neurons.written(found.strongest)
    return [("the model", logits - logits.mean(1, keepdims=True)), ("late MLPs", together), ("their neurons", neurons)]


def agrees(found: Components, table: ByValue, random: list[ByValue]) -> Measured:
    """How closely a table follows the order of value and start; the interval from prompts drawn again and again."""
    start, n = found.tested.years.start, len(table)
    draw = np.random.default_rng(0)
    again = [agreement(table[rows], start[rows]) for rows in draw.integers(0, n, (DRAWS // 4, n))]
    low, high = np.quantile(again, [0.025, 0.975])
    draws = np.array([agreement(one, start) for one in random])
    interval = Interval(agreement(table, start), float(low), float(high))
    return Measured(interval=interval, n=n, over="pairs", draws=draws, seed=found.bench.scale.seed)


def _shares(found: Components, table: ByValue, random: list[ByValue], whole: Each) -> Measured:
    start = found.tested.years.start
    draws = [share(lead(one, start), whole) for one in random]
    return measured_share(lead(table, start), whole, draws, found.bench.scale.seed)


def _sharp(found: Components, table: ByValue) -> Measured:
    """Of all that later years have more than earlier ones, how much is there at the boundary; beside other years' boundaries."""
    start, draw = found.tested.years.start, np.random.default_rng(found.bench.scale.seed)
    whole = lead(table, start)
    draws = [share(years.step(table, draw.permutation(start)), whole) for _ in range(found.bench.scale.sets)]
    return measured_share(years.step(table, start), whole, draws, found.bench.scale.seed)


def _needed(found: Components) -> Measured:

    def lost(layers: list[int]) -> Each:
        found.bench.step(1)
        return found.cuts.lost(between(found.layout, found.written_by(layers), logits_of(found.layout)))

    draws = [share(lost(some), found.cuts.way) for some in found.random_mlps(sets_run(found.bench.scale))]
    return measured_share(lost(found.late), found.cuts.way, draws, found.bench.scale.seed)


def _row(found: Components, layer: int) -> dict[str, Any]:
    own, written = found.tested.years, found.tested.mlps[:, layer]
    return {
        "MLP": layer,
        "adds to the lead (logits)": float(lead(written, own.start).mean()),
        "agrees with the order": agreement(written, own.start),
        "neurons among the strongest": sum(found.late[i] == layer for i, _ in found.strongest),
    }


def neurons(bench: Bench) -> Found:
    """What the strongest neurons of the late MLPs write, together and each alone."""
    found = Components.of(bench)
    own, kept = found.tested.years, found.neurons
    written: Callable[[list], ByValue] = kept.written
    random = [written(some) for some in found.random_neurons(bench.scale.sets)]
    together = written(found.strongest)
    whole = lead(found.tested.mlps[:, found.late].sum(1), own.start)
    alone = np.array([agreement(written([one]), own.start) for one in found.strongest])
    single = [
        _mean([agreement(written([one]), own.start) for one in some]) for some in found.random_neurons(bench.scale.sets)
    ]
    measured = {
        "neurons-together": agrees(found, together, random),
        "neurons-lead": _shares(found, together, random, whole),
        "neurons-alone": Measured.of(alone, np.array(single), over="neurons", seed=bench.scale.seed),
    }
    bench.step(2)
    rows = [
        {
            "neuron": f"L{found.late[i]}N{u}",
            "adds to the lead (logits)": float(lead(written([(i, u)]), own.start).mean()),
            "agrees with the order": agreement(written([(i, u)]), own.start),
        }
        for i, u in found.strongest
    ]
    return Found(measured=measured, tables=[Table("Neurons of the late MLPs", rows)])


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0  # an MLP that has no other neurons


def runs_of(scale: Scale) -> float:
    """About how many runs the MLPs take."""
    return sets_run(scale) + 6
