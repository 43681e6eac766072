"""Greater-than: which heads and MLPs make a span of years end later than it began, and whether they are the model's circuit.

    The war lasted from the year 1732 to the year 17     ->  33 to 99, not 00 to 32

Hanna et al. found that heads of GPT-2 small carry the start year to late MLPs, which write later years. Here they are found by
what they do in this model, on one half of the pairs, and asked on the other. Where digits are written one by one, the year is its
tens digit: later are the digits above it. Corrupted prompts begin in a year that every other is greater than.
"""

from circuits.studies.claim import Claim, Rule
from circuits.studies.component_circuits import circuit_claims
from circuits.studies.component_circuits.examined import ATTRIBUTED
from circuits.studies.greater_than import heads, mlps
from circuits.studies.greater_than.circuit import circuit
from circuits.studies.greater_than.components_found import Components
from circuits.studies.greater_than.doing import doing
from circuits.studies.study import Part, Study

MOST = Rule(holds=0.5, in_part=0.2)
"""Of shares and of attention: most of it, or a fifth at least."""
MOST_RUN = Rule(holds=0.5, in_part=0.2, alpha=0.05)
"""The same where each control set takes a run of the model, and there are few."""
SOME = Rule(holds=0.2, in_part=0.05, alpha=0.05)
"""Of what a paper says is there, and small."""
CLOSE = Rule(holds=0.7, in_part=0.3)
"""Of correlations."""
ENOUGH = Rule(holds=0.8, in_part=0.5, alpha=0.05)
"""Of circuits."""
_HANNA = "Hanna et al. 2023, “How does GPT-2 compute greater-than?”"
_HEADS = "as many random other heads of the same layers."
_MLPS = "as many random other MLPs."
_NEURONS = "as many random other neurons of the same MLPs."
_STARTS = "each other's start years."
_LEFT = "random edges, as many."


