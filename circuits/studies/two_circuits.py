"""Greater-than and capital-of in one model: what carries them, whether graphs find it, and whether it holds in other prompts.

greater-than    "The war lasted from the year 1732 to the year 17": where digits are written one by one, the next token is the
                tens digit. Right: digits above the start year's, wrong: those below; the equal one is neither.
capital-of      "The capital of France is": the capital against those of all other countries asked about.

Graphs are of a few prompts (`traced`); sets of units found in them are tried on others (`tested`). A pair of prompts has a
contrast: for greater-than the digits between the two start digits minus those above both, for capitals the first's minus the
second's.
"""

from circuits.studies import digits
from circuits.studies.claim import Claim, Rule
from circuits.studies.study import Study
from circuits.studies.two_circuits_measured import one_task, parts

MOST = Rule(holds=0.5, in_part=0.2)
"""Of shares: most of it, or a fifth at least."""
CLOSE = Rule(holds=0.7, in_part=0.3)
"""Of agreements, and of forecasts, where 1 is exact."""
_HANNA = "Hanna et al. 2023, “How does GPT-2 compute greater-than?”"
_GEVA = "Geva et al. 2023, “Dissecting Recall of Factual Associations in Auto-Regressive Language Models”"
_GRAPH = (
    "Dunefsky et al. 2024, “Transcoders Find Interpretable LLM Feature Circuits”, for GPT-2 small and by transcoders; here by "
    "neurons."
)
_LAYERS = "random other graph nodes of the same layers at the last token."
_LOST = "Share of the margin that is lost in prompts that were not traced, when they are ablated at the last token."
_FORECAST = (
    "1 - |forecast / measured - 1| of the margin's change when they are ablated in traced prompts: 1 is exact, 0 as good as "
    "none."
)
_GUESSES = "forecasts for random sets of the same graph, taken for this one's."


STUDY = Study(
    name="two-circuits",
    title="Two circuits",
    paper="Hanna et al. 2023; Geva et al. 2023; Dunefsky et al. 2024",
    claims=[
        Claim(
            name="years-done",
            sentence="The model gives later years more probability than earlier ones.",
            source=f"{_HANNA}: it predicts “valid two-digit end years (years > 32)”; here the tens digit.",
            measure="Probability of the later digits minus that of the earlier ones.",
            control="the same prompts with each other's answers.",
            part="greater-than-done",
            rule=MOST,
        ),
        Claim(
            name="years-heads",
            sentence="A few attention heads carry the start year to the last token.",
            source=f"{_HANNA}, of heads that attend to the start year, in our words.",
            measure="Share of the way to the other answer when six heads are patched from a prompt of another start decade.",
            control="six random other heads of the same layers.",
            part="greater-than-patching",
            rule=MOST,
        ),
        Claim(
            name="years-heads-needed",
            sentence="The six heads that graphs find are needed for greater-than in other prompts too.",
            source=_GRAPH,
            measure=_LOST,
            control=_LAYERS,
            part="greater-than-graphs",
            rule=MOST,
        ),
        Claim(
            name="years-neurons-needed",
            sentence="Twenty neurons of the MLPs boost later years, in other prompts too.",
            source=f"{_HANNA}: “GPT-2 small's final multi-layer perceptrons boost the probability of end years greater than the "
            "start year”.",
            measure=_LOST,
            control=_LAYERS,
            part="greater-than-graphs",
            rule=MOST,
        ),
        Claim(
            name="years-together",
            sentence="What these neurons write together follows the start year as the model's logits do.",
            source=f"{_HANNA} and Dunefsky et al. 2024, in our words.",
            measure="Correlation with the logits over start digits and next digits, each digit's mean taken away.",
            control="as many random other nodes of the same layers.",
            part="greater-than-graphs",
            rule=CLOSE,
        ),
        Claim(
            name="years-single",
            sentence="Single neurons respond to the start year and promote the later digits.",
            source=f"{_GRAPH} In our words.",
            measure="Share of the twenty whose activation goes with the start digit and whose promotion goes with the digit, "
            f"both beyond {digits.RULER}.",
            control="the same share of random other nodes of their layers.",
            part="greater-than-graphs",
            rule=MOST,
        ),
        Claim(
            name="years-neurons-forecast",
            sentence="A graph forecasts what ablating greater-than's neurons does.",
            source=_GRAPH,
            measure=_FORECAST,
            control=_GUESSES,
            part="greater-than-graphs",
            rule=CLOSE,
        ),
        Claim(
            name="years-heads-forecast",
            sentence="A graph forecasts what ablating greater-than's heads does.",
            source=_GRAPH,
            measure=_FORECAST,
            control=_GUESSES,
            part="greater-than-graphs",
            rule=CLOSE,
        ),
        Claim(
            name="capitals-done",
            sentence="The model names the capital.",
            source="What all that follows rests on.",
            measure="Share of prompts whose likeliest next token is the capital.",
            control="the same prompts with each other's answers.",
            part="capital-of-done",
            rule=MOST,
        ),
        Claim(
            name="capitals-heads",
            sentence="A few attention heads bring the capital from the country's token to the last.",
            source=f"{_GEVA}: “this extraction is typically done via attention heads”.",
            measure="Share of the way to the other answer when six heads are patched from a prompt of another country.",
            control="six random other heads of the same layers.",
            part="capital-of-patching",
            rule=MOST,
        ),
        Claim(
            name="capitals-heads-needed",
            sentence="The six heads that graphs find are needed for the capitals of other countries too.",
            source=_GEVA + ", in our words.",
            measure=_LOST,
            control=_LAYERS,
            part="capital-of-graphs",
            rule=MOST,
        ),
        Claim(
            name="capitals-neurons-needed",
            sentence="The twenty neurons that write some capitals write those of other countries too.",
            source="No paper's; the same as for greater-than, asked of a task of facts.",
            measure=_LOST,
            control=_LAYERS,
            part="capital-of-graphs",
            rule=MOST,
        ),
        Claim(
            name="capitals-neurons-forecast",
            sentence="A graph forecasts what ablating capital-of's neurons does.",
            source=_GRAPH,
            measure=_FORECAST,
            control=_GUESSES,
            part="capital-of-graphs",
            rule=CLOSE,
        ),
        Claim(
            name="capitals-heads-forecast",
            sentence="A graph forecasts what ablating capital-of's heads does.",
            source=_GRAPH,
            measure=_FORECAST,
            control=_GUESSES,
            part="capital-of-graphs",
            rule=CLOSE,
        ),
    ],
    parts=parts(),
    asks=one_task,
)
