"""An OR gate: either of two heads is enough.

    on on ? -> yes        off off ? -> no

a0.h0 moves the first token, a0.h1 the second, and the MLP computes min(1, sum) from two neurons, relu(x) - relu(x - 1). Both
arms belong to the circuit, and neither is missed when it goes alone: exact patching of one edge gives 0 for each, a gradient at
the clean run too, and removal one by one keeps the arm that it tries last. Along the path from `off off` the first half counts,
so that integrated gradients share the whole effect out, half to each.
"""

from circuits.ground_truth.known import Known
from circuits.ground_truth.wiring import Head, Layer, Neuron, wire

GAIN = 4.0


def or_gate() -> Known:
    """The model, its pair, its circuit."""
    words = {"no": {}, "yes": {}, "on": {"on": 1.0}, "off": {}, "?": {}}
    arms = [Head(attends=[("at 2", f"at {i}", 40.0)], moves=[("on", "arms", 1.0)]) for i in (0, 1)]
    gate = [Neuron({"arms": 1.0}, {"answer": 1.0}), Neuron({"arms": 1.0}, {"answer": -1.0}, bias=-1.0)]
    edges = [f"input->a0.h{i}<v>" for i in (0, 1)] + [f"a0.h{i}->m0" for i in (0, 1)]
    return Known(
        name="or-gate",
        about="Either of two heads is enough: an MLP says yes where at least one of them does.",
        model=wire(words, [Layer(arms, gate)], {"yes": {"answer": GAIN}}),
        prompts=[("on on ?", "off off ?")],
        right=["yes"],
        wrong=["no"],
        effects={**dict.fromkeys(edges, 0.0), "m0->logits": -GAIN},
    )
