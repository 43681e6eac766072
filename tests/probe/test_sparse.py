"""Sparse products, and the rules that pick active latents, against their dense formulas."""

import pytest
import torch
from torch import Tensor

from probe.dictionaries import BatchTopK, JumpReLU, SparseCode, TopK
from probe.dictionaries.sparsifiers.select import above, largest, largest_of_batch, largest_of_rows
from probe.dictionaries.sparsifiers.sparse import Pattern, sparse_decode, sparse_pre_acts

D_IN, D_DICT, ROWS = 12, 40, 33


def rows(n: int = ROWS, width: int = D_IN, seed: int = 0) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def chunked(pre: Tensor, size: int = 7):
    return lambda: iter(pre.split(size))


def ragged(seed: int = 0) -> tuple[Pattern, Tensor]:
    """A pattern with a different number of entries in each row (none in some), and its 0-1 matrix."""
    on = torch.rand(ROWS, D_DICT, generator=torch.Generator().manual_seed(seed)) < 0.1
    on[3] = False
    offsets = torch.nn.functional.pad(on.sum(1).cumsum(0), (1, 0))
    return Pattern(on.nonzero()[:, 1], offsets, D_DICT), on.double()


def test_the_four_sparse_products_mean_what_their_formulas_say() -> None:
    where, on = ragged()
    table, x, weights = rows(D_DICT, 6, 1), rows(ROWS, 6, 2), rows(1, len(where.indices), 3)[0]
    dense = torch.zeros(ROWS, D_DICT, dtype=torch.float64).index_put((where.rows, where.indices), weights)
    torch.testing.assert_close(where.bag(table, weights), dense @ table)
    torch.testing.assert_close(where.dots(x, table), (x @ table.T)[on.bool()])
    torch.testing.assert_close(where.scatter(x, weights), dense.T @ x)
    torch.testing.assert_close(where.total(weights), dense.sum(0))


@pytest.mark.parametrize("rule", ["rows", "batch", "above"])
def test_sparse_gradients_pass_a_numerical_check(rule: str) -> None:
    select = {"rows": largest_of_rows(3), "batch": largest_of_batch(3), "above": above(0.3)}[rule]
    x, W_enc, b_enc, W_dec = rows(4, 3), rows(3, 8, 1), rows(1, 8, 2)[0], rows(8, 2, 3)

    def recons(*weights: Tensor) -> Tensor:
        values, where = sparse_pre_acts(weights[0], weights[1], weights[2], select)
        return sparse_decode(values.relu(), weights[3], where)

    assert torch.autograd.gradcheck(recons, [w.requires_grad_() for w in (x, W_enc, b_enc, W_dec)])


@pytest.mark.parametrize(("d_dict", "k"), [(640, 16), (640, 3), (641, 3), (40, 5)])
def test_block_search_finds_the_largest(d_dict: int, k: int) -> None:
    pre = torch.randn(50, d_dict, generator=torch.Generator().manual_seed(d_dict))
    pre[0], pre[1, ::2] = 1.0, pre[1, 0]  # ties
    values, indices = largest(pre, k)
    assert torch.equal(values.sort(descending=True).values, pre.topk(k).values)
    assert torch.equal(pre.gather(1, indices), values)
    assert all(len(set(row.tolist())) == k for row in indices)


@pytest.mark.parametrize("case", ["even", "one_row_has_all", "first_chunk_is_high", "few_positive", "none_positive"])
def test_threshold_search_finds_the_batchs_largest(case: str) -> None:
    pre = torch.randn(700, 64, generator=torch.Generator().manual_seed(3))
    if case == "one_row_has_all":
        pre[5] += 50
    elif case == "first_chunk_is_high":  # the guess from it is far too high
        pre[:100] += 100
    elif case == "few_positive":
        pre -= 3.5
    elif case == "none_positive":
        pre -= 100
    n = 8 * len(pre)
    values, indices, offsets = largest_of_batch(8)(chunked(pre, 100))
    flat = pre.flatten()
    wanted = (flat * (flat > 0)).topk(n).values
    assert torch.equal(values.sort(descending=True).values, wanted[wanted > 0])
    row_of = Pattern(indices, offsets, 64).rows
    assert torch.equal(pre[row_of, indices], values)


def test_ties_at_the_threshold_are_kept() -> None:
    values, _, offsets = largest_of_batch(2)(chunked(torch.ones(4, 5)))
    assert len(values) == 20
    assert offsets.tolist() == [0, 5, 10, 15, 20]


def test_above_finds_what_exceeds_each_latents_threshold() -> None:
    pre, threshold = torch.randn(20, 9), torch.linspace(-1, 1, 9)
    values, indices, offsets = above(threshold)(chunked(pre))
    on = pre > threshold
    assert torch.equal(values, pre[on])
    assert torch.equal(indices, on.nonzero()[:, 1])
    assert torch.equal(offsets.diff(), on.sum(1))


@pytest.mark.parametrize("rule", [TopK(5), BatchTopK(5), JumpReLU(5)], ids=lambda r: r.name)
def test_encoding_does_not_depend_on_the_chunks(rule, monkeypatch: pytest.MonkeyPatch) -> None:
    x, W_enc, b_enc = rows(90, D_IN), rows(D_IN, 320, 1), rows(1, 320, 2)[0]
    rule.double().bind(320)
    codes = []
    for size in (7, 1000):
        monkeypatch.setattr("probe.dictionaries.sparsifiers.sparse.CHUNK", size)
        codes.append(rule.code(x, W_enc, b_enc).dense())
    torch.testing.assert_close(*codes)


def test_code_answers_agree_with_its_dense_form() -> None:
    where, _ = ragged(1)
    values = rows(1, len(where.indices), 4)[0].relu()
    code = SparseCode(values, where)
    dense = code.dense()
    assert torch.equal(code.l0(), (dense != 0).sum(1))
    assert torch.equal(code.firings(), (dense != 0).sum(0))
    found = code.entries()
    assert torch.equal(dense[found.rows, found.latents], found.values)
    assert len(found.values) == int((dense != 0).sum())
    band = dense.clone()
    band[:, :10] = band[:, 25:] = 0
    assert torch.equal(code.band(10, 25).dense(), band)
    weights = rows(1, D_DICT, 6)[0]
    torch.testing.assert_close(code.weighted(weights), (dense @ weights).sum())
