"""Which units fire together, and which tokens a unit fires at on average, from the sample of all firings at some tokens.

Co-activation of units i and j is the cosine of their firing patterns, n_ij / sqrt(n_i n_j), where n_ij sampled tokens have both
above 0. Pairs with fewer than `min_joint` such tokens are left out: two units that fired once, at one token, say nothing.
The counts of a few units with all others are computed at a time, so units by units is never in memory whole.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.features.effects import CELLS, Ranked, unit_blocks
from probe.features.measuring.firing_sample import Sample
from probe.progress import SILENT, Progress

DENSE = 0.05
"Above this share of units firing at a token, a dense matrix product counts pairs faster than a sparse one."


def coactive(
    sample: Sample, n_units: int, k: int, min_joint: int, progress: Progress = SILENT
) -> tuple[Ranked, Int[np.ndarray, "unit k"], Int[np.ndarray, " unit"]]:
    """The k most co-active units of each unit with their cosines (-1 and 0 where there are fewer), the tokens at which both
    fired, and the sampled tokens at which each unit fired."""
    firing = sample.matrix(n_units)
    firing.data = np.ones_like(firing.data)
    fired = np.asarray(firing.sum(0)).reshape(-1).astype(np.int64)
    k, ranked, joints = min(k, n_units - 1), [], []
    columns = firing.tocsc()
    with progress.stage("co-activation", n_units, "unit") as step:
        for some in unit_blocks(n_units, n_units):
            joint = _joint(firing, columns[:, some], n_units)
            joint[torch.arange(len(joint)), torch.arange(some.start, some.stop)] = 0
            found, both = _closest(joint, torch.from_numpy(fired), some, k, min_joint)
            ranked.append(found)
            joints.append(both)
            step(len(joint))
    which, cosine = (np.concatenate(column) for column in zip(*ranked, strict=True))
    return Ranked(which, cosine), np.concatenate(joints), fired


def _joint(firing, some, n_units: int) -> Float[Tensor, "some unit"]:
    """At how many tokens each of some units fires together with each unit; whole numbers, exact below 2**24."""
    if firing.nnz <= DENSE * firing.shape[0] * n_units or not firing.nnz:
        return torch.from_numpy((some.T.tocsr() @ firing).toarray())
    rows, step = some.tocsr(), max(1, CELLS // n_units)
    total = torch.zeros(some.shape[1], n_units)
    for first in range(0, firing.shape[0], step):
        part = slice(first, first + step)
        total += torch.from_numpy(rows[part].toarray()).T @ torch.from_numpy(firing[part].toarray())
    return total


def _closest(
    joint: Float[Tensor, "some unit"], fired: Int[Tensor, " unit"], some: slice, k: int, min_joint: int
) -> tuple[Ranked, Int[np.ndarray, "some k"]]:
    size = fired.clamp(min=1).double()
    cosine = (joint / (size[some, None] * size[None]).sqrt()).masked_fill(joint < min_joint, 0).float()
    score, which = cosine.topk(k, -1)
    which, both = which.masked_fill(score == 0, -1), joint.gather(1, which).masked_fill(score == 0, 0)
    return Ranked(which.int().numpy(), score.numpy()), both.int().numpy()


def token_means(
    sample: Sample, ids: Int[np.ndarray, " n_tokens"], n_units: int, k: int, min_count: int, progress: Progress = SILENT
) -> tuple[Ranked, Int[np.ndarray, "unit k"]]:
    """The k tokens at which each unit's activation (0 where it is silent or negative) is largest on average, and how often each
    occurred in the sample. Tokens that occur fewer than `min_count` times are left out (-1 where fewer remain)."""
    from scipy.sparse import csr_matrix

    values = sample.matrix(n_units)
    known, at, count = np.unique(ids[sample.tokens], return_inverse=True, return_counts=True)
    frequent = count >= min_count
    shape = (len(known), len(at))
    which = csr_matrix((1.0 / count[at], (at, np.arange(len(at)))), shape=shape)[frequent]
    known, count, columns = known[frequent], count[frequent], values.tocsc()
    k, found = min(k, len(known)), []
    with progress.stage("tokens", n_units, "unit") as step:
        for some in unit_blocks(n_units, max(len(known), 1)):
            mean = torch.from_numpy((which @ columns[:, some]).toarray().T.astype(np.float32))
            score, place = mean.topk(k, -1)
            place = place.masked_fill(score == 0, -1)
            found.append((place.numpy(), score.numpy()))
            step(len(mean))
    place, score = (np.concatenate(column) for column in zip(*found, strict=True))
    tokens = np.where(place < 0, -1, np.append(known, -1)[place])
    counts = np.where(place < 0, 0, np.append(count, 0)[place])
    return Ranked(tokens.astype(np.int32), score), counts.astype(np.int32)
