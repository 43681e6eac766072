"""PrISM re-examined: the recipe on a model made of a table, and two planted ways of recalling told from each other."""

from dataclasses import replace

import numpy as np
import pytest
import wired_recall

from circuits.studies.catalogue import study_named
from circuits.studies.claim import verdict_of
from circuits.studies.prism import paraphrases, scenarios, traced_scenarios
from circuits.studies.prism.claims import STUDY
from circuits.studies.prism.paraphrases import NAMELESS, TEMPLATES, Fact, facts
from circuits.studies.prism.scenarios import EXACT, GUESSWORK, HEURISTICS, MODELLING, SCENARIOS, Completion, sorted_out
from circuits.studies.prism.traced_scenarios import compared, found_of, traced
from circuits.studies.running import run_study
from circuits.studies.study import Bench, Scale
from probe.errors import BadInput

pytestmark = pytest.mark.slow

FRANCE = Fact("capital", "France", "Paris", 500)
CHAD = Fact("capital", "Chad", "N'Djamena", 0)
NOWHERE = Fact("capital", "Almorvia", "", 0)


def told(answers, name="", nameless=""):
    """What a model says: by prompt, and what it says of names and to prompts without one."""

    def says(prompts):
        found = []
        for one in prompts:
            if NAMELESS in one:
                found.append(nameless)
            elif one.startswith("The name "):
                found.append(name)
            else:
                found.append(answers(one))
        return found

    return says


def scenarios_of(fact, answers, **cues):
    """To which scenarios the completions of a fact belong."""
    [asked] = scenarios.asked_of(told(answers, **cues), [fact])
    return sorted({one.scenario for one in asked.completions()})


def but(count, said, other):
    """Says one thing in so many of the capital's paraphrases, something else of its own in each of the others."""
    order = {template.format(NAME): i for i, template in enumerate(TEMPLATES["capital"])}

    def answers(prompt):
        i = order[prompt.replace("France", NAME).replace("Chad", NAME).replace("Almorvia", NAME)]
        return said if i < count else other

    return answers


NAME = "NAME"


@pytest.mark.parametrize(
    ("fact", "answers", "cues", "expected"),
    [
        (FRANCE, but(6, "Paris", "the"), {}, [EXACT]),
        (FRANCE, but(6, "Par", "the"), {}, [EXACT]),  # a first token that begins the answer
        (FRANCE, but(6, "Pa", "the"), {}, []),  # of three characters at least
        (FRANCE, but(5, "Paris", "the"), {}, []),  # not consistent
        (FRANCE, but(8, "Rome", "the"), {}, []),  # not correct
        (FRANCE, but(8, "Paris", "the"), {"name": "Paris"}, []),  # the name alone calls for it
        (FRANCE, but(8, "Paris", "the"), {"nameless": "Paris"}, []),  # the prompt alone does
        (replace(FRANCE, mentions=3), but(8, "Paris", "the"), {}, []),  # hardly known
        (CHAD, but(1, "Rome", "the"), {}, [GUESSWORK]),  # any capital, once
        (CHAD, but(2, "Rome", "the"), {}, []),
        (replace(CHAD, mentions=99), but(1, "Rome", "the"), {}, []),
        (NOWHERE, but(8, "Rome", "the"), {}, []),  # nothing calls for it
        (NOWHERE, but(8, "Rome", "the"), {"nameless": "Rome"}, [HEURISTICS]),
        (NOWHERE, but(1, "Rome", "the"), {"name": "Rome"}, [HEURISTICS]),
        (NOWHERE, but(8, "the", "the"), {"nameless": "the"}, []),  # no capital
    ],
)
def test_each_test_of_the_recipe(fact, answers, cues, expected):
    assert scenarios_of(fact, answers, **cues) == expected


def test_a_name_that_begins_like_its_answer_is_a_cue():
    assert scenarios.alike("Guatemala", "Guatemala") and scenarios.alike("Japanese", "Japan")
    assert not scenarios.alike("Paris", "France") and not scenarios.alike("Ja", "Japan")
    fact = Fact("capital", "Tunisia", "Tunis", 100)
    [asked] = scenarios.asked_of(told(lambda prompt: "Tunis"), [fact])
    assert [one.scenario for one in asked.completions()] == [] and scenarios.alike("Tunis", "Tunisia")


