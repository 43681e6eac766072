"""Encoding and decoding that touch only the active latents of each row, forward and backward.

With k of d_dict latents active, every product except the encoder's own matmul is sparse. A `Pattern` says where the active
latents stand; four words say all that is done with one (`rows` has one row per token, `table` one row per latent, `weights`
one number per active latent, e runs over the active latents of token t):

    bag(table, weights)[t]      = sum_e weights[e] * table[latent(e)]                        (decode)
    dots(rows, table)[e]        = rows[t] . table[latent(e)]                                 (gradient of a latent)
    scatter(rows, weights)[f]   = sum of weights[e] * rows[row(e)] where latent(e) = f       (gradient of a weight)
    total(weights)[f]           = sum of weights[e] where latent(e) = f                      (gradient of a bias)

Which latents are active is a rule's affair (see `select`); a latent that was not picked gets no gradient. Gradients equal
those of dense autograd up to the order of summation.

Why this way: at 576 -> 4,608, k 32, batch 4,096 on two cores the encoder matmul takes 110 ms and each of its dense
companions as long again; `bag` 20 ms, `dots` by a sampled matmul 10 ms (a gather and a batched matmul 170), `scatter` as a
bag over the sorted transpose 10 ms (CSR matmul 70, index_add 160).
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function

CHUNK = 512
"Rows encoded at a time on a CPU."

Chunks = Callable[[], Iterator[Tensor]]
"Gives the pre-activations [row, d_dict] of a batch, a few rows at a time, from the start each time it is called."


class Picked(NamedTuple):
    """Some pre-activations of a batch, ordered by row: their values, their latents, and where each row begins (and the end)."""

    values: Float[Tensor, " n"]
    indices: Int[Tensor, " n"]
    offsets: Int[Tensor, " row_plus_1"]


Select = Callable[[Chunks], Picked]
"A rule that picks the pre-activations which may be active."


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where the active latents of a batch stand: entry e is latent indices[e]; row t owns offsets[t] to offsets[t + 1]."""

    indices: Int[Tensor, " n"]
    offsets: Int[Tensor, " row_plus_1"]
    d_dict: int

    @cached_property
    def rows(self) -> Int[Tensor, " n"]:
        """The row of each entry."""
        counts = self.offsets.diff()
        return torch.arange(len(counts), device=counts.device).repeat_interleave(counts, output_size=len(self.indices))

    @cached_property
    def _by_latent(self) -> tuple[Tensor, Tensor]:
        """The entries ordered by latent (stable, so sums are taken in one order), and where each latent begins."""
        order = self.indices.to(torch.int32).argsort(stable=True)  # int32 sorts twice as fast
        ends = torch.bincount(self.indices, minlength=self.d_dict).cumsum(0)
        return order, F.pad(ends, (1, 0))

    def bag(self, table: Float[Tensor, "d_dict width"], weights: Float[Tensor, " n"]) -> Float[Tensor, "row width"]:
        """For each row the weighted sum of the rows of `table` it names."""
        return _bag(table, self.indices, self.offsets, weights)

    def dots(self, rows: Float[Tensor, "row width"], table: Float[Tensor, "d_dict width"]) -> Float[Tensor, " n"]:
        """Inner product of each row with the rows of `table` it names."""
        _silence_beta_warning()
        nothing = torch.zeros(len(self.indices), dtype=rows.dtype, device=rows.device)
        shape = (len(rows), len(table))
        where = torch.sparse_csr_tensor(self.offsets, self.indices, nothing, shape, check_invariants=False)
        return torch.sparse.sampled_addmm(where, rows, table.t(), beta=0.0).values()

    def scatter(self, rows: Float[Tensor, "row width"], weights: Float[Tensor, " n"]) -> Float[Tensor, "d_dict width"]:
        """The transpose of `bag`: each latent collects the rows that named it."""
        order, starts = self._by_latent
        return _bag(rows, self.rows[order], starts, weights[order])

    def total(self, weights: Float[Tensor, " n"]) -> Float[Tensor, " d_dict"]:
        """Each latent's sum."""
        return weights.new_zeros(self.d_dict).index_add_(0, self.indices, weights)


def _bag(table: Tensor, indices: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    return F.embedding_bag(indices, table, offsets, mode="sum", per_sample_weights=weights, include_last_offset=True)


@cache
def _silence_beta_warning() -> None:
    """Torch says once per process that CSR is in beta; say it here, to nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start, one = torch.tensor([0, 1]), torch.tensor([0])
        torch.sparse_csr_tensor(start, one, torch.zeros(1), (1, 1), check_invariants=False)


class _PreActs(Function):
    """values[e] = x[row(e)] . W_enc[:, latent(e)] + b_enc[latent(e)], already computed by whoever picked them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, W_enc: Tensor, b_enc: Tensor, values: Tensor, where: Pattern) -> Tensor:
        ctx.save_for_backward(x, W_enc)
        ctx.where = where
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        (x, W_enc), where, grad = ctx.saved_tensors, ctx.where, grads[0].contiguous()
        # values[e] = x[row] . W_enc[:, latent] + b_enc[latent]; each gradient is one of the four words of this file
        d_x = where.bag(W_enc.t().contiguous(), grad) if ctx.needs_input_grad[0] else None
        return d_x, where.scatter(x, grad).t(), where.total(grad), None, None


class _Decode(Function):
    """recons = sum of the active latents' decoder rows."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, W_dec: Tensor, where: Pattern) -> Tensor:
        ctx.save_for_backward(values, W_dec)
        ctx.where = where
        return where.bag(W_dec, values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (values, W_dec), where, grad = ctx.saved_tensors, ctx.where, grads[0].contiguous()
        d_values = where.dots(grad, W_dec) if ctx.needs_input_grad[0] else None
        d_W_dec = where.scatter(grad, values) if ctx.needs_input_grad[1] else None
        return d_values, d_W_dec, None


def sparse_pre_acts(
    x: Float[Tensor, "row d_in"], W_enc: Float[Tensor, "d_in d_dict"], b_enc: Float[Tensor, " d_dict"], select: Select
) -> tuple[Float[Tensor, " n"], Pattern]:
    """The pre-activations that `select` picks, and where they stand. On a CPU a few rows at a time: they are searched while
    the cache still holds them, and the (row, d_dict) matrix is never in memory whole."""

    def chunks() -> Iterator[Tensor]:
        for rows in x.split(len(x) if x.is_cuda else CHUNK):
            yield torch.addmm(b_enc, rows, W_enc).to(x.dtype)  # autocast may have made it bfloat16

    with torch.no_grad():
        values, indices, offsets = select(chunks)
    where = Pattern(indices, offsets, W_enc.shape[1])
    return _PreActs.apply(x, W_enc, b_enc, values, where), where  # type: ignore[return-value]


def sparse_decode(
    values: Float[Tensor, " n"], W_dec: Float[Tensor, "d_dict d_out"], where: Pattern
) -> Float[Tensor, "row d_out"]:
    """What the active latents write: `latents @ W_dec` without the zeros."""
    return _Decode.apply(values, W_dec, where)  # type: ignore[return-value]
