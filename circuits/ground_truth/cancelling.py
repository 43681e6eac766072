"""Two heads that cancel, and one that does the work.

    x ? -> yes        y ? -> no

a0.h0 adds 2 to the right answer; a0.h1 adds 6 and a0.h2 takes 6 off. One by one each edge has its effect, which all methods
find; together the two do nothing, and a circuit without the one that takes off does four times what the model does. Removal
judged by the metric throws that one out, since the metric only rises; judged by divergence it keeps both.
"""

from circuits.ground_truth.known import Known
from circuits.ground_truth.wiring import Head, Layer, wire

ADDS = (2.0, 6.0, -6.0)


def cancelling() -> Known:
    """The model, its pair, its circuit."""
    words = {"no": {}, "yes": {}, "x": {"x": 1.0}, "y": {}, "?": {}}
    heads = [Head(attends=[("at 1", "at 0", 40.0)], moves=[("x", "answer", adds)]) for adds in ADDS]
    effects = {f"input->a0.h{i}<v>": -adds for i, adds in enumerate(ADDS)}
    effects |= {f"a0.h{i}->logits": -adds for i, adds in enumerate(ADDS)}
    return Known(
        name="cancelling",
        about="One head adds to the right answer, and two large ones cancel.",
        model=wire(words, [Layer(heads)], {"yes": {"answer": 1.0}}),
        prompts=[("x ?", "y ?")],
        right=["yes"],
        wrong=["no"],
        effects=effects,
    )
