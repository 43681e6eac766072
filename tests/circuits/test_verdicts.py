"""A test answers each question by each measure for itself: one measure's "no" is not another's."""

import dataclasses
import json

import numpy as np
import pytest

from circuits.faithfulness.subgraph_test import TriedSubgraph
from circuits.faithfulness.sufficiency import RootShare, Sufficiency
from circuits.validation.meaning import meaning
from circuits.validation.records import Movements, PromptTest, RootEffect, SetEffect, SubgraphTest
from circuits.validation.verdicts import NO, UNTOLD, YES, chance_words, enough_verdicts
from probe.statistics import Agreement, share_as_large


def a_test(n: int = 20, louder_logits: int = 1, quiet: bool = False) -> SubgraphTest:
    """10 pins that take Paris from .749 to .123. Of n random sets, `louder_logits` move its logit as far."""
    moved = Movements(*(np.zeros(1) for _ in range(4)))
    root = RootEffect(
        root="logit ' Paris'",
        value=12.0,
        predicted_direct=-0.5,
        direct=-0.5,
        predicted_full=-1.0,
        full=-1.0,
        probability=0.749,
        probability_after=0.749 if quiet else 0.123,
    )
    own = SetEffect(-1.0, 1e-4, 1e-4, 1e-5) if quiet else SetEffect(-1.0, -1.0, -0.626, 1.4)
    drawn = [SetEffect(0.0, -1.2 if i < louder_logits else 0.1, -0.01, 0.02) for i in range(n)]
    agrees = Agreement(1.0, 1.0, 1.0, 0.0, 1)
    return SubgraphTest(
        "ablate",
        0.0,
        [
            PromptTest(
                prompt="p",
                nodes=["a"] * 10,
                lacking=0,
                roots=[root],
                effect=own,
                direct_agreement=agrees,
                full_agreement=agrees,
                random=drawn,
                overlap=0.0,
                movements=moved,
            )
        ],
        0,
        {},
    )


def answers(test, question: str) -> list[str]:
    return [v.answer for v in test.verdicts if v.question == question]


def test_a_no_by_the_logit_is_not_a_no_by_probability_and_divergence():
    test = a_test()
    assert [round(v.p, 3) for v in test.verdicts if v.question == "more than random"] == [0.095, 0.048, 0.048]
    assert answers(test, "more than random") == [NO, YES, YES] and answers(test, "moves it") == [YES] * 3
    words = meaning(test)
    assert "more than chance by change of its probability and KL (nats), not by change of the top root" in words
    assert (
        "nothing here says" not in words and "0.749 to 0.123" in words and "p = 0.095" in words and "p = 0.048" in words
    )
    assert all(v.n == 20 for v in test.verdicts if v.question == "more than random")
    json.dumps(test.to_dict()["verdicts"], allow_nan=False)


@pytest.mark.parametrize(
    ("test", "answer", "words"),
    [
        (a_test(louder_logits=0), [YES] * 3, "by every measure: these nodes matter"),
        (a_test(quiet=True), [NO] * 3, "by any measure: nothing here says"),
        (a_test(n=5), [UNTOLD] * 3, "too few random subgraphs"),
        (a_test(n=0), [UNTOLD] * 3, "no random subgraphs were run"),
    ],
)
def test_the_other_verdicts(test, answer, words):
    assert answers(test, "more than random") == answer and words in chance_words(test.verdicts)


def test_what_hardly_moves_is_said_not_to():
    assert answers(a_test(quiet=True), "moves it") == [NO] * 3


def test_enough_alone_has_its_own_verdict_with_p_and_n():
    shares = [RootShare("a", 2.0, 1.9, 1.0, 0.9, 1.0, [0.1, 0.2, 0.95]), RootShare("b", 2.0, 1.2, 1.0, 0.2, 1.0, [])]
    none = RootShare("c", 2.0, 2.0, 2.0, float("nan"), float("nan"), [])
    found = enough_verdicts(Sufficiency("p", 1, 2, "zero", [*shares, none], {}))
    assert [v.answer for v in found] == [YES, NO, UNTOLD] and found[0].p == 0.5 and found[0].n == 3
    assert found[0].summary() == "enough alone by share left of a: yes (p = 0.5, n = 3)"
    tried = TriedSubgraph(test=a_test(), alone=Sufficiency("p", 1, 2, "zero", shares, {}))
    assert {v.question for v in tried.verdicts} == {"moves it", "more than random", "enough alone"}


def test_what_overshoots_is_not_enough_alone():
    roots = [RootShare(f"r{s}", 1.0, s, 0.0, s, s, [0.1] * 20) for s in (0.5, 0.9, 1.15, 1.4, 3.94)]
    found = enough_verdicts(Sufficiency("p", 2, 1, "zero", roots, {}))
    assert [v.answer for v in found] == [NO, YES, YES, NO, NO]
    assert found[1].p == pytest.approx(1 / 21) and found[-1].p == 1.0


def test_a_random_set_that_is_not_known_is_no_smaller_one():
    assert np.isnan(share_as_large(0.001, np.full(20, np.nan)))
    test = a_test()
    known, unknown = test.prompts[0], SetEffect(-1.0, -1.0, np.nan, 1.4)
    other = dataclasses.replace(known, effect=unknown, random=[SetEffect(0.0, 0.1, np.nan, 0.02)] * 20)
    both = dataclasses.replace(test, prompts=[known, other])
    by = {v.measure: v for v in both.verdicts if v.question == "more than random"}
    assert by["change of its probability"].p == pytest.approx(1 / 21)


def test_by_every_measure_and_little_is_both_said():
    words = chance_words([v for v in a_test(louder_logits=0).verdicts if v.question == "more than random"] + [
        v for v in a_test(quiet=True).verdicts if v.question == "moves it"
    ])  # fmt: skip
    assert words.startswith("more than chance by every measure, though little by")
