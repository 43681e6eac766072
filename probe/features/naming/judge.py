"""Every rule's labels of every unit, judged: a block of units at a time, so that tokens by units are never in memory whole."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from probe.features.naming.config import Rule
from probe.features.naming.firings import Firings
from probe.features.naming.proposals import Material, Proposal, proposed
from probe.features.naming.scores import Scores, scored, shuffled_scores
from probe.progress import SILENT, Progress

BLOCK = 512
"""Units that are looked at together; labels are shuffled among them."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """By rule: texts; AUROC on the half that proposes (learned) and on the other, with its interval; the mean of labels dealt
    among units. shuffled: what first choices reach that are dealt so."""

    texts: dict[str, list[str]]
    learned: Float[np.ndarray, "rule unit"]
    auroc: Float[np.ndarray, "rule unit"]
    low: Float[np.ndarray, "rule unit"]
    high: Float[np.ndarray, "rule unit"]
    null: Float[np.ndarray, " rule"]
    shuffled: Float[np.ndarray, "shuffle some"]


class _Tested(NamedTuple):
    """One rule on one block."""

    proposal: Proposal
    learned: Scores
    other: Scores
    null: Float[np.ndarray, "shuffle some"]


def judge(given: Material, rules: list[Rule], firings: Firings, seed: int = 0, progress: Progress = SILENT) -> Judged:
    """What the rules say of the units, and how good it is."""
    n, rng = len(firings.units), np.random.default_rng(seed)
    tested: list[list[_Tested]] = []
    shuffled: list[np.ndarray] = []
    with progress.stage("labelling", n, "unit") as step:
        for some in np.array_split(np.arange(n), -(-n // BLOCK)):
            block = slice(int(some[0]), int(some[-1]) + 1)
            fired = firings.block(block)
            found = [_test(given, proposed(given, rule, firings.units[block], fired), fired, rng) for rule in rules]
            tested.append(found)
            shuffled.append(_first_choices_shuffled(given, found, fired, rng))
            step(len(some))
    by_rule = [[block[r] for block in tested] for r in range(len(rules))]

    def whole(name: str, half: str = "other") -> Float[np.ndarray, "rule unit"]:
        return np.array([np.concatenate([getattr(getattr(one, half), name) for one in blocks]) for blocks in by_rule])

    return Judged(
        texts={
            rule: [t for one in blocks for t in one.proposal.texts] for rule, blocks in zip(rules, by_rule, strict=True)
        },
        learned=whole("auroc", "learned"),
        auroc=whole("auroc"),
        low=whole("low"),
        high=whole("high"),
        null=np.array([_mean(np.concatenate([one.null for one in blocks], 1)) for blocks in by_rule]),
        shuffled=np.concatenate(shuffled, 1),
    )


def _mean(values: Float[np.ndarray, "shuffle some"]) -> float:
    return float(np.nanmean(values)) if values.size else np.nan


def _test(
    given: Material, proposal: Proposal, fired: Bool[np.ndarray, "token unit"], rng: np.random.Generator
) -> _Tested:
    own, other, group = given.proposing, ~given.proposing, given.reading.group
    learned, scores = (scored(proposal.holds[half], proposal.which, fired[half], group[half]) for half in (own, other))
    return _Tested(proposal, learned, scores, shuffled_scores(proposal.holds[other], proposal.which, fired[other], rng))


def _first_choices_shuffled(
    given: Material, found: list[_Tested], fired: Bool[np.ndarray, "token unit"], rng: np.random.Generator
) -> Float[np.ndarray, "shuffle some"]:
    """The null of what units are called: of each the label that is best where labels are made, dealt among the units."""
    learned = np.nan_to_num(np.array([one.learned.auroc for one in found]), nan=-1.0)
    best, holds = learned.argmax(0), np.zeros(fired.shape, bool)
    for r, one in enumerate(found):
        mine = (best == r) & (learned[r] >= 0)
        holds[:, mine] = one.proposal.holds[:, one.proposal.which[mine]]
    which = np.where(learned.max(0) >= 0, np.arange(fired.shape[1]), -1)
    other = ~given.proposing
    return shuffled_scores(holds[other], which, fired[other], rng)
