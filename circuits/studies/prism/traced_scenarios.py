"""Every scenario traced: where the MLPs hold what is said, and what the last token takes from the subject.

Causal tracing (`circuits.patching.causal_tracing`, of the MLPs) gives for each layer and position a share of the total effect.
Of a completion

    middle    the largest share at the subject's last token, windows in the middle of the model (a fifth to three fifths of its
    layers) late      the largest share at the last token, windows behind that

and middle - late says which of the two it rests on. Attention knockouts (`circuits.patching.knockout`) from the last token to the
subject give how much of the probability is lost, at most, in a window. Beside a scenario's mean stand those of as many random
completions of all scenarios. Where the middle lies, and that the largest share counts, is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from circuits.patching.causal_tracing.trace import TracingConfig, causal_tracing
from circuits.patching.knockout.blocking import KnockoutConfig, knockout
from circuits.studies.claim import Measured
from circuits.studies.prism.scenarios import EXACT, GUESSWORK, HEURISTICS, MODELLING, Completion
from circuits.studies.study import Bench, Found, Line, Lines, Table
from probe.errors import BadInput

N = 12
"""Completions of each scenario."""
DRAWS, NOISE, TRIED = 2, 3.0, 24
"""Draws of the noise, its size, and how many completions are tried at most: those whose noise changes nothing are passed over."""
RUNS = 60
"""What one completion counts for, in runs."""
LEAST = 4


@dataclass(frozen=True)
class Trace:
    """Shares of the total effect by layer, at the subject's last token and at the last; lost: of the probability, by layer, when
    the last token cannot look at the subject."""

    subject: Float[np.ndarray, " layer"]
    last: Float[np.ndarray, " layer"]
    lost: Float[np.ndarray, " layer"]

    @property
    def middle(self) -> float:
        """The largest share at the subject's last token in the middle of the model."""
        n = len(self.subject)
        return float(self.subject[n // 5 : max(3 * n // 5, n // 5 + 1)].max())

    @property
    def late(self) -> float:
        """The largest share at the last token behind the middle."""
        return float(self.last[3 * len(self.last) // 5 :].max())


def traced(bench: Bench, one: Completion) -> Trace:
    """One completion traced. BadInput where noise on its subject does not change what is said."""
    config = TracingConfig(over="mlp_out", draws=DRAWS, noise=NOISE, seed=bench.scale.seed)
    found = causal_tracing(bench.model, one.prompt, subject=one.subject, config=config)
    blocked = knockout(bench.model, one.prompt, sources=[one.subject], config=KnockoutConfig(random=0))
    shares = found.indirect / found.total.mean
    return Trace(shares[:, found.subject[-1]], shares[:, -1], -blocked.change[0])


def all_traced(
    bench: Bench, scenarios: Mapping[str, Sequence[Completion]]
) -> tuple[dict[str, list[Trace]], dict[str, str]]:
    """Up to `N` completions of each scenario, and why others were passed over."""
    most, found, why = bench.scale.prompts or N, {}, {}
    for name, some in scenarios.items():
        found[name] = []
        for one in some[:TRIED]:
            if len(found[name]) == most:
                break
            try:
                found[name].append(traced(bench, one))
            except BadInput as error:
                why[one.prompt] = str(error)
            bench.step(RUNS)
    return found, why


def compared(traces: Mapping[str, Sequence[Trace]], bench: Bench) -> dict[str, Measured]:
    """The numbers of the claims. A scenario of too few completions has none."""
    resting = {name: np.array([one.middle - one.late for one in some]) for name, some in traces.items()}
    lost = {name: np.array([one.lost.max() for one in some]) for name, some in traces.items()}
    claims = {
        "exact-middle": (EXACT, 1),
        "modelling-middle": (MODELLING, 1),
        "guesswork-late": (GUESSWORK, -1),
        "heuristics-late": (HEURISTICS, -1),
    }
    found = {
        claim: _beside_all(sign * resting[name], sign * np.concatenate(list(resting.values())), bench)
        for claim, (name, sign) in claims.items()
        if len(resting[name]) >= LEAST
    }
    if min(len(lost[EXACT]), len(lost[GUESSWORK])) >= LEAST:
        found["exact-looks"] = _apart(lost[EXACT], lost[GUESSWORK], bench)
    return found


def _beside_all(own: Float[np.ndarray, " n"], every: Float[np.ndarray, " all"], bench: Bench) -> Measured:
    draw = np.random.default_rng(bench.scale.seed)
    means = [draw.choice(every, len(own), replace=False).mean() for _ in range(bench.scale.sets)]
    return Measured.of(own, np.array(means), over="completions", seed=bench.scale.seed)


def _apart(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " m"], bench: Bench) -> Measured:
    """The one over the other's mean, beside the same of both mixed."""
    draw, both = np.random.default_rng(bench.scale.seed), np.concatenate([one, other])
    mixed = [draw.permutation(both) for _ in range(bench.scale.sets)]
    means = np.array([some[: len(one)].mean() - some[len(one) :].mean() for some in mixed])
    return Measured.of(one - other.mean(), means, over="completions", seed=bench.scale.seed)


def found_of(bench: Bench, scenarios: Mapping[str, Sequence[Completion]]) -> Found:
    """The claims. BadInput where the model recalls too little exactly for anything to be compared."""
    if len(scenarios[EXACT]) < LEAST:
        raise BadInput(
            f"It recalls {len(scenarios[EXACT])} facts exactly, and {LEAST} were wanted to compare with guesses and "
            "heuristics; take "
            "a model that knows more countries."
        )
    traces, why = all_traced(bench, scenarios)
    counts = [
        {"scenario": name, "completions": len(some), "traced": len(traces[name])} for name, some in scenarios.items()
    ]
    rows = [one.row() for some in scenarios.values() for one in some[:LEAST]]
    passed = [{"prompt": prompt, "why": said} for prompt, said in why.items()]
    return Found(
        measured=compared(traces, bench),
        tables=[
            Table("Completions by scenario", [{**row, **_means(traces[row["scenario"]])} for row in counts]),
            Table("Some of each", rows),
            *([Table("Passed over", passed)] if passed else []),
        ],
        pictures=_pictures(traces),
    )


def _means(traces: Sequence[Trace]) -> dict[str, Any]:
    if not traces:
        return {"middle, at the subject": None, "late, at the last token": None, "lost without looking at it": None}
    return {
        "middle, at the subject": float(np.mean([one.middle for one in traces])),
        "late, at the last token": float(np.mean([one.late for one in traces])),
        "lost without looking at it": float(np.mean([one.lost.max() for one in traces])),
    }


def _pictures(traces: Mapping[str, Sequence[Trace]]) -> list[Lines]:
    return [
        _lines(traces, "subject", "MLPs put back at the subject's last token", "share of the total effect"),
        _lines(traces, "last", "MLPs put back at the last token", "share of the total effect"),
        _lines(traces, "lost", "The last token cannot look at the subject", "share of the probability lost"),
    ]


def _lines(traces: Mapping[str, Sequence[Trace]], what: str, title: str, y: str) -> Lines:
    lines = []
    for name, some in traces.items():
        if some:
            values = np.array([getattr(one, what) for one in some])
            x = [float(i) for i in range(values.shape[1])]
            lines.append(Line(name, x, values.mean(0).tolist(), (values.std(0) / len(values) ** 0.5).tolist()))
    return Lines(title, "layer in the middle of the window", y, lines)
