"""Every word of the glossary, by subject: what a number is, how to judge it, where the idea comes from."""

from probe.show.word import Word

_TRACING = "Ameisen et al. 2025, Circuit Tracing"
_MIB = "Mueller et al. 2025, MIB"
_GAO = "Gao et al. 2024"
_PATCHING = "Heimersheim & Nanda 2024"
BY_SUBJECT: dict[str, tuple[Word, ...]] = {
    "predictions": (
        Word(
            "probability",
            "The share that the model's softmax gives a token as the next one.",
            "Small changes of a probability near 0 or 1 hide large changes of logits: look at both.",
        ),
        Word(
            "logit",
            "A token's score before the softmax.",
            "Only differences mean something: a constant added to all of them changes no prediction.",
        ),
        Word(
            "rank",
            "How many tokens the model finds likelier, plus one: 1 is what it would say.",
            "In a lens, compare the layer at which a token reaches 1 with where it comes for other prompts.",
        ),
        Word(
            "loss",
            "The surprise at the token that came, -log of its probability, nats.",
            "0 is certainty; the logarithm of the vocabulary is guessing, 10.8 nats for 49,152 tokens.",
        ),
    ),
    "graphs": (
        Word(
            "influence",
            "The share of the prediction that runs through a node, along paths of every length, sizes of edges alone counted.",
            "Between 0 and 1; compare within one graph. Large and undone by opposite paths is possible: see cancellation.",
            _TRACING,
        ),
        Word(
            "cancellation",
            "The part of a node's influence that is lost to paths of opposite sign.",
            "Near 0 the node pushes one way; near 1 it does almost nothing in sum, however large its influence.",
        ),
        Word(
            "replacement",
            "The share of the influence that ends in explained leaves (tokens, positions, biases, first), not in rest or error.",
            "1 is everything explained. Compare with random sets and with the whole graph; more nodes raise it.",
            _TRACING,
        ),
        Word(
            "completeness",
            "The share of what nodes read, weighted by influence, that comes from explained parts.",
            "1 is everything. Always above replacement, because a path of many steps meets what is unexplained more often.",
            _TRACING,
        ),
        Word(
            "kept",
            "The share of all influence that the chosen nodes hold.",
            "What a pruned or pinned graph speaks for.",
        ),
        Word(
            "rest",
            "What the units of one layer that are not nodes write together: exact, but not taken apart.",
            "Small where the graph has enough nodes; raise --max-nodes where it is large.",
        ),
        Word(
            "first",
            "All that a layer's units write at the first position, where no prompt changes it.",
            "Counts as explained: the attention sink, the same in every prompt.",
        ),
        Word(
            "error",
            "What a dictionary fails to reconstruct at one position: exact, but unexplained.",
            "Small where the dictionary is faithful; a graph full of it says more of the dictionary than of the model.",
            _TRACING,
        ),
        Word("bias", "What a layer writes whatever it reads.", "Counts as explained."),
        Word(
            "residual",
            "The largest gap between a node's value and its constant plus its incoming edges.",
            "Near the rounding of the arithmetic: 1e-6 of the terms' size in float32. Anything larger is an error.",
        ),
        Word(
            "flow",
            "The influence that runs along an edge: the share of its target's, by size.",
            "Compare within one graph.",
        ),
        Word(
            "loading",
            "The part of an edge between two tokens that one head carries, its attention pattern frozen.",
            "Heads and bypass of a layer sum to the edge.",
        ),
        Word(
            "bypass",
            "The part of an edge that goes past a layer's heads in the stream.",
            "With the heads it sums to the edge.",
        ),
        Word(
            "overlap",
            "How much two graphs share: 1 for equal ones, 0 for strangers.",
            "Compare with what random ones share.",
        ),
    ),
    "tests": (
        Word(
            "direct",
            "A movement with everything else held, which edges predict exactly; of heads and units, what is added to a logit.",
            "Prediction and measurement agree to rounding, or the graph is wrong.",
        ),
        Word(
            "full",
            "A movement with everything later free to answer, attention and norms too.",
            "Near the prediction where the frozen account holds in the model; the gap is what freezing leaves out.",
        ),
        Word(
            "sufficiency",
            "How much of a root's movement stays when all other units are silenced.",
            "1 keeps all of it; read it beside what random sets of the size keep.",
        ),
        Word(
            "p",
            "The share of random sets that do at least as much, the tested set itself counted: (1 + as many) / (1 + sets).",
            "Below .05 for something rare; with fewer than 19 sets it cannot be, and a dash stands there.",
        ),
        Word(
            "faithfulness",
            "How much of the model's behaviour a part of it keeps by itself.",
            "1 for the whole model, 0 for none of it; meaningless without the curve of random parts.",
            "Wang et al. 2023",
        ),
        Word(
            "cpr",
            "The area under faithfulness over the share of parts kept, from 0.001 to 1.",
            "A model whose every circuit is whole has 0.999; more where circuits do more than the model, so look at CMD too.",
            _MIB,
        ),
        Word(
            "cmd",
            "The area between faithfulness and 1 over the share of parts kept, from 0.001 to 1.",
            "0 is best; read it beside that of random circuits of the same sizes.",
            _MIB,
        ),
        Word(
            "auroc",
            "The chance that a part of the known circuit is scored above one that is not of it, ties half.",
            "1 ranks all of it first, 0.5 is chance.",
            _MIB,
        ),
        Word(
            "minimality",
            "The most that taking one part out changes what the circuit keeps, while sets of its other parts are out.",
            "Near 0 the part was not needed in any of the sets that were tried.",
            "Wang et al. 2023",
        ),
        Word(
            "random",
            "The same measure of random sets of the same size, drawn from what was not chosen.",
            "The set under test must lie far outside the spread of these; a number without them says little.",
        ),
        Word(
            "relative error",
            "The gap between an edge and what the model did when only its source was changed, over the largest edge.",
            "Near 1e-5 in float32; anything larger means that the frozen account is not the model's.",
        ),
    ),
    "patching": (
        Word(
            "effect",
            "How far one patch moves the metric, on a scale where the corrupted run is 0 and the clean run 1.",
            "1 does all of it, 0 nothing, below 0 the opposite; the sign is kept.",
            _PATCHING,
        ),
        Word(
            "denoise",
            "Patch the clean run into the corrupted one: what is enough to restore.",
            "Read it beside noise: enough is not yet needed.",
            _PATCHING,
        ),
        Word(
            "noise",
            "Patch the corrupted run into the clean one: what is needed.",
            "Where another part steps in, what is needed shows little.",
            _PATCHING,
        ),
        Word(
            "indirect effect",
            "What one clean piece gives back of the answer's probability when the subject is drowned in noise.",
            "Compare with the total effect, what the noise took; above 0 over all draws, it is no accident of one.",
            "Meng et al. 2022",
        ),
        Word(
            "control",
            "The same patch from donors that have nothing to do with the clean prompt.",
            "An effect far beyond the control's spread is about this prompt.",
        ),
        Word(
            "logit_diff",
            "The logit of the right answer minus that of the wrong one.",
            "Above 0 the right one wins, whatever all other tokens do. A clean and a corrupted prompt should differ much in it.",
            "Wang et al. 2023",
        ),
    ),
    "units and heads": (
        Word(
            "write",
            "The length of what a unit or a head adds to the residual stream.",
            "Long is not yet important: see direct.",
        ),
        Word(
            "copying",
            "Whether a head's weights raise the token it looks at: 1 for any token, -1 never.",
            "By weights alone, whatever the prompt.",
            "Elhage et al. 2021",
        ),
        Word(
            "entropy",
            "The spread of a distribution, nats.",
            "0 looks at one place; the logarithm of how many places, if evenly.",
        ),
        Word(
            "activation",
            "How strongly a unit is on at one token.",
            "Compare within one unit; the scale differs between units, so compare units by what they write.",
        ),
        Word(
            "adds to the logit",
            "What a part writes along the answer's direction of the unembedding, the last norm held at what it was.",
            "The parts sum to the logit. It says nothing of what a part does by way of later layers.",
            "Elhage et al. 2021",
        ),
        Word(
            "attention",
            "The share of one query's look that goes to one token.",
            "Rows sum to 1. Much attention to a token whose value is short moves little: see write.",
        ),
        Word(
            "first_token",
            "The share of attention that goes to the first position.",
            "Near 1 the head is parked, as most heads are most of the time: an attention sink.",
            "Xiao et al. 2024",
        ),
        Word(
            "previous_token",
            "The share of attention that goes to the token before.",
            "Near 1 for a previous-token head. A prompt alone shows what it does here, not what it is for.",
            "Elhage et al. 2021",
        ),
        Word(
            "induction",
            "The share of attention that goes to the token after the last occurrence of the present one.",
            "Near 1 for an induction head; without repetition in the prompt there is nothing to see.",
            "Olsson et al. 2022",
        ),
    ),
    "dictionaries": (
        Word(
            "fvu",
            "The share of the variance that the reconstruction leaves out.",
            "0 is perfect, 1 no better than the mean.",
            _GAO,
        ),
        Word(
            "fvu_affine",
            "The same of the best affine map.",
            "A transcoder that does not beat it has learned a matrix.",
        ),
        Word(
            "l0",
            "How many latents are active at a token.",
            "Few, at the same fidelity; compare at equal fvu or equal ce.",
        ),
        Word(
            "dead_share",
            "The share of latents that never fire on the held-out text.",
            "Near 0; what never fires is wasted width.",
            _GAO,
        ),
        Word(
            "density",
            "The share of tokens at which a unit fires.",
            "Very dense units (above a tenth) are rarely about one thing.",
        ),
        Word(
            "shrinkage",
            "The slope of reconstructions on what they reconstruct, about the means.",
            "1 is right; below 1 they are too small, as an L1 penalty makes them.",
            "Rajamanoharan et al. 2024",
        ),
        Word(
            "ce_recovered",
            "How much of the loss that ablating the site costs comes back with the reconstruction in place.",
            "1 is all; above 1 it predicts this text better than the model. Easy sites reach .99: compare the loss.",
        ),
        Word("kl", "The divergence of a changed prediction from the untouched one, nats.", "0 for no change."),
        Word(
            "absorption",
            "How often a letter's main latents stay silent because a latent of one word took the letter over.",
            "0 is best; beside the number stand an untrained dictionary's and the raw activations'.",
            "Chanin et al. 2024",
        ),
        Word(
            "explained_variance",
            "One minus fvu.",
            "1 is perfect, 0 no better than the mean; an autoencoder has the easier task, so compare within one kind.",
        ),
        Word(
            "norm_ratio",
            "The length of the reconstruction over that of what it reconstructs, mean over tokens.",
            "1 is right; see shrinkage for the part of a gap that rescaling would mend.",
        ),
        Word(
            "cosine",
            "The cosine of the angle between two directions; of a report, between reconstruction and target, mean over tokens.",
            "1 is the same direction, 0 none in common. Random directions of width d lie near 1 over the root of d.",
        ),
        Word(
            "relative_bias",
            "The mean square of the reconstruction over its mean product with the target.",
            "1 where no rescaling helps; below 1 the reconstruction is too short.",
            "Rajamanoharan et al. 2024",
        ),
        Word(
            "ce",
            "Cross-entropy: the mean loss per next token, nats.",
            "Lower is better; a dictionary in place of its site should bring it near the untouched model's, far from ablation.",
        ),
    ),
}
