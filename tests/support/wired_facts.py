"""A model wired by hand that recalls facts by planted mechanisms, each of which can be left out.

Prompts are `relation topic ?`. In layer 0 head 0 moves the topic to the last token and head 1 a copy that nobody needs; its MLP
doubles the first and erases the second. Head 2 moves the relation. In layer 1 the MLP answers: with `function` it adds one
direction for the relation, whatever the topic, and another for the topic, whatever the relation; without, each pair of both has
a neuron of its own. In layer 2 the MLP takes off part of what is largest (`suppress`), so that a filler word is likelier than
what is right.
"""

import torch

from circuits.studies.factual_recall.facts_asked import Facts
from probe.model.toy import native

N = 12
CAPITAL, LANGUAGE, ASKED, FILLER = N, N + 1, N + 2, 3 * N + 3
A, B = N + 3, 2 * N + 3
"""Where the answers to the two relations begin."""
VOCABULARY = 3 * N + 4
_TOPIC, _JUNK, _A, _B, _RELATION = (VOCABULARY + i * N for i in range(5))


def facts_model(*, moved: bool = True, function: bool = True, suppress: bool = True):
    """The model. moved: by heads; without, the topic stands at the last token already."""
    model = native(
        n_layers=3,
        d_model=_RELATION + 2,
        n_heads=8,
        d_head=N,
        d_mlp=3 * N,
        d_vocab=VOCABULARY,
        act_fn="relu",
        normalization_type=None,
    )
    eye = torch.eye(N)
    with torch.no_grad():
        for weight in model.original_model.parameters():
            weight.zero_()
        model.W_E[:, :VOCABULARY] = torch.eye(VOCABULARY)
        if moved:
            _heads(model.blocks[0].attn, eye)
            _erasing(model.blocks[0].mlp, eye)
        else:
            model.W_E[:N, _TOPIC : _TOPIC + N] = 2 * eye
        _answering(model.blocks[1].mlp, eye, function)
        if suppress:
            _suppressing(model.blocks[2].mlp, eye)
        model.W_U[_TOPIC : _TOPIC + N, :N] = 0.1 * eye
        model.W_U[_A : _A + N, A : A + N] = eye
        model.W_U[_B : _B + N, B : B + N] = eye
        model.W_U[ASKED, FILLER] = 8.0
    return model


def _heads(attn, eye):
    for head, seen, into in ((0, range(N), _TOPIC), (1, range(N), _JUNK), (2, (CAPITAL, LANGUAGE), _RELATION)):
        attn.W_Q[head, ASKED, 0] = 300.0
        for i, token in enumerate(seen):
            attn.W_K[head, token, 0] = 1.0
            attn.W_V[head, token, i] = 1.0
            attn.W_O[head, i, into + i] = 1.0


def _erasing(mlp, eye):
    for at, slot, factor in ((0, _TOPIC, 1.0), (N, _JUNK, -1.0)):
        mlp.W_in[slot : slot + N, at : at + N] = eye
        mlp.W_out[at : at + N, slot : slot + N] = factor * eye


def _answering(mlp, eye, function):
    for k, answers in enumerate((_A, _B)):
        if function:
            mlp.W_in[_RELATION + k, N + k] = 1.0
            mlp.W_out[N + k, answers : answers + N] = 4.0
            mlp.W_in[_TOPIC : _TOPIC + N, :N] = eye
            mlp.W_out[:N, answers : answers + N] = 3.0 * eye
        else:
            some = slice(k * N, (k + 1) * N)
            mlp.W_in[_TOPIC : _TOPIC + N, some] = 0.5 * eye
            mlp.W_in[_RELATION + k, some] = 1.0
            mlp.b_in[some] = -1.0
            mlp.W_out[some, answers : answers + N] = 10.0 * eye


def _suppressing(mlp, eye):
    mlp.W_in[_A : _A + N, :N] = eye
    mlp.b_in[:N] = -5.0
    mlp.W_out[:N, _A : _A + N] = -0.6 * eye


def facts(model, relation=CAPITAL, moved=True):
    """Facts of one of its relations."""
    answers = A if relation == CAPITAL else B
    order = (lambda t: [relation, t, ASKED]) if moved else (lambda t: [relation, ASKED, t])
    clean = torch.tensor([order(t) for t in range(N)])
    right = [answers + t for t in range(N)]
    return Facts(
        "capitals" if relation == CAPITAL else "languages",
        model,
        clean,
        clean.roll(-1, 0),
        right,
        right[1:] + right[:1],
        list(range(N)),
        1 if moved else 2,
    )
