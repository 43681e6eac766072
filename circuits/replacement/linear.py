"""Norms and attention at frozen divisors and patterns: linear maps of the residual stream and their transposes."""

from dataclasses import dataclass, replace

import torch
from einops import einsum
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class FrozenNorm:
    """A norm at fixed divisor: y = (x - mean(x) if centred) / scale * weight + bias."""

    weight: Float[Tensor, " d_model"]
    bias: Float[Tensor, " d_model"]
    scale: Float[Tensor, "pos 1"]
    centred: bool

    def forward(self, x: Float[Tensor, "... pos d_model"]) -> Float[Tensor, "... pos d_model"]:
        """The linear part, without the bias."""
        return (x - x.mean(-1, keepdim=True) if self.centred else x) / self.scale * self.weight

    def adjoint(self, g: Float[Tensor, "... pos d_model"]) -> Float[Tensor, "... pos d_model"]:
        """Transpose of `forward`, on the first positions of the prompt."""
        back = g * (self.weight / self.scale[: g.shape[-2]])
        return back - back.mean(-1, keepdim=True) if self.centred else back

    def adjoint_at(self, g: Float[Tensor, "row d_model"], pos: Int[Tensor, " row"]) -> Float[Tensor, "row d_model"]:
        """Transpose of `forward` for rows that each sit at one position."""
        back = g * self.weight / self.scale[pos]
        return back - back.mean(-1, keepdim=True) if self.centred else back


@dataclass(frozen=True)
class FrozenAttention:
    """Attention at fixed pattern: out[q] = sum over heads and k of pattern[q, k] x[k] W_V W_O, plus `bias`.

    bias holds b_O, b_V W_O and the preceding norm's bias sent through W_V W_O: pattern rows sum to 1, so none needs the pattern.
    """

    pattern: Float[Tensor, "head q_pos k_pos"]
    W_V: Float[Tensor, "kv_head d_model d_head"]
    W_O: Float[Tensor, "head d_head d_model"]
    bias: Float[Tensor, " d_model"]

    @property
    def group(self) -> int:
        """Heads that share one value head."""
        return self.W_O.shape[0] // self.W_V.shape[0]

    def mixed(self, x: Float[Tensor, "pos d_model"]) -> Float[Tensor, "head q_pos d_head"]:
        """What each head has gathered from x before its output matrix, biases apart."""
        v = einsum(x, self.W_V, "k_pos d_model, kv_head d_model d_head -> kv_head k_pos d_head").repeat_interleave(
            self.group, 0
        )
        return torch.matmul(self.pattern, v)

    def forward(self, x: Float[Tensor, "pos d_model"]) -> Float[Tensor, "pos d_model"]:
        """The linear part."""
        return einsum(self.mixed(x), self.W_O, "head q_pos d_head, head d_head d_model -> q_pos d_model")

    def adjoint(self, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """Transpose of `forward`, on the first positions of the prompt.

        Three matrix products a layer: into the heads, back along the pattern, out of the heads. The pattern is never repeated for
        each row, and heads that share a value are added up within one product, their queries side by side.
        """
        rows, length, d_model = g.shape
        heads, d_head, _ = self.W_O.shape
        kv = self.W_V.shape[0]
        z = (g.reshape(-1, d_model) @ self.W_O.reshape(heads * d_head, d_model).T).view(rows, length, heads, d_head)
        queries = z.permute(2, 1, 0, 3).reshape(kv, self.group * length, rows * d_head)
        pattern = self.pattern[:, :length, :length].transpose(1, 2).reshape(kv, self.group, length, length)
        v = torch.bmm(pattern.permute(0, 2, 1, 3).reshape(kv, length, -1), queries)  # kv_head k_pos (row d_head)
        shared = v.view(kv, length, rows, d_head).permute(2, 1, 0, 3).reshape(-1, kv * d_head)
        return (shared @ self.W_V.transpose(1, 2).reshape(kv * d_head, d_model)).view(rows, length, d_model)

    def without(self, taken: Bool[Tensor, "head q_pos"]) -> "FrozenAttention":
        """The same with the outputs of some heads at some positions left out: those are nodes of their own."""
        return replace(self, pattern=self.pattern * ~taken[:, :, None])

    def head_readers(self, g: Float[Tensor, "row d_model"], head: Int[Tensor, " row"]) -> Float[Tensor, "row d_model"]:
        """W_V W_O g of one head per row: what that head reads at each key, before the pattern weighs the keys."""
        z = einsum(g, self.W_O[head], "row d_model, row d_head d_model -> row d_head")
        return einsum(z, self.W_V[head // self.group], "row d_head, row d_model d_head -> row d_model")
