"""Key mechanisms of factual recall: the capital of a country, and the language spoken there as another question about it.

Every topic is one token and asked about once. What is chosen (a layer, a direction, parts of the last layer) is chosen on half of
the topics and tried on the other half. A model that does not know the facts is refused.
"""

from circuits.studies.claim import Claim, Rule
from circuits.studies.factual_recall import facts_asked
from circuits.studies.factual_recall.final_layer import suppression
from circuits.studies.factual_recall.function_direction import function_like
from circuits.studies.factual_recall.heads_that_move import moving
from circuits.studies.patched_layers import N_SEEN
from circuits.studies.study import Part, Study

MOST = Rule(holds=0.5, in_part=0.2)
"""Of shares, and of gains, where 1 is all: most of it, or a fifth at least."""
SOME = Rule(holds=0.2, in_part=0.05)
"""Of what is suppressed, of what there was."""
BETTER = Rule(holds=0.1, in_part=0.02)
"""Of a change of probability or accuracy: a tenth, or two in a hundred."""
_PAPER = "Lv et al. 2024, “Interpreting Key Mechanisms of Factual Recall in Transformer-Based Language Models”"
_LAYERS = "six random other heads of the same layers."

STUDY = Study(
    name="factual-recall",
    title="Key mechanisms of factual recall",
    paper="Lv et al. 2024",
    claims=[
        Claim(
            name="topic-moved",
            sentence="A few heads move the topic to the last token.",
            source=f"{_PAPER}: task heads extract the topic token and pass it on.",
            measure="Share of the way to the next topic's answer when six heads are patched at the last token.",
            control=_LAYERS,
            part="heads",
            rule=MOST,
        ),
        Claim(
            name="topic-named",
            sentence="What they write at the last token names the topic.",
            source=f"{_PAPER}: what they pass on is the topic token.",
            measure="Share of facts whose own topic's token those six heads' write favours most, read by the unembedding.",
            control=_LAYERS,
            part="heads",
            rule=MOST,
        ),
        Claim(
            name="heads-erased-or-amplified",
            sentence="The next MLP erases or amplifies what each of them wrote.",
            source=f"{_PAPER}: the MLP after them acts as an activation on single heads.",
            measure="Mean size of the gain: how many times a head's own write the MLP adds because of it; 1 erases or "
            "doubles it.",
            control="a random write as long in the place of each head's.",
            part="heads",
            rule=MOST,
        ),
        Claim(
            name="function-like",
            sentence="One direction of a deep MLP turns another question about a topic into this one.",
            source=f"{_PAPER}: a deep MLP turns the topic into the answer, like applying get_capital(X).",
            measure="Share of the way of the two answers' logit difference when the direction is added, for topics it was "
            "not made of.",
            control="random directions as long.",
            part="function",
            rule=MOST,
        ),
        Claim(
            name="right-suppressed",
            sentence="The last layer suppresses the right answer.",
            source=f"{_PAPER}: an anti-overconfidence mechanism in the final layer of every model looked at.",
            measure="Share of the right answer's logit (less the mean logit) from all layers below that the last one takes "
            "off directly.",
            control="the same of the other facts' answers, in random order.",
            part="last-layer",
            rule=SOME,
        ),
        Claim(
            name="switch-confidence",
            sentence="Undoing that makes the model surer of what is right.",
            source=f"{_PAPER}: undoing it raises recall confidence.",
            measure="Change of the right answer's probability when the parts that suppress are off, in facts they were not "
            "chosen by.",
            control="as many heads and MLPs of random other layers.",
            part="last-layer",
            rule=BETTER,
        ),
        Claim(
            name="switch-accuracy",
            sentence="Undoing that makes the model right more often.",
            source=f"{_PAPER}: undoing it improves factual recall, in our words.",
            measure="Change of the share of facts whose right answer is the likeliest token, under the same.",
            control="as many heads and MLPs of random other layers.",
            part="last-layer",
            rule=BETTER,
        ),
    ],
    parts=[
        Part(
            "heads",
            lambda bench: moving(facts_asked.studied(bench.model), bench),
            lambda scale: N_SEEN + 1 + scale.sets,
        ),
        Part(
            "function",
            lambda bench: function_like(*facts_asked.of_both(bench.model), bench),
            lambda scale: 4 + scale.sets / 2,
        ),
        Part(
            "last-layer", lambda bench: suppression(facts_asked.studied(bench.model), bench), lambda scale: scale.sets
        ),
    ],
    asks=lambda bench: facts_asked.studied(bench.model),
)
