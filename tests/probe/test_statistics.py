"""Rank correlations: against scipy, ties and constants included; what chance does is a p of its own."""

import numpy as np
import pytest

from probe.statistics import rank_correlation


def test_the_rank_correlation_is_scipys_with_ties():
    spearman = pytest.importorskip("scipy.stats").spearmanr
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, 12).astype(float), rng.normal(size=12)
    found = rank_correlation(x, y, draws=400)
    assert found.rho == pytest.approx(spearman(x, y).statistic) and found.n == 12
    assert found.low < found.rho < found.high and found.chance_low < 0 < found.chance_high
    assert found.p == pytest.approx(spearman(x, y).pvalue, abs=0.08)


def test_a_perfect_order_is_rare_by_chance_and_a_constant_has_none():
    found = rank_correlation(np.arange(8.0), np.arange(8.0) ** 3, draws=300)
    assert found.rho == pytest.approx(1) and found.p < 0.02 and found.low == pytest.approx(1)
    assert rank_correlation(np.r_[np.arange(3.0), np.nan], -np.arange(4.0)).n == 3
    assert np.isnan(rank_correlation(np.ones(5), np.arange(5.0)).rho)
    assert rank_correlation(np.ones(5), np.arange(5.0)).to_dict()["p"] is None
