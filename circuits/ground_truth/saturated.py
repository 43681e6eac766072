"""A head that has made up its mind: its score is so far above the others that its pattern has no gradient.

    A B askA -> yes        A B askB -> no

The last position asks for A or for B, the head looks there with a score of 40, and moves what it finds. Given the query of the
other prompt it looks at the other letter, and the answer is lost; but no small change of the query changes where it looks.
"""

from circuits.ground_truth.known import Known
from circuits.ground_truth.wiring import Head, Layer, wire

SCORE = 40.0


def saturated() -> Known:
    """The model, its pair, its circuit."""
    words = {
        "no": {},
        "yes": {},
        "A": {"is A": 1.0},
        "B": {"is B": 1.0},
        "askA": {"asks A": 1.0},
        "askB": {"asks B": 1.0},
    }
    looks = [("asks A", "is A", SCORE), ("asks B", "is B", SCORE)]
    head = Head(attends=looks, moves=[("is A", "answer", 1.0)])
    return Known(
        name="saturated",
        about="One head looks where its last token asks it to look, so surely that its pattern has no gradient.",
        model=wire(words, [Layer([head])], {"yes": {"answer": 1.0}}),
        prompts=[("A B askA", "A B askB")],
        right=["yes"],
        wrong=["no"],
        effects={"input->a0.h0<q>": -1.0, "a0.h0->logits": -1.0},
    )
