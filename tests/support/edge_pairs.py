"""Pairs of token ids for tests of edges between components: they differ anywhere, with one right and one wrong token."""

from functools import cache

import torch
from tiny import tiny

from probe.model.load import stamp
from probe.tasks.example import Example
from probe.tasks.pairs import Pairs

LENGTH = 7


def pairs_for(model, clean, corrupted, right=7, wrong=9):
    """Pairs of token ids that differ anywhere, with one right and one wrong token."""
    n = len(clean)
    nothing = Example(clean="", corrupted="", right=[], wrong=[])
    sides = {"right": [[right]] * n, "wrong": [[wrong]] * n}
    return Pairs(
        task="tokens", examples=[nothing] * n, clean=clean, corrupted=corrupted, refused={}, model=stamp(model), **sides
    )


@cache
def drawn(name):
    """A tiny model and two pairs that part at the third token."""
    draw, model = torch.Generator().manual_seed(0), tiny(name)
    clean = torch.randint(5, 60, (2, LENGTH), generator=draw)
    other = clean.clone()
    other[:, 2] = torch.randint(60, 110, (2,), generator=draw)
    return model, pairs_for(model, clean.tolist(), other.tolist())


def answered(model, n=20):
    """Pairs of a random model of which one prompt has 7 above 9 and the other has not: it does what they call for."""
    tokens = torch.randint(5, 110, (200, 6), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(tokens)[:, -1]
    above = logits[:, 7] > logits[:, 9]
    return pairs_for(model, tokens[above][:n].tolist(), tokens[~above][:n].tolist())
