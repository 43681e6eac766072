"""A task traced: graphs of some of its prompts, and sets of units from them tried there and in its other prompts.

Each set gives two measures: the share of the margin that other prompts lose without it, beside random sets of the same layers;
and how close the graphs' own forecast comes to what ablating does in the traced prompts, beside forecasts of random sets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

import circuits
from circuits.comparison.merge import MergedGraph
from circuits.graph.graph import CircuitGraph
from circuits.studies import unit_sets
from circuits.studies.claim import Measured
from circuits.studies.last_token import Scores, Task
from circuits.studies.study import Bench, Scale, Table
from circuits.studies.unit_sets import Unit
from circuits.studies.years_and_capitals import N_TRACED, TESTED, TRACED, n_traced
from circuits.validation.records import SubgraphTest
from probe.errors import BadInput


@dataclass(frozen=True)
class Traced:
    """own: the prompts that were not traced. given: transcoders by layer, that stand in the graphs in place of neurons."""

    name: str
    bench: Bench
    graphs: Sequence[CircuitGraph]
    own: Task
    given: Mapping[int, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, bench: Bench, given: Mapping[int, Any] | None = None) -> "Traced":
        """The graphs, made now."""
        traced, own = (made[name](bench.model).first(bench.scale.prompts) for made in (TRACED, TESTED))
        graphs = unit_sets.graphs_of(traced, bench.step, dictionaries=list((given or {}).values()))
        return cls(name, bench, graphs, own, given or {})

    @cached_property
    def merged(self) -> MergedGraph:
        return circuits.merge_graphs(list(self.graphs), align="end")

    @cached_property
    def untouched(self) -> Scores:
        return self.own.scores(self.own.logits())

    def tried(self, what: str, units: Sequence[Unit]) -> "Tried":
        """A set of units ablated: in traced prompts and in the others, beside random sets."""
        scale, step = self.bench.scale, self.bench.step
        test = unit_sets.checked(self.bench.model, self.graphs, units, step, list(self.given.values()))
        after = unit_sets.ablated(self.own, units, self.given)
        drawn = unit_sets.without_random(
            self.own, units, self.merged, sets=scale.sets, seed=scale.seed, step=step, given=self.given
        )
        return Tried(self, what, units, test, after, drawn)

    def tables(self, tried: "Sequence[Tried]") -> list[Table]:
        """What became of the margin without each set."""
        whole = _row("nothing", self.untouched, [], self.of_other([]))
        return [
            Table(
                f"Sets of {self.name} ablated in traced prompts: change of the margin", [t.traced_row() for t in tried]
            ),
            Table(f"Sets of {self.name} ablated in other prompts", [whole, *(t.tested_row() for t in tried)]),
        ]

    def of_other(self, units: Sequence[Unit]) -> float | None:
        """The margin of the other task without these units; None where the model cannot be asked it."""
        other = next(one for one in TESTED if one != self.name)
        try:
            return float(unit_sets.ablated(TESTED[other](self.bench.model), units, self.given).margin.mean())
        except BadInput:
            return None


@dataclass(frozen=True)
class Tried:
    """A set of units. test: in the traced prompts. after, drawn: the others without it, and without each random set."""

    circuit: Traced
    what: str
    units: Sequence[Unit]
    test: SubgraphTest
    after: Scores
    drawn: Sequence[Scores]

    def measured(self, name: str) -> dict[str, Measured]:
        """What the claims `NAME-needed` and `NAME-forecast` are decided by."""
        return {f"{name}-needed": self._needed(), f"{name}-forecast": self._forecast()}

    def _needed(self) -> Measured:
        untouched = self.circuit.untouched
        draws = np.array([unit_sets.lost(one, untouched).mean() for one in self.drawn])
        values = unit_sets.lost(self.after, untouched)
        return Measured.of(values, draws, over="prompts", seed=self.circuit.bench.scale.seed)

    def _forecast(self) -> Measured:
        scale, graphs = self.circuit.bench.scale, self.circuit.graphs
        guesses = unit_sets.random_closeness(graphs, self.units, self.test, scale.sets, scale.seed).mean(1)
        return Measured.of(unit_sets.closeness(self.test), guesses, over="prompts", seed=scale.seed)

    def traced_row(self) -> dict[str, Any]:
        """Forecasts and measurements."""
        return unit_sets.traced_row(self.circuit.name, self.what, self.units, self.test)

    def tested_row(self) -> dict[str, Any]:
        """The prompts that were not traced."""
        return _row(self.what, self.after, self.drawn, self.circuit.of_other(self.units))


def _row(what: str, scores: Scores, drawn: Sequence[Scores], other: float | None) -> dict[str, Any]:
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


def runs_of(name: str, scale: Scale, sets: int) -> float:
    """About how many runs it takes to trace a task and try so many sets of units."""
    traced = min(n_traced(name), scale.prompts or N_TRACED)
    checked = min(traced, unit_sets.N_CHECKED) * (2 + unit_sets.N_MEASURED)
    return traced * unit_sets.TRACE_RUNS + sets * (checked + scale.sets)
