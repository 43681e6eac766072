"""One circuit, whatever it is made of, put to every test: the report that all kinds share.

faithfulness     f(C) = (m(C) - m(nothing)) / (m(model) - m(nothing)), with an interval over pairs drawn again and again
beside it        random circuits of as many parts; p is the share of them that do as well
without it       f of the model without the circuit's parts (Marks et al. 2024): near 0 where nothing else does the job
completeness     largest and mean gap to the model while sets of parts are taken out of both (`completeness`)
minimality       what each part is worth at most, while others are out
elsewhere        f on pairs of templates that were not seen, where such are given
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float

from circuits.faithfulness.completeness import Incompleteness, Shares, incompleteness, minimality
from circuits.faithfulness.metrics import faithfulness, gap
from circuits.faithfulness.parts.parts import Kept, Parts
from probe.artifacts.json import finite
from probe.doc import Doc
from probe.errors import BadInput
from probe.plain_values import Settings
from probe.progress import SILENT, Progress
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.statistics import Interval, spread
from probe.words import counted, decimals, percent

RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class ReportConfig(Settings):
    """How thoroughly a circuit is tested."""

    random: Annotated[int, Doc(least=0, most=10_000)] = 20
    "Random circuits of as many parts."
    subsets: Annotated[int, Doc(least=0, most=1000)] = 10
    "Random sets of parts that are taken out of the circuit and of the model alike."
    greedy: Annotated[int, Doc(least=0, most=1000)] = 10
    "Parts that a greedy set grows to, which looks for where the circuit is least like the model."
    needed: Annotated[int, Doc(least=0, most=100_000)] = 20
    "Parts whose minimality is measured, drawn where the circuit has more."


@dataclass(frozen=True, kw_only=True)
class CircuitReport(Record, figure=True):
    """One circuit tested. kind: what its parts are; parts: their names; total: how many of the kind there are. values, whole,
    nothing, without: the metric of every pair: of the circuit, of the model, of no part, of all parts but the circuit's. random:
    of random circuits. gaps: the circuit and the model with the same parts taken out. needed: a row a part. elsewhere: f by where
    the pairs are from. convention: every choice that changes a number."""

    method: str
    task: str
    kind: str
    parts: list[str]
    total: int
    values: Float[np.ndarray, " pair"]
    whole: Float[np.ndarray, " pair"]
    nothing: Float[np.ndarray, " pair"]
    without: Float[np.ndarray, " pair"]
    random: Float[np.ndarray, "draw pair"]
    gaps: list[Incompleteness]
    needed: list[dict[str, Any]]
    elsewhere: list[dict[str, Any]] = field(default_factory=list)
    convention: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def f(self) -> float:
        """Faithfulness."""
        return float(self._share(self.values.mean()))

    @property
    def f_without(self) -> float:
        """Faithfulness of all that is not the circuit."""
        return float(self._share(self.without.mean()))

    @cached_property
    def random_f(self) -> Float[np.ndarray, " draw"]:
        """Of random circuits."""
        return self._share(self.random.mean(-1)) if len(self.random) else np.zeros(0)

    @property
    def p(self) -> float:
        """The share of random circuits that come as near to the model; NaN without any."""
        if not len(self.random):
            return float("nan")
        near = np.abs(1 - self.random_f) <= abs(1 - self.f)
        return float((1 + near.sum()) / (1 + len(near)))

    @cached_property
    def interval(self) -> Interval:
        """Of 95%, over pairs drawn again and again; none for one pair."""
        n, draw = len(self.whole), np.random.default_rng(self.seed)
        if n < 2:
            return Interval(self.f)
        share = draw.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n
        worth = share @ (self.whole - self.nothing)
        found = (share @ (self.values - self.nothing)) / np.where(np.abs(worth) > 1e-9, worth, np.nan)
        low, high = np.nanpercentile(found, [2.5, 97.5])
        return Interval(self.f, float(low), float(high))

    def worst(self, how: str) -> float:
        """The largest gap to the model among sets of a sort; NaN without any."""
        return max((one.gap for one in self.gaps if one.how == how), default=float("nan"))

    def rows(self) -> list[dict[str, Any]]:
        """Every number, a row each, beside what chance does."""
        random, low, high = spread(self.random_f), self.interval.low, self.interval.high
        return [
            _row("faithfulness", self.f, low, high, random.mean, random.high, self.p),
            _row("faithfulness of all else", self.f_without),
            _row("completeness: gap, nothing taken out", self.worst("nothing")),
            _row("completeness: largest gap, random sets", self.worst("random")),
            _row("completeness: largest gap, greedy sets", self.worst("greedy")),
            _row("minimality: least of a part", min((row["minimality"] for row in self.needed), default=float("nan"))),
        ]

    def panels(self) -> list[Panel]:
        """What it comes to, the gaps drawn, parts by how much they are needed."""
        gaps = [
            {"sets": one.how, "taken out": one.removed, "circuit": one.circuit, "model": one.model, "gap": one.gap}
            for one in self.gaps
        ]
        return [
            Sentence(self.summary()),
            Figure("The circuit against the model, with the same parts taken out of both", self.figure),
            Rows("What it comes to", self.rows()),
            *([Rows("By template", self.elsewhere)] if self.elsewhere else []),
            *([Rows("Needed parts", self.needed, kinds={"part": "name"})] if self.needed else []),
            Rows("Completeness, set by set", gaps),
        ]

    def summary(self) -> str:
        """One sentence: its size, what it keeps beside random ones, whether it is complete."""
        random = f" (random {decimals(float(self.random_f.mean()))}, p {self.p:.2g})" if len(self.random) else ""
        gaps = [one.gap for one in self.gaps]
        return (
            f"{len(self.parts):,} of {self.total:,} {self.kind} ({percent(len(self.parts) / self.total)}) by {self.method} keep "
            f"{decimals(self.f)} of what {self.task} takes on {counted(len(self.whole), self._word)}{random}; all else keeps "
            f"{decimals(self.f_without)}; the largest gap to the model is {decimals(max(gaps))}."
        )

    @property
    def _word(self) -> str:
        return "prompt" if self.kind == "units" else "pair"

    def _share(self, value: Any) -> Any:
        return faithfulness(np.asarray(value), float(self.whole.mean()), float(self.nothing.mean()))


def _row(what: str, value: float, low: float = np.nan, high: float = np.nan, *random: float) -> dict[str, Any]:
    mean, most, p = random or (np.nan, np.nan, np.nan)
    told = {"value": value, "from": low, "to": high, "random": mean, "random at most": most, "p": p}
    return {"what": what, **{name: finite(number) for name, number in told.items()}}


def report_on(
    parts: Parts,
    kept: Kept,
    config: ReportConfig = ReportConfig(),
    *,
    seed: int = 0,
    progress: Progress = SILENT,
    **about: Any,
) -> CircuitReport:
    """All tests of a circuit of these parts. about: method, task and what else the record says. BadInput for a circuit without
    parts, or where all parts together are worth nothing."""
    if not kept.any():
        raise BadInput("The circuit has no parts, so there is nothing to test.")
    draw, random = np.random.default_rng(seed), parts.like(kept, config.random, seed)
    every = np.stack([parts.nothing, parts.whole, kept, ~kept, *random])
    with progress.stage("faithfulness", total=len(every), unit="circuit") as step:
        nothing, whole, values, without, *others = parts.measured(every, step)
    worth = gap(float(whole.mean()), float(nothing.mean()))
    shares = Shares(parts, float(nothing.mean()) + worth, float(nothing.mean()))
    inside = np.flatnonzero(kept)
    chosen = np.sort(draw.choice(inside, min(config.needed, len(inside)), replace=False))
    return CircuitReport(
        kind=parts.kind,
        parts=[parts.names[i] for i in inside],
        total=len(parts),
        values=values,
        whole=whole,
        nothing=nothing,
        without=without,
        random=np.array(others).reshape(len(others), parts.pairs),
        gaps=incompleteness(shares, kept, config.subsets, config.greedy, draw, progress),
        needed=minimality(shares, kept, chosen.tolist(), config.subsets, draw, progress) if len(chosen) else [],
        seed=seed,
        **{**about, "convention": {**parts.convention, **config.__dict__, "seed": seed, **about.get("convention", {})}},
    )
