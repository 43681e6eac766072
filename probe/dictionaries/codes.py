"""What an encoder hands to a decoder while training: which latents are active, stored densely or sparsely.

Both kinds answer the same four questions, so the trainer and the evaluations never ask which they hold.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.dictionaries.topk import sparse_decode


class Code(Protocol):
    """Latent activations of a batch of rows."""

    def decode(self, W_dec: Float[Tensor, "d_dict d_out"]) -> Float[Tensor, "row d_out"]:
        """`latents @ W_dec`."""
        ...

    def dense(self) -> Float[Tensor, "row d_dict"]:
        """The latents with their zeros."""
        ...

    def l0(self) -> Int[Tensor, " row"]:
        """How many latents are active in each row."""
        ...

    def firings(self) -> Int[Tensor, " d_dict"]:
        """In how many rows each latent is active."""
        ...


@dataclass(frozen=True, eq=False)
class DenseCode:
    """Latents with their zeros, for sparsifiers whose number of active latents is not bounded."""

    latents: Float[Tensor, "row d_dict"]

    def decode(self, W_dec: Float[Tensor, "d_dict d_out"]) -> Float[Tensor, "row d_out"]:
        return self.latents @ W_dec

    def dense(self) -> Float[Tensor, "row d_dict"]:
        return self.latents

    def l0(self) -> Int[Tensor, " row"]:
        return (self.latents != 0).sum(-1)

    def firings(self) -> Int[Tensor, " d_dict"]:
        return (self.latents != 0).sum(0)


@dataclass(frozen=True, eq=False)
class SparseCode:
    """At most k active latents a row: their values and their indices. A stored value may be 0: that latent is silent."""

    values: Float[Tensor, "row k"]
    indices: Int[Tensor, "row k"]
    d_dict: int

    def decode(self, W_dec: Float[Tensor, "d_dict d_out"]) -> Float[Tensor, "row d_out"]:
        return sparse_decode(self.values, self.indices, W_dec)

    def dense(self) -> Float[Tensor, "row d_dict"]:
        return self.values.new_zeros(len(self.values), self.d_dict).scatter_add(1, self.indices, self.values)

    def l0(self) -> Int[Tensor, " row"]:
        return (self.values != 0).sum(-1)

    def firings(self) -> Int[Tensor, " d_dict"]:
        return torch.bincount(self.indices[self.values != 0], minlength=self.d_dict)
