"""Induction by two heads (Olsson et al. 2022), among heads and neurons that do much and matter nothing.

    <s> A B C D A -> B

a0.h0 looks one position back and notes which letter stood there; a1.h0 looks for the position that notes the letter it reads
now, and says the letter that stands at it. Where nothing fits it looks at <s>, which says nothing. The others: a0.h1 looks two
positions back and raises every logit alike, a1.h1 looks one back and writes where nobody reads, neurons copy what heads wrote
there. `first` corrupts the letter that is to be found (three edges, one after another); `all` every letter, so that what is
asked for, what is noted and what is said change together (five edges).
"""

from typing import TYPE_CHECKING

from circuits.ground_truth.known import Known
from circuits.ground_truth.wiring import LENGTH, ONE, Head, Layer, Neuron, wire

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LETTERS = "ABCDEFGH"
SCORE, GAIN = 40.0, 4.0
FIRST = {"input->a0.h0<v>": -GAIN, "a0.h0->a1.h0<k>": -GAIN, "a1.h0->logits": -GAIN}
ALL = {
    "input->a0.h0<v>": -GAIN,
    "a0.h0->a1.h0<k>": -GAIN,
    "input->a1.h0<q>": -GAIN,
    "input->a1.h0<v>": -2 * GAIN,
    "a1.h0->logits": -2 * GAIN,
}


def induction(corruption: str = "first") -> Known:
    """The model, its pairs, its circuit."""
    rows = [LETTERS[i : i + 4] for i in range(3)]
    clean = [f"<s> {' '.join(row)} {row[0]}" for row in rows]
    if corruption == "first":
        other = [f"<s> {' '.join(LETTERS[-1] + row[1:])} {row[0]}" for row in rows]
        wrong = [row[2] for row in rows]
    else:
        moved = [_others(row) for row in rows]
        other, wrong = [f"<s> {' '.join(row)} {row[0]}" for row in moved], [row[1] for row in moved]
    return Known(
        name="induction" if corruption == "first" else "induction-all",
        about="A head that notes the letter before, a head that finds what it noted, and distractors that matter nothing.",
        model=_model(),
        prompts=list(zip(clean, other, strict=True)),
        right=[row[1] for row in rows],
        wrong=wrong,
        effects=FIRST if corruption == "first" else ALL,
    )


def _others(row: str) -> str:
    """Four letters that are not in the row, in order."""
    return "".join(letter for letter in LETTERS if letter not in row)[:4]


def _model() -> "TransformerBridge":
    words = {"<s>": {}, **{x: {f"is {x}": 1.0} for x in LETTERS}}
    one_back, two_back = ([(f"at {i}", f"at {i - n}", SCORE) for i in range(n, LENGTH)] for n in (1, 2))
    notes = Head(attends=one_back, moves=[(f"is {x}", f"after {x}", 1.0) for x in LETTERS])
    loud = Head(attends=two_back, moves=[(f"is {x}", "loud", 1.0 + i) for i, x in enumerate(LETTERS)])
    found = [(f"is {x}", f"after {x}", SCORE) for x in LETTERS]
    finds = Head(attends=[*found, (ONE, "at 0", SCORE / 2)], moves=[(f"is {x}", f"says {x}", 1.0) for x in LETTERS])
    idle = Head(attends=one_back, moves=[(f"is {x}", "unread", 1.0 + i) for i, x in enumerate(LETTERS)])
    copies = [Neuron(reads={f"is {x}": 1.0, "loud": 0.5}, writes={"unread": 1.0}) for x in LETTERS[:3]]
    logits = {word: {"loud": 0.1} for word in words} | {x: {f"says {x}": GAIN, "loud": 0.1} for x in LETTERS}
    return wire(words, [Layer([notes, loud], copies), Layer([finds, idle], copies)], logits)
