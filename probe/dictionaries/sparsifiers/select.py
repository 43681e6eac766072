"""Which pre-activations may be active: the k largest of a row, of a batch, or all above a threshold.

Each rule is given the pre-activations in chunks of rows and returns what it picked, ordered by row.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from probe.dictionaries.sparsifiers.sparse import Chunks, Picked, Select
from probe.distributed import world


def largest_of_rows(k: int) -> Select:
    """The k largest of each row, unsorted (Gao et al. 2024). Some may be negative."""

    def select(chunks: Chunks) -> Picked:
        found = [largest(pre_acts, k) for pre_acts in chunks()]
        values, indices = torch.cat([v for v, _ in found]), torch.cat([i for _, i in found])
        offsets = torch.arange(0, values.numel() + 1, k, device=values.device)  # every row owns k
        return Picked(values.flatten(), indices.flatten(), offsets)

    return select


def largest_of_batch(per_row: int) -> Select:
    """The per_row * rows largest positive pre-activations of the whole batch (Bussmann et al. 2024), by threshold search.

    A sample of the first chunk gives a guess a little below the threshold; what lies above the guess is collected chunk by chunk,
    and the threshold found among it. A guess that proves too high is lowered, so it costs time and never changes the result.
    Values equal to the threshold are all kept, so a tie gives a few more. Where several processes share a batch, all find the
    threshold of the whole.
    """

    def select(chunks: Chunks) -> Picked:
        guess = float(world().lowest(torch.tensor(_guess(next(chunks()), per_row), dtype=torch.float64)))
        while True:
            found = above(guess)(chunks)
            there, wanted = world().total(len(found.values), per_row * (len(found.offsets) - 1))
            if there >= wanted or guess <= 0:
                return _largest(found, there, wanted)
            guess = 0.7 * guess if guess > 1e-3 else 0.0  # at 0 there is nothing left that could be active

    return select


def above(threshold: Float[Tensor, " d_dict"] | float) -> Select:
    """All pre-activations above a threshold, of each latent or of all."""

    def select(chunks: Chunks) -> Picked:
        parts = list(_above(chunks(), threshold))
        counts = torch.cat([c for _, _, c in parts])
        offsets = F.pad(counts.cumsum(0), (1, 0))
        return Picked(torch.cat([v for v, _, _ in parts]), torch.cat([i for _, i, _ in parts]), offsets)

    return select


def _above(chunks: Iterator[Tensor], threshold: Tensor | float) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Of each chunk the values, the latents and the number in each row."""
    for pre_acts in chunks:
        n, d_dict = pre_acts.shape
        flat = _where(pre_acts, threshold)
        yield pre_acts.flatten()[flat], flat % d_dict, torch.bincount(flat // d_dict, minlength=n)


def _where(pre_acts: Tensor, threshold: Tensor | float) -> Int[Tensor, " n"]:
    """Flat positions above the threshold. NumPy finds them in a quarter of torch's time on a CPU."""
    if pre_acts.is_cuda or pre_acts.dtype == torch.bfloat16:
        return (pre_acts > threshold).flatten().nonzero().flatten()
    limit = threshold.detach().numpy() if isinstance(threshold, Tensor) else np.float64(threshold)
    return torch.from_numpy(np.flatnonzero(pre_acts.numpy() > limit.astype(pre_acts.numpy().dtype)))


def _guess(pre_acts: Float[Tensor, "row d_dict"], per_row: int) -> float:
    """A level that about a quarter more values exceed than are wanted, judged by every fourth row."""
    sample = pre_acts[::4]
    wanted = min(int(1.25 * per_row * len(sample)) + 1, sample.numel())
    if sample.is_cuda or sample.dtype == torch.bfloat16:
        level = sample.flatten().topk(wanted, sorted=False).values.min()
    else:
        level = np.partition(sample.numpy().reshape(-1), -wanted)[-wanted]
    return max(float(level), 0.0) if math.isfinite(level) else 0.0  # lowering infinity would never end


def _largest(found: Picked, there: int, n: int) -> Picked:
    """Those of what was picked that are among the n largest of the `there` that all processes picked."""
    if there <= n:
        return found
    level = world().join(found.values).kthvalue(there - n + 1).values  # the n-th largest
    keep = found.values >= level
    kept = F.pad(keep.cumsum(0), (1, 0))[found.offsets]
    return Picked(found.values[keep], found.indices[keep], kept)


def largest(
    pre_acts: Float[Tensor, "row d_dict"], k: int, per_block: int = 8
) -> tuple[Float[Tensor, "row k"], Int[Tensor, "row k"]]:
    """The k largest of each row and where they stand, unsorted: `topk`, exactly, in two thirds of its time on a CPU.

    Cut each row into blocks. The k largest values stand in the k blocks with the largest maxima: a value outside them has at
    least k maxima above it. So only those blocks are searched. (Block j holds the latents j, j + n_blocks, j + 2 n_blocks, ...)
    """
    n, d_dict = pre_acts.shape
    n_blocks = d_dict // per_block
    if pre_acts.is_cuda or d_dict % per_block or n_blocks < 4 * k:
        return pre_acts.topk(k, dim=-1, sorted=False)  # type: ignore[return-value]
    blocks = pre_acts.view(n, per_block, n_blocks)
    best = blocks.amax(1).topk(k, dim=-1, sorted=False).indices  # row k: blocks
    candidates = blocks.gather(2, best[:, None, :].expand(n, per_block, k)).reshape(n, per_block * k)
    values, at = candidates.topk(k, dim=-1, sorted=False)  # at: place in block times k, plus which of the best blocks
    return values, (at // k) * n_blocks + best.gather(1, at % k)
