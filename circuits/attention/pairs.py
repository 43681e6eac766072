"""The strongest products of two lists of vectors, without making the table of all of them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """Parallel, strongest first. query, key: rows of the two lists; weight: their product. compared: how many were looked at."""

    query: Int[np.ndarray, " pair"]
    key: Int[np.ndarray, " pair"]
    weight: Float[np.ndarray, " pair"]
    compared: int

    def __len__(self) -> int:
        return len(self.weight)


def top_pairs(Q: Float[Tensor, "left d_head"], K: Float[Tensor, "right d_head"], k: int, block: int = 1024) -> Pairs:
    """The k pairs with the largest |Q_s . K_t|, exactly; pairs of product 0 are left out.

    Rows are sorted by norm, so as soon as the largest norms of two blocks multiply to less than the k-th best pair, that
    block and those behind it are done (Cauchy-Schwarz).
    """
    left, right = (torch.argsort(-x.norm(dim=1), stable=True) for x in (Q, K))
    best = _Best(max(1, k), Q)
    compared = 0
    for i in left.split(block):
        for j in right.split(block):
            # A little slack: norms are rounded, and a tie must not depend on that.
            if not float(Q[i[0]].norm() * K[j[0]].norm()) * (1 + 1e-6) > best.least:
                break
            best.add(Q[i] @ K[j].T, i, j)
            compared += len(i) * len(j)
    return best.pairs(compared)


class _Best:
    """The strongest pairs so far."""

    def __init__(self, k: int, like: Tensor):
        self.k, self.least = k, 0.0
        self.weight = like.new_zeros(0)
        self.left = self.right = torch.zeros(0, dtype=torch.int64, device=like.device)

    def add(self, product: Tensor, i: Tensor, j: Tensor) -> None:
        flat = product.flatten()
        top = flat.abs().topk(min(self.k, len(flat))).indices
        weight = torch.cat([self.weight, flat[top]])
        left, right = torch.cat([self.left, i[top // len(j)]]), torch.cat([self.right, j[top % len(j)]])
        order = torch.argsort(-weight.abs(), stable=True)[: self.k]
        self.weight, self.left, self.right = weight[order], left[order], right[order]
        if len(order) == self.k:
            self.least = float(self.weight[-1].abs())

    def pairs(self, compared: int) -> Pairs:
        use = self.weight != 0
        arrays = (t[use].cpu().numpy() for t in (self.left, self.right, self.weight.double()))
        return Pairs(*arrays, compared)
