"""A model wired by hand that adds and subtracts: heads bring numbers and operator to the last token, neurons look the answer up.

Prompts are `a operator b =`. In layer 0 head 0 brings a and head 1 the operator, in layer 1 head 0 brings b (`spread`: all
twenty heads bring a twentieth each), in layer 2 a neuron for each question answers. After another sign (`APART`) other heads do
the same, and after a third (`COPY`) one head repeats b, which is no arithmetic.
"""

import torch

from probe.model.load import stamp
from probe.model.toy import native
from probe.tasks.example import Example
from probe.tasks.pairs import Pairs

N, HEADS = 5, 20
PLUS, MINUS, EQUALS, APART, COPY = range(2 * N, 2 * N + 5)
VOCABULARY = 2 * N + 5
_POS, _FIRST, _SECOND, _SIGN, _ANSWER = (VOCABULARY + n for n in (0, 4, 4 + N, 4 + 2 * N, 6 + 2 * N))
GAIN, LOUD = 6.0, 50.0
"""Logit of what was looked up; how much stands in the stream for it, so that heads hardly reach it directly."""


def sums_model(*, spread: bool = False, strength: float = 1.0):
    """The model. strength: with which b is brought."""
    model = native(
        n_layers=3,
        d_model=_ANSWER + 2 * N,
        n_heads=HEADS,
        d_head=N,
        d_mlp=2 * N * N,
        d_vocab=VOCABULARY,
        n_ctx=8,
        act_fn="relu",
        normalization_type=None,
    )
    with torch.no_grad():
        for weight in model.original_model.parameters():
            weight.zero_()
        model.W_E[:, :VOCABULARY] = torch.eye(VOCABULARY)
        model.W_pos[:4, _POS : _POS + 4] = torch.eye(4)
        first, second = model.blocks[0].attn, model.blocks[1].attn
        for sign, (a, op, b) in ((EQUALS, (0, 1, 0)), *([] if spread else [(APART, (3, 4, 1))])):
            _bring(first, a, sign, 0, range(N), _FIRST)
            _bring(first, op, sign, 1, (PLUS, MINUS), _SIGN)
            _bring(second, b, sign, 2, range(N), _SECOND, strength)
        if not spread:
            _bring(second, 2, COPY, 2, range(N), _ANSWER, LOUD)
        else:
            for head in range(HEADS):
                _bring(second, head, EQUALS, 2, range(N), _SECOND, 1 / HEADS)
        _look_up(model.blocks[2].mlp)
        model.W_U[_ANSWER : _ANSWER + 2 * N, : 2 * N] = GAIN / LOUD * torch.eye(2 * N)
    return model


def _bring(attn, head, sign, pos, seen, into, strength=1.0):
    """After its sign a head looks at a position; after any other it looks at that, where nothing is that it reads."""
    attn.W_Q[head, [s for s in (EQUALS, APART, COPY) if s != sign], 1] = 300.0
    attn.W_K[head, _POS + 3, 1] = 1.0
    attn.W_Q[head, sign, 0] = 300.0
    attn.W_K[head, _POS + pos, 0] = 1.0
    for i, token in enumerate(seen):
        attn.W_V[head, token, i] = 1.0
        attn.W_O[head, i, into + i] = strength


def _look_up(mlp):
    neuron = 0
    for k, result in enumerate((lambda a, b: a + b, lambda a, b: a - b)):
        for a in range(N):
            for b in range(N):
                if result(a, b) >= 0:
                    mlp.W_in[[_FIRST + a, _SECOND + b, _SIGN + k], neuron] = 1.0
                    mlp.b_in[neuron] = -2.0
                    mlp.W_out[neuron, _ANSWER + result(a, b)] = LOUD
                neuron += 1


def sums(model, name, operator=PLUS, last=EQUALS, part=slice(0, None, 3)):
    """Pairs of sums (differences, repetitions) that differ in b. part: which of all questions, by default a third."""
    rows = [(a, b, (b + 1) % N) for a in range(N) for b in range(N)]
    if operator == MINUS:
        rows = [(a, b, (b + 1) % (a + 1)) for a, b, _ in rows if 0 < a >= b]
    rows = rows[part]

    def answer(a, b):
        return b if last == COPY else a + b if operator == PLUS else a - b

    nothing = Example(clean="", corrupted="", right=[], wrong=[])
    return Pairs(
        task=name,
        examples=[nothing] * len(rows),
        clean=[[a, operator, b, last] for a, b, _ in rows],
        corrupted=[[a, operator, c, last] for a, _, c in rows],
        right=[[answer(a, b)] for a, b, _ in rows],
        wrong=[[answer(a, c)] for a, _, c in rows],
        refused={},
        model=stamp(model),
    )
