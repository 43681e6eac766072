"""What a test of a subgraph found, as records: per root, per prompt, and in sum against random subgraphs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from circuits.validation.meaning import meaning
from circuits.validation.verdicts import MEASURES, Verdict, moved_verdicts, verdict_rows
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.show.values import quoted
from probe.statistics import Agreement, Interval, bootstrap, share_as_large, spread
from probe.words import counted, signed


@dataclass(frozen=True, kw_only=True)
class RootEffect(Record):
    """One root before and after. Predicted and measured movements of its value: direct (all else held) and full.
    random: its measured full movement under each random set. probability: of a logit's token; of a difference, of its first
    token, beside `other_probability`; None for any other direction."""

    root: str
    value: float
    predicted_direct: float
    direct: float
    predicted_full: float
    full: float
    probability: float | None = None
    probability_after: float | None = None
    random: tuple[float, ...] = ()
    other_probability: float | None = None
    other_probability_after: float | None = None


@dataclass(frozen=True)
class SetEffect:
    """What changing one set of nodes does in full. logit: movement of the top root. kl: of the prediction, in nats."""

    predicted: float
    logit: float
    probability: float
    kl: float


@dataclass(frozen=True)
class Movements:
    """Predicted and measured movements of the graph's explained nodes, direct and full; NaN where not measured."""

    predicted_direct: Float[np.ndarray, " node"]
    direct: Float[np.ndarray, " node"]
    predicted_full: Float[np.ndarray, " node"]
    full: Float[np.ndarray, " node"]


