"""The words of Openwork's numbers: what each is, and what is good. One place for docstrings, tables, the command line and pages.

    WORDS["influence"].meaning        find("influence, mean")        `openwork words influence`

A sentence for what the number is, one for how to judge it, and where the idea comes from.
"""

from dataclasses import asdict, dataclass
from typing import Any

from probe.errors import BadInput
from probe.show.record import Record


@dataclass(frozen=True)
class Word(Record):
    """One word. good: how to judge the number. source: where it comes from; ours where none is named."""

    name: str
    meaning: str
    good: str
    source: str = ""

    def __repr__(self) -> str:
        return f"{self.name}: {self.told()}"

    def told(self) -> str:
        """The meaning, and how to judge it, as one text."""
        return f"{self.meaning} {self.good}".strip()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


_TRACING = "Ameisen et al. 2025, Circuit Tracing"
_GAO = "Gao et al. 2024"
_PATCHING = "Heimersheim & Nanda 2024"
_WORDS = (
    # graphs
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
    Word("kept", "The share of all influence that the chosen nodes hold.", "What a pruned or pinned graph speaks for."),
    Word(
        "rest",
        "What the units of one layer that are not nodes write together: exact, but not taken apart.",
        "Small where the graph has enough nodes; raise --nodes where it is large.",
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
    # tests
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
    # patching
    Word(
        "effect",
        "How far one patch moves the metric, on a scale where the corrupted run is 0 and the clean run 1.",
        "1 does all of it, 0 nothing, below 0 the opposite; the sign is kept.",
        _PATCHING,
    ),
    Word("denoise", "Patch the clean run into the corrupted one: what is enough to restore.", "", _PATCHING),
    Word("noise", "Patch the corrupted run into the clean one: what is needed.", "", _PATCHING),
    Word(
        "control",
        "The same patch from donors that have nothing to do with the clean prompt.",
        "An effect far beyond the control's spread is about this prompt.",
    ),
    # units and heads
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
    # dictionaries
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
        "l0", "How many latents are active at a token.", "Few, at the same fidelity; compare at equal fvu or equal ce."
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
        "1 is all; above 1 the reconstruction predicts this text better than the model. Easy sites reach .99: compare the loss.",
    ),
    Word("kl", "The divergence of a changed prediction from the untouched one, nats.", "0 for no change."),
    Word(
        "absorption",
        "How often a letter's main latents stay silent because a latent of one word took the letter over.",
        "0 is best; beside the number stand an untrained dictionary's and the raw activations'.",
        "Chanin et al. 2024",
    ),
)
_NO_HEADINGS = frozenset(("error", "effect", "rest", "first", "bias", "full", "kept", "noise", "denoise"))
"""Words that head columns of other things too, so that no tooltip explains them."""
WORDS: dict[str, Word] = {word.name: word for word in _WORDS}
_SPELLED = {
    "replacement score": "replacement",
    "completeness score": "completeness",
    "conservation residual": "residual",
    "ce_recovered_zero": "ce_recovered",
    "ce_recovered_mean": "ce_recovered",
    "kl_spliced": "kl",
    "dead": "dead_share",
    "direct effect": "direct",
    "predicted": "direct",
}


def find(column: str) -> Word | None:
    """The word that a column's heading is, or begins with (`write at 5`, `entropy, mean`); None where it is none of them."""
    said = column.strip().lower().replace("_score", " score")
    plain = said.split(", ")[0].split(" at ")[0].split(" (")[0]
    for name in (said, plain, plain.replace(" ", "_")):
        if (found := WORDS.get(_SPELLED.get(name, name))) is not None:
            return found
    return None


def meaning(column: str) -> str:
    """What a column's heading means and what is good, or nothing: the text of a tooltip."""
    found = find(column)
    return found.told() if found and found.name not in _NO_HEADINGS else ""


def asked_words(name: str = "") -> list[Word]:
    """One word, or all of them; BadInput names the nearest where there is none."""
    if not name:
        return list(WORDS.values())
    found = find(name)
    if found is None:
        import difflib

        close = difflib.get_close_matches(name.lower(), WORDS, n=1, cutoff=0.5)
        hint = f"Did you mean {close[0]}?" if close else f"Words are {', '.join(WORDS)}."
        raise BadInput(f"{name[:40]!r} is none of the words. {hint}")
    return [found]
