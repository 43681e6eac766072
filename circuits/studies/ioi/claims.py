"""Indirect object identification: which heads play the published roles in this model, and whether they are its circuit.

    When Mary and John went to the store, John gave a drink to     ->  Mary

Wang et al. found 26 heads of GPT-2 small; here heads are found by their roles, whatever their number: those that write the name,
those that keep them from the name that was said twice, those that notice that it was. Each role is found on one half of the pairs
and asked of the other. Corrupted prompts name a third person the second time, so that nobody is named twice. A role is played by
a fiftieth of the model's heads.
"""

from circuits.studies.claim import Claim, Rule
from circuits.studies.component_circuits import circuit_claims
from circuits.studies.component_circuits.examined import ATTRIBUTED
from circuits.studies.component_circuits.head_sets import sets_run
from circuits.studies.ioi import feeders, inhibition, movers
from circuits.studies.ioi.circuit import circuit
from circuits.studies.ioi.heads_by_role import Roles
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
_WANG = "Wang et al. 2023, “Interpretability in the Wild”"
_OTHERS = "as many random other heads of the same layers."
_CUT = "Share of the way to the corrupted prompt's answer when only their edges into {} carry the corrupted run."
_LEFT = "random edges, as many."


STUDY = Study(
    name="ioi",
    title="Indirect object identification",
    paper="Wang et al. 2023",
    claims=[
        Claim(
            name="done",
            sentence="The model names the indirect object rather than the subject.",
            source=f"{_WANG}: in GPT-2 small in 99.3% of prompts, by 3.56 logits.",
            measure="Share of pairs in which it is the likelier, minus the share in which it is not.",
            control="the same prompts with each other's names.",
            part="task",
            rule=MOST,
        ),
        Claim(
            name="movers-write",
            sentence="A few heads write most of the lead of the indirect object straight into the logits.",
            source=f"{_WANG}, of name mover heads.",
            measure="Share of the lead that they add directly, the final norm's divisor held.",
            control=_OTHERS,
            part="movers",
            rule=MOST,
        ),
        Claim(
            name="movers-attend",
            sentence="These heads write a name the more, the more they look at it.",
            source=f"{_WANG}: attention and writing of name movers correlate by more than 0.8.",
            measure="Correlation of attention to a name with what is added to its logit, over both names; mean over heads.",
            control=_OTHERS,
            part="movers",
            rule=CLOSE,
        ),
        Claim(
            name="movers-copy",
            sentence="These heads copy: whatever name they look at, they write it.",
            source=f"{_WANG}: copying scores above 95%, where heads on average have less than 20%.",
            measure="Share of names at the indirect object's place that a head alone would put among the five likeliest tokens.",
            control=_OTHERS,
            part="movers",
            rule=MOST,
        ),
        Claim(
            name="against-write",
            sentence="A few heads take away from the lead of the indirect object.",
            source=f"{_WANG}, of negative name mover heads.",
            measure="Share of the lead that they take away directly.",
            control=_OTHERS,
            part="movers",
            rule=SOME,
        ),
        Claim(
            name="against-attend",
            sentence="These heads write against a name the more, the more they look at it.",
            source=f"{_WANG}, of negative name mover heads.",
            measure="Correlation of attention to a name with what is taken from its logit, over both names; mean over heads.",
            control=_OTHERS,
            part="movers",
            rule=CLOSE,
        ),
        Claim(
            name="backup",
            sentence="Without the name movers others take over.",
            source=f"{_WANG}: without them the lead falls by only 5%, and backup name movers write in their place.",
            measure="What the lead falls short of losing when movers give what they give in the corrupted prompt, as a share of "
            "what they then add less directly; the final norm's answer is in it.",
            control=_OTHERS[:-1] + ", as a share of the same.",
            part="backup",
            rule=MOST_RUN,
        ),
        Claim(
            name="inhibition-queries",
            sentence="A few heads below act through the name movers' queries.",
            source=f"{_WANG}, of S-inhibition heads, by path patching.",
            measure=_CUT.format("the movers' queries"),
            control=_OTHERS,
            part="inhibition",
            rule=MOST_RUN,
        ),
        Claim(
            name="inhibition-looks",
            sentence="These heads look at the subject's second mention from the last token.",
            source=f"{_WANG}, of S-inhibition heads.",
            measure="Attention from the last token to the second mention, mean over heads.",
            control=_OTHERS,
            part="inhibition",
            rule=MOST,
        ),
        Claim(
            name="inhibition-attention",
            sentence="They turn the name movers from the subject to the indirect object.",
            source=f"{_WANG}: without them movers look less at the indirect object and more at the subject.",
            measure="How much of the movers' attention to the indirect object, less that to the subject, is lost when these "
            "heads give what they give in the corrupted prompt; mean over movers.",
            control=_OTHERS,
            part="inhibition",
            rule=SOME,
        ),
        Claim(
            name="inhibition-place",
            sentence="They tell the place at which the subject was named.",
            source=f"{_WANG}: of the two signals that of position has the greater effect.",
            measure="Share of the way to the other answer when they give what they give with the first two names in each other's "
            "place.",
            control=_OTHERS,
            part="inhibition",
            rule=MOST_RUN,
        ),
        Claim(
            name="inhibition-name",
            sentence="They tell the name of the subject.",
            source=f"{_WANG}, of the token signal.",
            measure="Share of the way to the other answer when they give what they give with the two people's names exchanged.",
            control=_OTHERS,
            part="inhibition",
            rule=MOST_RUN,
        ),
        Claim(
            name="duplicate-looks",
            sentence="Some heads look from the subject's second mention at its first.",
            source=f"{_WANG}, of duplicate token heads.",
            measure="That attention, less what there is when nobody is named twice; mean over heads.",
            control=_OTHERS,
            part="feeders",
            rule=MOST,
        ),
        Claim(
            name="duplicate-feeds",
            sentence="They feed the inhibition heads.",
            source=f"{_WANG}, of duplicate token heads.",
            measure=_CUT.format("the inhibition heads' keys and values"),
            control=_OTHERS,
            part="feeders",
            rule=SOME,
        ),
        Claim(
            name="induction-looks",
            sentence="Some heads look from the subject's second mention at what followed its first.",
            source=f"{_WANG}, of induction heads.",
            measure="That attention, less what there is when nobody is named twice; mean over heads.",
            control=_OTHERS,
            part="feeders",
            rule=MOST,
        ),
        Claim(
            name="induction-feeds",
            sentence="These induction heads feed the inhibition heads.",
            source=f"{_WANG}, of induction heads.",
            measure=_CUT.format("the inhibition heads' keys and values"),
            control=_OTHERS,
            part="feeders",
            rule=SOME,
        ),
        Claim(
            name="previous-looks",
            sentence="Some heads look from what followed the subject's first mention at that mention.",
            source=f"{_WANG}, of previous token heads.",
            measure="That attention; mean over heads.",
            control=_OTHERS,
            part="feeders",
            rule=MOST,
        ),
        Claim(
            name="previous-feeds",
            sentence="These previous token heads feed the induction heads' keys.",
            source=f"{_WANG}, of previous token heads.",
            measure="Share of the way to the answer of a prompt with another first mention when only their edges into the "
            "induction heads' keys carry its run.",
            control=_OTHERS,
            part="feeders",
            rule=SOME,
        ),
        Claim(
            name="circuit-faithful",
            sentence="A fiftieth of the edges between heads and MLPs does the task.",
            source=f"{_WANG}: their circuit has 87% of the lead of the whole model.",
            measure="1 - |1 - faithfulness| of the best edges by EAP-IG, all others carrying the corrupted run.",
            control=_LEFT,
            part="circuit",
            rule=ENOUGH,
        ),
        Claim(
            name="circuit-complete",
            sentence="What the model does without some of the circuit, the circuit does without it too.",
            source=f"{_WANG}, of completeness.",
            measure="1 - the difference of faithfulness between circuit and model, both whole, without the movers, without the "
            "inhibition heads, without the heads that feed them; the largest of the four.",
            control="random edges, as many, with nothing taken away.",
            part="circuit",
            rule=ENOUGH,
        ),
        Claim(
            name="circuit-minimal",
            sentence="The weaker half of the circuit's edges is needed.",
            source=f"{_WANG}, of minimality; in our words.",
            measure="Faithfulness of the circuit less that of its stronger half.",
            control="what as many random other edges add to it.",
            part="circuit",
            rule=SOME,
        ),
        Claim(
            name="edges-in-roles",
            sentence="The edges between heads that EAP-IG finds are those of the published roles.",
            source=f"{_WANG}, figure 2.",
            measure="Of the circuit's edges between heads and from heads to the logits, the share of their scores' sizes on "
            "edges of heads that look as the roles do: previous token to induction, these and duplicate token to inhibition, "
            "inhibition to movers' queries, movers to logits.",
            control="roles given to random other heads of the same layers.",
            part="circuit",
            rule=MOST,
        ),
    ],
    parts=[
        Part("task", movers.done, lambda scale: 7),
        Part("movers", movers.movers, lambda scale: 4),
        Part("backup", movers.backup, lambda scale: sets_run(scale) + 2),
        Part("inhibition", inhibition.inhibition, lambda scale: ATTRIBUTED + inhibition.runs_of(scale)),
        Part("feeders", feeders.feeders, feeders.runs_of),
        Part("circuit", circuit, lambda scale: circuit_claims.runs_of(scale, 3)),
    ],
    asks=Roles.of,
)