@dataclass(frozen=True, kw_only=True)
class PromptTest(Record):
    """One prompt. lacking: tested nodes that this prompt's graph has not. random: the same change made to random sets;
    overlap: mean share of each that belongs to the tested set."""

    prompt: str
    nodes: list[str]
    lacking: int
    roots: list[RootEffect]
    effect: SetEffect
    direct_agreement: Agreement
    full_agreement: Agreement
    random: list[SetEffect]
    overlap: float
    movements: Movements

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the movements of single nodes are left out."""
        return {
            "prompt": self.prompt,
            "nodes": self.nodes,
            "lacking": self.lacking,
            "roots": [asdict(r) for r in self.roots],
            "effect": asdict(self.effect),
            "direct_agreement": self.direct_agreement.to_dict(),
            "full_agreement": self.full_agreement.to_dict(),
            "random": [asdict(r) for r in self.random],
            "random_overlap": self.overlap,
        }


TELLING = 0.05
"""A p that can never be as small as this says nothing."""


@dataclass(frozen=True)
class Comparison(Record):
    """One measure. subgraph: mean over prompts, bootstrapped. random: mean and spread of random sets, each averaged over
    prompts. difference: subgraph minus random, bootstrapped over prompts. p: share of random sets that move it as far.
    p_least: the smallest p that so many random sets allow, 1 / (1 + sets)."""

    measure: str
    subgraph: Interval
    random: Interval
    difference: Interval
    p: float
    p_least: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        parts = {n: getattr(self, n).to_dict() for n in ("subgraph", "random", "difference")}
        return {"measure": self.measure, **parts, "p": self.p, "p_least": self.p_least}


@dataclass(frozen=True)
class SubgraphTest(Record, figure=True):
    """A subgraph tested in the model, against the graph's own prediction and against random subgraphs of its size.

    factor: what activations were multiplied by (0 for all modes but `scale`). convention: every choice that changes a number.
    """

    mode: str
    factor: float
    prompts: list[PromptTest]
    seed: int
    convention: dict[str, Any]

    @property
    def first(self) -> PromptTest:
        """The prompt whose nodes were chosen."""
        return self.prompts[0]

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """The subgraph against random ones, by measure. Empty without random sets; a difference has the probability of its first
        token, another direction none."""
        if not all(t.random for t in self.prompts):
            return []
        return [found for name in MEASURES if not np.isnan((found := self._compare(name)).subgraph.mean)]

    def _compare(self, name: str) -> Comparison:
        own = np.array([getattr(t.effect, name) for t in self.prompts])
        drawn = np.array([[getattr(r, name) for r in t.random] for t in self.prompts])
        known = np.isfinite(own)  # a direction has no probability: its prompts count on neither side
        mean = float(own[known].mean()) if known.any() else np.nan
        by_draw = drawn[known].mean(0) if known.any() else np.full(drawn.shape[1], np.nan)
        gap = bootstrap(own - drawn.mean(1), self.seed)
        return Comparison(
            MEASURES[name],
            bootstrap(own, self.seed),
            spread(by_draw),
            gap,
            share_as_large(mean, by_draw),
            1 / (1 + len(by_draw)),
        )

    @property
    def verdicts(self) -> list[Verdict]:
        """Does it move the prediction, and more than random subgraphs, by each measure. See `circuits.validation.verdicts`."""
        return moved_verdicts(self)

    def rows(self) -> list[dict[str, Any]]:
        """Every root of every prompt; random, random_sd: its full movement under random sets, mean and spread over them."""
        several = len(self.prompts) > 1
        pairs = any(r.other_probability is not None for t in self.prompts for r in t.roots)
        return [
            {**({"prompt": t.prompt} if several else {}), **_root_row(r, pairs)} for t in self.prompts for r in t.roots
        ]

    def comparison_rows(self) -> list[dict[str, Any]]:
        """The comparisons, for a table. p is a dash where so few random sets allow none below .05, whatever the subgraph does."""
        return [
            {
                "measure": c.measure,
                "subgraph": c.subgraph.mean,
                "subgraph 95%": _range(c.subgraph),
                "random": c.random.mean,
                "random 95%": _range(c.random),
                "p": c.p if c.p_least <= TELLING else np.nan,
                "p at least": c.p_least,
            }
            for c in self.comparisons
        ]

    def agreement_rows(self) -> list[dict[str, Any]]:
        """How measurements follow predictions, for a table."""
        return [
            {**({"prompt": t.prompt} if len(self.prompts) > 1 else {}), "effect": name, **found.to_dict()}
            for t in self.prompts
            for name, found in (("direct", t.direct_agreement), ("full", t.full_agreement))
        ]

    def panels(self, verdicts: Sequence[Verdict] = ()) -> list[Panel]:
        """What it means, question by question, and the tables behind. verdicts: of what else was asked of the same nodes."""
        tables = {
            "What the test says, question by question and measure by measure": verdict_rows(
                [*self.verdicts, *verdicts]
            ),
            "Each root, predicted and measured (direct: all else held; full: all later free)": self.rows(),
            "Against random subgraphs of as many nodes of each kind and layer": self.comparison_rows(),
            "Predicted against measured, over all nodes": self.agreement_rows(),
        }
        shown = [Rows(title, rows) for title, rows in tables.items() if rows]
        return [Figure("Predicted and measured movements", self.figure), *shown, Sentence(meaning(self))]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "mode": self.mode,
            "factor": self.factor,
            "seed": self.seed,
            "prompts": [t.to_dict() for t in self.prompts],
            "against_random": [c.to_dict() for c in self.comparisons],
            "verdicts": [v.to_dict() for v in self.verdicts],
            "convention": self.convention,
        }

    def summary(self) -> str:
        """One sentence: what was done to how many nodes, and how far the first root moved."""
        more = f" and {counted(len(self.prompts) - 1, 'more prompt')}" if len(self.prompts) > 1 else ""
        said = f"{self.mode} {counted(len(self.first.nodes), 'node')} of {quoted(self.first.prompt)}{more}"
        if not self.first.roots:
            return f"{said}."
        root = self.first.roots[0]
        random = f", random sets {signed(self.comparisons[0].random.mean)}" if self.comparisons else ""
        return f"{said}: {root.root} moves {signed(root.full)} (predicted {signed(root.predicted_full)}){random}."


def _root_row(root: RootEffect, pairs: bool) -> dict[str, Any]:
    """pairs: some root is the difference of two tokens, so that there are columns for the other one."""
    drawn = np.array(root.random)
    plain = [n for n in asdict(root) if n != "random" and (pairs or not n.startswith("other_"))]
    return {
        **{name: getattr(root, name) for name in plain},
        "random": float(drawn.mean()) if len(drawn) else None,
        "random_sd": float(drawn.std(ddof=1)) if len(drawn) > 1 else None,
    }


def _range(one: Interval) -> str:
    return "" if np.isnan(one.low) else f"{one.low:.3g} to {one.high:.3g}"
