"""Models wired by hand that answer in two ways: in an early MLP where the subject stands, or in a late one at the last token.

Prompts are `<bos> asks subject ?`, tokens of the toy's tokenizer. The early model answers in the MLP of layer 1 at the subject,
and a head of layer 2 brings the answer to the last token; in the late one that head brings the subject, and the MLP of layer 4
answers.
"""

import torch

from probe.model.toy import native, toy_tokenizer

N = 6
"""Subjects."""
SUBJECT, ANSWER, ASKS, LAST = 40, 80, 120, 100
"""Where the tokens of subjects and answers begin, and the tokens that ask."""


def recall_model(*, early: bool):
    """The model, with the toy's tokenizer."""
    tokenizer = toy_tokenizer()
    n = len(tokenizer)
    model = native(
        tokenizer=tokenizer,
        n_layers=5,
        d_model=n + 2 * N + 1,
        n_heads=2,
        d_head=N,
        d_mlp=N,
        d_vocab=n,
        n_ctx=8,
        act_fn="relu",
        normalization_type=None,
    )
    answers, moved, at = n, n + N, n + 2 * N
    read, brought, layer = (SUBJECT, answers, 1) if early else (moved, moved, 4)
    eye, attn, mlp = torch.eye(N), model.blocks[2].attn, model.blocks[layer].mlp
    with torch.no_grad():
        for weight in model.original_model.parameters():
            weight.zero_()
        model.W_E[:, :n] = torch.eye(n)
        model.W_pos[[0, 1, 3], at] = -10.0  # where no subject stands, so that noise on one hardly hides it
        mlp.W_in[read : read + N] = eye
        mlp.W_out[:, answers : answers + N] = 30 * eye
        attn.W_Q[0, LAST, 0] = 300.0
        attn.W_K[0, at, 0] = 1.0
        attn.W_V[0, answers if early else SUBJECT :][:N] = eye
        attn.W_O[0, :, brought : brought + N] = eye
        model.W_U[answers : answers + N, ANSWER : ANSWER + N] = eye
    return model.requires_grad_(False)


def prompt(i):
    """Token ids of a prompt about a subject."""
    return [1, ASKS, SUBJECT + i, LAST]