STUDY = Study(
    name="greater-than",
    title="Greater-than",
    paper="Hanna et al. 2023",
    claims=[
        Claim(
            name="done",
            sentence="The model gives later years more probability than earlier ones.",
            source=f"{_HANNA}: by 0.817 in GPT-2 small.",
            measure="Probability of the later years minus that of the earlier ones.",
            control=_STARTS,
            part="task",
            rule=MOST,
        ),
        Claim(
            name="sharp",
            sentence="Its answer changes sharply at the start year.",
            source=f"{_HANNA}, of cutoff sharpness, there the plain difference of the two probabilities.",
            measure="The year after the start against the one before it: the difference of their probabilities over their sum.",
            control=_STARTS,
            part="task",
            rule=MOST,
        ),
        Claim(
            name="heads-look",
            sentence="The heads that matter through late MLPs look at the start year from the last token.",
            source=f"{_HANNA}: the circuit's heads attend to the start year.",
            measure="Attention from the last token to the start year's digits that decide, mean over heads.",
            control=_HEADS,
            part="heads",
            rule=MOST,
        ),
        Claim(
            name="heads-carry",
            sentence="These few heads carry the start year to MLPs.",
            source=f"{_HANNA}, by path patching.",
            measure="Share of the way to the corrupted prompt's answer when only their edges into MLPs carry the corrupted run.",
            control=_HEADS,
            part="heads",
            rule=MOST_RUN,
        ),
        Claim(
            name="heads-rather",
            sentence="They act through MLPs rather than on the logits.",
            source=f"{_HANNA}: MLPs, and not heads, write the answer.",
            measure="That share minus the share when only their edges into the logits carry the corrupted run.",
            control=_HEADS,
            part="heads",
            rule=MOST_RUN,
        ),
        Claim(
            name="mlps-write",
            sentence="What the late MLPs write rises where a year is later than the start.",
            source=f"{_HANNA}: “GPT-2 small's final multi-layer perceptrons boost the probability of end years greater than the "
            "start year”.",
            measure="Correlation of what they add to each year's logit with whether it is later, means of years and of prompts "
            "taken away.",
            control=_MLPS,
            part="mlps",
            rule=CLOSE,
        ),
        Claim(
            name="mlps-lead",
            sentence="They write most of the later years' lead.",
            source=_HANNA + ", in our words.",
            measure="Share of the later years' mean logit less the earlier ones' that they add directly.",
            control=_MLPS,
            part="mlps",
            rule=MOST,
        ),
        Claim(
            name="mlps-sharp",
            sentence="What they write has a sharp boundary at the start year.",
            source=f"{_HANNA}, figure 8, in our words.",
            measure="What they add more to the year after the start than to the one before, as a share of what they add more to "
            "later years than to earlier ones; a straight ramp has less than half.",
            control=_STARTS,
            part="mlps",
            rule=MOST,
        ),
        Claim(
            name="mlps-needed",
            sentence="The answer needs what they write straight into the logits.",
            source=f"{_HANNA}, by path patching.",
            measure="Share of the way to the corrupted prompt's answer when only their edges into the logits carry the "
            "corrupted run.",
            control=_MLPS,
            part="mlps",
            rule=MOST_RUN,
        ),
        Claim(
            name="neurons-together",
            sentence="Twenty neurons of the late MLPs write the order of the years together.",
            source=f"{_HANNA}: the ten strongest neurons of an MLP together do what it does.",
            measure="Correlation of what they add to each year's logit with whether it is later, means of years and of prompts "
            "taken away.",
            control=_NEURONS,
            part="neurons",
            rule=CLOSE,
        ),
        Claim(
            name="neurons-lead",
            sentence="These twenty write most of what the late MLPs add to later years.",
            source=f"{_HANNA}, in our words.",
            measure="Share of the late MLPs' lead of the later years.",
            control=_NEURONS,
            part="neurons",
            rule=MOST,
        ),
        Claim(
            name="neurons-alone",
            sentence="Each of them writes the order of the years by itself.",
            source=f"{_HANNA} finds that single neurons do not, and each favours some years.",
            measure="Correlation of what one neuron adds with whether a year is later; mean over the twenty.",
            control=_NEURONS,
            part="neurons",
            rule=CLOSE,
        ),
        Claim(
            name="circuit-faithful",
            sentence="A fiftieth of the edges between heads and MLPs does the task.",
            source=f"{_HANNA}: their circuit keeps 89.5% of the difference of probabilities.",
            measure="1 - |1 - faithfulness| of the best edges by EAP-IG, all others carrying the corrupted run.",
            control=_LEFT,
            part="circuit",
            rule=ENOUGH,
        ),
        Claim(
            name="circuit-complete",
            sentence="What the model does without some of the circuit, the circuit does without it too.",
            source="Wang et al. 2023, of completeness; Hanna et al. do not ask.",
            measure="1 - the difference of faithfulness between circuit and model, both whole, without these heads, and without "
            "the late MLPs; the largest of the three.",
            control="random edges, as many, with nothing taken away.",
            part="circuit",
            rule=ENOUGH,
        ),
        Claim(
            name="circuit-minimal",
            sentence="The weaker half of the circuit's edges is needed.",
            source="Wang et al. 2023, of minimality; in our words.",
            measure="Faithfulness of the circuit less that of its stronger half.",
            control="what as many random other edges add to it.",
            part="circuit",
            rule=SOME,
        ),
        Claim(
            name="edges-in-roles",
            sentence="The edges that EAP-IG finds run from heads that look at the start year to late MLPs and to the logits.",
            source=f"{_HANNA}, figure 5.",
            measure="Of the circuit's edges from heads and MLPs into MLPs and logits, the share of their scores' sizes on edges "
            "from heads that look there and from late MLPs, into late MLPs and logits.",
            control="random other heads of the same layers and random other MLPs in their place.",
            part="circuit",
            rule=MOST,
        ),
    ],
    parts=[
        Part("task", doing, lambda scale: 8),
        Part("heads", heads.heads, lambda scale: ATTRIBUTED + heads.runs_of(scale)),
        Part("mlps", mlps.mlps, mlps.runs_of),
        Part("neurons", mlps.neurons, lambda scale: 2),
        Part("circuit", circuit, lambda scale: circuit_claims.runs_of(scale, 2)),
    ],
    asks=Components.of,
)