def test_every_fact_gives_at_most_one_completion_and_sentences_are_short():
    found = sorted_out(told(lambda prompt: "Paris", name="", nameless=""), [FRANCE, CHAD, NOWHERE], seed=0)
    assert [len(found[name]) for name in SCENARIOS[:3]] == [1, 0, 0]
    assert found[EXACT][0].subject == "France" and found[EXACT][0].why["consistent"] == 8
    assert len(found[MODELLING]) > 20
    for one in found[MODELLING]:
        assert len(one.prompt.split()) <= scenarios.WORDS and one.subject in one.prompt


def test_the_lists_hold_known_and_hardly_known_countries():
    real = [fact for fact in facts() if not fact.invented]
    known = [fact.popular for fact in real if fact.relation == "capital"]
    assert 20 < sum(known) < len(known) - 20
    assert {fact.relation for fact in real} == set(TEMPLATES) and all(fact.answer for fact in real)
    assert paraphrases.mentions()["France"] > 100 and paraphrases.mentions()["Bhutan"] < 5
    assert len(TEMPLATES["capital"]) == 8 and {len(some) for some in TEMPLATES.values()} == {8}


# -- traced ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def traces():
    """Completions of both kinds, traced: early, late."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traced_scenarios, "NOISE", 60.0)  # its embeddings are one large number each
        patch.setattr(traced_scenarios, "DRAWS", 4)
        return [
            [
                traced(bench, Completion("", wired_recall.prompt(i), "@2", "", {}))
                for bench in [_bench(wired_recall.recall_model(early=early))]
                for i in range(wired_recall.N)
            ]
            for early in (True, False)
        ]


def _bench(model=None):
    return Bench(model, Scale(sets=99), lambda amount: None)


def words(found):
    """The verdict on every claim that was measured."""
    rules = {claim.name: claim.rule for claim in STUDY.claims}
    return {name: verdict_of(rules[name], one).word for name, one in found.items()}


def test_early_recall_is_told_from_late(traces):
    early, late = traces
    assert min(one.middle - one.late for one in early) > 0.2 and min(one.late - one.middle for one in late) > 0.2
    assert all(one.lost.argmax() == 2 and one.lost.max() > 0.5 for one in early + late)  # layer 2 moves what is known
    planted = {EXACT: early, MODELLING: early[:4], GUESSWORK: late, HEURISTICS: late[:4]}
    found = compared(planted, _bench())
    assert {words(found)[name] for name in ("exact-middle", "guesswork-late")} == {"holds"}
    assert words(found)["exact-looks"] == "does not hold"  # both kinds look alike here
    swapped = compared({EXACT: late, MODELLING: late, GUESSWORK: early, HEURISTICS: early}, _bench())
    assert set(words(swapped).values()) == {"does not hold"}


def test_a_scenario_of_too_few_completions_has_no_number(traces):
    early, _ = traces
    found = compared({EXACT: early, MODELLING: early, GUESSWORK: early[:3], HEURISTICS: []}, _bench())
    assert set(found) == {"exact-middle", "modelling-middle"}
    assert np.isfinite(found["exact-middle"].draws).all()


def test_a_model_that_recalls_nothing_exactly_is_refused(toy, monkeypatch):
    from circuits.studies.prism import claims

    monkeypatch.setattr(claims, "facts", lambda: [FRANCE, CHAD, NOWHERE])
    with pytest.raises(BadInput, match="toy cannot be asked prism: It recalls 0 facts exactly"):
        run_study(toy, STUDY, scale=Scale(sets=2))
    with pytest.raises(BadInput, match="It recalls 1 facts exactly|It recalls 1 fact"):
        found_of(
            Bench(toy, Scale(sets=2), lambda amount: None),
            {EXACT: [None], GUESSWORK: [], HEURISTICS: [], MODELLING: []},
        )


def test_the_study_is_found_in_its_folder():
    assert study_named("prism").study() is STUDY
