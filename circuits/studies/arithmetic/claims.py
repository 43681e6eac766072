"""Arithmetic in a few heads: which they are, whether other operators, forms and tasks need them, and training them alone.

Sums of one digit after a worked example. Heads are ranked on half of the pairs and tried on the other half. A task that a
model does no better than chance is left out, and the study refused where that is the sum itself.
"""

from circuits.studies.arithmetic.heads_that_matter import N_RANDOM, SETS, SHARES, carrying_part, transfer_part
from circuits.studies.arithmetic.sums_asked import STUDIED, TASKS, asked
from circuits.studies.arithmetic.training_alone import RUNS, training_part
from circuits.studies.arithmetic.training_alone import SETS as TRAINED_SETS
from circuits.studies.claim import Claim, Rule
from circuits.studies.study import Part, Study

MOST = Rule(holds=0.5, in_part=0.2)
"""Of shares: most of it, or a fifth at least."""
BETTER = Rule(holds=0.1, in_part=0.02, alpha=0.1)
"""Of a change of probability: a tenth, or two in a hundred. Few sets are trained, so p cannot fall below 0.1."""
SPARED = Rule(holds=0.1, in_part=0.0, alpha=0.1)
"""Of what arithmetic gains over what text loses, in nats."""
_PAPER = "Zhang et al. 2024, “Interpreting and Improving Large Language Models in Arithmetic Calculation”"
_PATCHED = "Share of the way to another second number's answer when the sum's 5% of heads are patched"
_LAYERS = "as many random other heads of the same layers."

STUDY = Study(
    name="arithmetic",
    title="Arithmetic in a few heads",
    paper="Zhang et al. 2024",
    claims=[
        Claim(
            name="few-heads",
            sentence="A twentieth of the heads carries sums.",
            source=f"{_PAPER}: under 5% of heads matter.",
            measure=f"{_PATCHED} together, in pairs they were not ranked on.",
            control=_LAYERS,
            part="heads",
            rule=MOST,
        ),
        Claim(
            name="heads-attend",
            sentence="These heads attend from the last token to the numbers and the operator.",
            source=f"{_PAPER}: they attend to operands and operators.",
            measure="What they give to the question's numbers and operator from the last token, mean over heads.",
            control=_LAYERS,
            part="heads",
            rule=MOST,
        ),
        Claim(
            name="other-operators",
            sentence="They carry other operators too.",
            source=f"{_PAPER}: the set transfers across data sets and tasks.",
            measure=f"{_PATCHED} in differences and products.",
            control=_LAYERS,
            part="transfer",
            rule=MOST,
        ),
        Claim(
            name="other-forms",
            sentence="They carry sums that are written in other forms.",
            source=f"{_PAPER}: the set transfers across data sets and tasks.",
            measure=f"{_PATCHED} in sums written in words, and asked as questions.",
            control=_LAYERS,
            part="transfer",
            rule=MOST,
        ),
        Claim(
            name="other-tasks",
            sentence="They carry sums told as a story.",
            source=f"{_PAPER}: the set transfers across data sets and tasks; theirs are GSM8K, AddSub, SingleEq and SVAMP.",
            measure=f"{_PATCHED} in stories of apples.",
            control=_LAYERS,
            part="transfer",
            rule=MOST,
        ),
        Claim(
            name="own-to-arithmetic",
            sentence="They carry sums more than a task that is no arithmetic.",
            source="No paper's; whether the set is arithmetic's own.",
            measure=f"{_PATCHED}, minus the same share in capitals of countries.",
            control=_LAYERS,
            part="transfer",
            rule=MOST,
        ),
        Claim(
            name="trained-alone",
            sentence="Trained alone, they do arithmetic better.",
            source=f"{_PAPER}: fine-tuning only those heads and MLPs improves arithmetic; here heads alone.",
            measure="Change of the right answer's probability in sums, differences and products whose questions were not "
            "trained on.",
            control="as many random other heads of the same layers, trained alike.",
            part="training",
            rule=BETTER,
        ),
        Claim(
            name="text-spared",
            sentence="Trained alone, they gain more on arithmetic than other text loses.",
            source=f"{_PAPER}: without harming the rest.",
            measure="Rise of the right answer's log-probability minus the rise of the loss on unrelated text, in nats.",
            control="as many random other heads of the same layers, trained alike.",
            part="training",
            rule=SPARED,
        ),
    ],
    parts=[
        Part("heads", carrying_part, lambda scale: min(SETS, scale.sets) + len(SHARES) * (1 + N_RANDOM)),
        Part("transfer", transfer_part, lambda scale: len(TASKS) * min(SETS, scale.sets)),
        Part("training", training_part, lambda scale: RUNS * (1 + min(TRAINED_SETS, scale.sets))),
    ],
    asks=lambda bench: asked(bench.model, STUDIED),
)
