"""A linear model: every component is a number, every edge a factor, so the effect of an edge is a product of sums over paths.

    effect(u -> v) = - value(u) factor(u -> v) reach(v)

value(u) is what u writes for `x` and not for `y`, the sum over ways from the input; reach(v) the sum over ways from v to the
answer. Attention looks everywhere alike (its scores are 0) at two equal tokens, neurons never fall below 0. Gradients are
exact here wherever they are taken, and the edges across any cut sum to the whole difference.
"""

from circuits.ground_truth.known import Known
from circuits.ground_truth.wiring import Head, Layer, Neuron, wire

FACTORS = {
    ("input", "a0.h0"): 1.0,
    ("input", "a0.h1"): 2.0,
    ("input", "m0"): 1.0,
    ("a0.h0", "m0"): 0.5,
    ("input", "a1.h0"): 1.0,
    ("a0.h1", "a1.h0"): 0.5,
    ("m0", "a1.h1"): 1.0,
    ("a0.h0", "a1.h1"): 1.0,
    ("a1.h0", "m1"): 0.5,
    ("m0", "m1"): 1.0,
    ("input", "logits"): 0.5,
    ("a0.h0", "logits"): 1.0,
    ("a1.h1", "logits"): 0.5,
    ("m1", "logits"): 1.0,
}
ORDER = ("input", "a0.h0", "a0.h1", "m0", "a1.h0", "a1.h1", "m1", "logits")
HIGH = 64.0
"""What keeps every neuron above 0."""


def linear() -> Known:
    """The model, its pair, its circuit."""
    value, reach = {"input": 1.0}, {"logits": 1.0}
    for v in ORDER[1:]:
        value[v] = sum(f * value[u] for (u, to), f in FACTORS.items() if to == v)
    for u in reversed(ORDER[:-1]):
        reach[u] = sum(f * reach[to] for (start, to), f in FACTORS.items() if start == u)
    layers = [Layer([_head(f"a{i}.h{h}") for h in (0, 1)], [_neuron(f"m{i}")]) for i in (0, 1)]
    words = {"no": {}, "yes": {}, "x": {"input": 1.0}, "y": {}}
    return Known(
        name="linear",
        about="Nothing but sums and factors, so every effect is a product of sums over paths.",
        model=wire(words, layers, {"yes": _into("logits")}),
        prompts=[("x x", "y y")],
        right=["yes"],
        wrong=["no"],
        effects={f"{u}->{_side(v)}": -value[u] * f * reach[v] for (u, v), f in FACTORS.items()},
    )


def _side(receiver: str) -> str:
    return f"{receiver}<v>" if receiver.startswith("a") else receiver


def _into(receiver: str) -> dict[str, float]:
    return {u: f for (u, v), f in FACTORS.items() if v == receiver}


def _head(name: str) -> Head:
    return Head(moves=[(u, name, f) for u, f in _into(name).items()])


def _neuron(name: str) -> Neuron:
    return Neuron(reads=_into(name), writes={name: 1.0}, bias=HIGH, less=HIGH)
