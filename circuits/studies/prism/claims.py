"""PrISM: fact completions sorted into exact recall, heuristics, guesswork and plain language modelling, and each traced.

Eighty-seven countries and some invented ones, three relations, eight paraphrases each. How often a country is named in the
shipped text stands for how popular it is. A model that recalls nothing exactly is refused.
"""

from circuits.studies.claim import Claim, Rule
from circuits.studies.prism.paraphrases import facts
from circuits.studies.prism.scenarios import SCENARIOS, sayer, sorted_out
from circuits.studies.prism.traced_scenarios import RUNS, N, found_of
from circuits.studies.study import Bench, Found, Part, Study

RESTS = Rule(holds=0.2, in_part=0.05)
"""Of a share of the total effect over another, and of one loss over another: a fifth, or a twentieth."""
_PAPER = (
    "Saynova et al. 2024, “Fact Recall, Heuristics or Pure Guesswork? Precise Interpretations of Language Models for Fact "
    "Completion”"
)
_MIDDLE = (
    "Largest share of the total effect that MLPs in the middle of the model give back at the subject's last token, minus the "
    "largest that late MLPs give back at the last token."
)
_LATE = (
    "Largest share of the total effect that late MLPs give back at the last token, minus the largest that MLPs in the middle "
    "of the model give back at the subject's last token."
)
_MIXED = "as many random completions of all scenarios."


def measured(bench: Bench) -> Found:
    """Sorted out and traced."""
    return found_of(bench, sorted_out(sayer(bench.model), facts(), bench.scale.seed))


STUDY = Study(
    name="prism",
    title="Fact recall, heuristics or guesswork",
    paper="Saynova et al. 2024",
    claims=[
        Claim(
            name="exact-middle",
            sentence="Exact recall rests on MLPs in the middle of the model.",
            source=f"{_PAPER}: exact recall relies on mid-range MLPs.",
            measure=_MIDDLE,
            control=_MIXED,
            part="scenarios",
            rule=RESTS,
        ),
        Claim(
            name="modelling-middle",
            sentence="Plain language modelling rests on MLPs in the middle of the model.",
            source=f"{_PAPER}: generic language modelling relies on mid-range MLPs.",
            measure=_MIDDLE,
            control=_MIXED,
            part="scenarios",
            rule=RESTS,
        ),
        Claim(
            name="guesswork-late",
            sentence="Guesswork rests on late MLPs at the last token.",
            source=f"{_PAPER}: guesswork relies on late MLPs at the last token.",
            measure=_LATE,
            control=_MIXED,
            part="scenarios",
            rule=RESTS,
        ),
        Claim(
            name="heuristics-late",
            sentence="Heuristics rest on late MLPs at the last token.",
            source=f"{_PAPER}: heuristics rely on late MLPs at the last token.",
            measure=_LATE,
            control=_MIXED,
            part="scenarios",
            rule=RESTS,
        ),
        Claim(
            name="exact-looks",
            sentence="Exact recall needs the last token to look at the subject more than guesswork does.",
            source=f"{_PAPER}: information flow differs by scenario; which way is ours.",
            measure="Largest share of the probability lost in a window of layers without that, minus guesswork's mean.",
            control="the completions of both mixed.",
            part="scenarios",
            rule=RESTS,
        ),
    ],
    parts=[Part("scenarios", measured, lambda scale: len(SCENARIOS) * (scale.prompts or N) * RUNS)],
)
