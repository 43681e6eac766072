"""What an encoder hands to a decoder while training: which latents are active, stored densely or sparsely.

All kinds answer the same questions, so the trainer and the evaluations never ask which they hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.dictionaries.sparsifiers.sparse import Pattern, sparse_decode


class Entries(NamedTuple):
    """The active latents of a batch, ordered by row: row, latent and activation of each."""

    rows: Int[Tensor, " n"]
    latents: Int[Tensor, " n"]
    values: Float[Tensor, " n"]


class Code(Protocol):
    """Latent activations of a batch of rows."""

    def decode(self, W_dec: Float[Tensor, "d_dict d_out"]) -> Float[Tensor, "row d_out"]:
        """`latents @ W_dec`."""
        ...

    def band(self, low: int, high: int) -> "Code":
        """The same with only the latents low to high - 1; the others are silent."""
        ...

    def dense(self) -> Float[Tensor, "row d_dict"]:
        """The latents with their zeros."""
        ...

    def entries(self) -> Entries:
        """The active latents."""
        ...

    def l0(self) -> Int[Tensor, " row"]:
        """How many latents are active in each row."""
        ...

    def firings(self) -> Int[Tensor, " d_dict"]:
        """In how many rows each latent is active."""
        ...

    def weighted(self, weights: Float[Tensor, " d_dict"]) -> Float[Tensor, ""]:
        """Sum of all activations, each times its latent's weight."""
        ...


@dataclass(frozen=True, eq=False)
class DenseCode:
    """Latents with their zeros, for sparsifiers whose number of active latents is not bounded."""

    latents: Float[Tensor, "row d_dict"]

    def decode(self, W_dec: Float[Tensor, "d_dict d_out"]) -> Float[Tensor, "row d_out"]:
        return self.latents @ W_dec

    def band(self, low: int, high: int) -> "DenseCode":
        inside = torch.zeros_like(self.latents[0])
        inside[low:high] = 1
        return DenseCode(self.latents * inside)

    def dense(self) -> Float[Tensor, "row d_dict"]:
        return self.latents

    def entries(self) -> Entries:
        rows, latents = self.latents.nonzero(as_tuple=True)
        return Entries(rows, latents, self.latents[rows, latents])

    def l0(self) -> Int[Tensor, " row"]:
        return (self.latents != 0).sum(-1)

    def firings(self) -> Int[Tensor, " d_dict"]:
        return (self.latents != 0).sum(0)

    def weighted(self, weights: Float[Tensor, " d_dict"]) -> Float[Tensor, ""]:
        return self.latents.sum(0) @ weights


@dataclass(frozen=True, eq=False)
class SparseCode:
    """Activations of the latents that were picked, and where those stand. A value may be 0: that latent is silent."""

    values: Float[Tensor, " n"]
    where: Pattern

    def decode(self, W_dec: Float[Tensor, "d_dict d_out"]) -> Float[Tensor, "row d_out"]:
        return sparse_decode(self.values, W_dec, self.where)

    def band(self, low: int, high: int) -> "SparseCode":
        keep = (self.where.indices >= low) & (self.where.indices < high)
        # how many are kept before each entry, read off where rows begin: where the rows of what is kept begin
        offsets = torch.nn.functional.pad(keep.cumsum(0), (1, 0))[self.where.offsets]
        return SparseCode(self.values[keep], Pattern(self.where.indices[keep], offsets, self.where.d_dict))

    def dense(self) -> Float[Tensor, "row d_dict"]:
        empty = self.values.new_zeros(len(self.where.offsets) - 1, self.where.d_dict)
        return empty.index_put((self.where.rows, self.where.indices), self.values, accumulate=True)

    def entries(self) -> Entries:
        on = self.values != 0
        return Entries(self.where.rows[on], self.where.indices[on], self.values[on])

    def l0(self) -> Int[Tensor, " row"]:
        active = torch.nn.functional.pad((self.values != 0).cumsum(0), (1, 0))  # active ones before each entry
        return active[self.where.offsets].diff()

    def firings(self) -> Int[Tensor, " d_dict"]:
        return torch.bincount(self.where.indices[self.values != 0], minlength=self.where.d_dict)

    def weighted(self, weights: Float[Tensor, " d_dict"]) -> Float[Tensor, ""]:
        return self.values @ weights[self.where.indices]


@dataclass(frozen=True, eq=False)
class JoinedCode:
    """The codes of several dictionaries side by side: the latents of the first, then those of the second, ..."""

    parts: Sequence[Code]

    def decode(self, W_dec: Float[Tensor, "d_dict d_out"]) -> Float[Tensor, "row d_out"]:
        sizes = [len(code.firings()) for code in self.parts]
        return torch.stack([c.decode(W) for c, W in zip(self.parts, W_dec.split(sizes), strict=True)]).sum(0)

    def band(self, low: int, high: int) -> "Code":
        return DenseCode(self.dense()).band(low, high)

    def dense(self) -> Float[Tensor, "row d_dict"]:
        return torch.cat([code.dense() for code in self.parts], 1)

    def entries(self) -> Entries:
        found, first = [], 0
        for code in self.parts:
            rows, latents, values = code.entries()
            found.append((rows, latents + first, values))
            first += len(code.firings())
        rows, latents, values = (torch.cat(column) for column in zip(*found, strict=True))
        order = rows.argsort(stable=True)  # stable: within a row the latents stay in order
        return Entries(rows[order], latents[order], values[order])

    def l0(self) -> Int[Tensor, " row"]:
        return torch.stack([code.l0() for code in self.parts]).sum(0)

    def firings(self) -> Int[Tensor, " d_dict"]:
        return torch.cat([code.firings() for code in self.parts])

    def weighted(self, weights: Float[Tensor, " d_dict"]) -> Float[Tensor, ""]:
        sizes = [len(code.firings()) for code in self.parts]
        return torch.stack([c.weighted(w) for c, w in zip(self.parts, weights.split(sizes), strict=True)]).sum()
