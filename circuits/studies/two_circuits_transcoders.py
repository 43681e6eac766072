"""Greater-than and capital-of with transcoders in the place of some MLPs: what they carry, and whether weights alone would do.

The tasks, the margin, and the prompts that are traced and tested are those of `two-circuits`. Transcoders are those stored for
the model, of each layer the newest; how those of docs/two-circuits.md are trained says scripts/two_circuits_transcoders.py.
"""

from functools import partial

from circuits.studies import transcoders
from circuits.studies.claim import Claim, Rule
from circuits.studies.study import Part, Study
from circuits.studies.traced import runs_of
from circuits.studies.years_and_capitals import TESTED

MOST = Rule(holds=0.5, in_part=0.2)
"""Of shares: most of it, or a fifth at least."""
CLOSE = Rule(holds=0.7, in_part=0.3)
"""Of what stands in for something, and of forecasts, where 1 is exact."""
_PAPER = "Dunefsky et al. 2024, “Transcoders Find Interpretable LLM Feature Circuits”"
_LEFT = "Share of the margin that is left with all transcoders in the MLPs' place, the first position left as it is."
_DISORDER = "the same transcoders with what their latents write in random order."
_LOST = "Share of the margin that is lost in prompts that were not traced, when twenty are ablated at the last token."
_LAYERS = "random other latents of the same layers that are graph nodes at the last token."
_FORECAST = (
    "1 - |forecast / measured - 1| of the margin's change when they are ablated in traced prompts: 1 is exact, 0 as good as "
    "none."
)
_GUESSES = "forecasts for random sets of the same graph, taken for this one's."

STUDY = Study(
    name="two-circuits-transcoders",
    title="Two circuits with transcoders",
    paper="Dunefsky et al. 2024",
    claims=[
        Claim(
            name="years-replaced",
            sentence="Greater-than survives that its MLPs are replaced by transcoders.",
            source=f"{_PAPER}: GPT-2 small's MLP 10.",
            measure=_LEFT,
            control=_DISORDER,
            part="greater-than-replaced",
            rule=CLOSE,
        ),
        Claim(
            name="years-latents-needed",
            sentence="Twenty latents that graphs find boost later years, in other prompts too.",
            source=f"{_PAPER}, in our words.",
            measure=_LOST,
            control=_LAYERS,
            part="greater-than-latents",
            rule=MOST,
        ),
        Claim(
            name="years-latents-forecast",
            sentence="A graph forecasts what ablating greater-than's latents does.",
            source=f"{_PAPER}, in our words.",
            measure=_FORECAST,
            control=_GUESSES,
            part="greater-than-latents",
            rule=CLOSE,
        ),
        Claim(
            name="capitals-replaced",
            sentence="Capital-of survives that its MLPs are replaced by transcoders.",
            source="No paper's; the same as for greater-than, asked of a task of facts.",
            measure=_LEFT,
            control=_DISORDER,
            part="capital-of-replaced",
            rule=CLOSE,
        ),
        Claim(
            name="capitals-latents-needed",
            sentence="The twenty latents that write some capitals write those of other countries too.",
            source="No paper's; the same as for greater-than, asked of a task of facts.",
            measure=_LOST,
            control=_LAYERS,
            part="capital-of-latents",
            rule=MOST,
        ),
        Claim(
            name="capitals-latents-forecast",
            sentence="A graph forecasts what ablating capital-of's latents does.",
            source=f"{_PAPER}, in our words.",
            measure=_FORECAST,
            control=_GUESSES,
            part="capital-of-latents",
            rule=CLOSE,
        ),
        Claim(
            name="weights-alone",
            sentence="Weights alone find the earlier latents that matter to a later one.",
            source=f"{_PAPER}: circuits from the input-invariant factor.",
            measure="Share that the rankings of all earlier latents by that factor alone, and by the mean of the whole over "
            f"{transcoders.N_TEXT:,} tokens, have in common among their first ten.",
            control="ten random earlier latents in place of those that weights alone rank first.",
            part="rankings",
            rule=MOST,
        ),
    ],
    parts=[
        *(
            part
            for name in TESTED
            for part in (
                Part(f"{name}-replaced", partial(transcoders.replacing, name), lambda scale: scale.sets),
                Part(f"{name}-latents", partial(transcoders.latents, name), partial(runs_of, name, sets=1)),
            )
        ),
        Part("rankings", transcoders.ranking, lambda scale: transcoders.N_TEXT / transcoders.CONTEXT / 16),
    ],
    asks=lambda bench: transcoders.transcoders_of(bench.model),
)
