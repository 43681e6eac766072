"""Metrics: known answers, and no dependence on how the data was cut into batches."""

import itertools
import math

import numpy as np
import pytest
import torch
from plain_fvu import FVU, fvu
from torch import Tensor

from probe.errors import BadInput
from probe.evaluation.metrics import Firing, Likeness, ce_recovered, kl_divergences, next_token_losses
from probe.statistics import mean_and_error


def data(n: int = 500, d: int = 6, mean: float = 0.0) -> Tensor:
    return mean + torch.randn(n, d, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mean", [0.0, 300.0])
def test_fvu_of_the_mean_is_one_and_of_the_truth_zero(mean: float) -> None:
    y = data(mean=mean)
    assert fvu(y.double(), y.double().mean(0).expand_as(y)) == pytest.approx(1.0, abs=1e-12)
    assert fvu(y, y) == 0.0


def test_fvu_is_about_the_mean_not_about_zero() -> None:
    y = data(mean=100.0)
    assert fvu(y, torch.zeros_like(y)) > 1000


@pytest.mark.parametrize("split", [1, 7, 64, 499])
def test_fvu_does_not_depend_on_the_split(split: int) -> None:
    y = data(mean=50.0)
    recons = y + 0.3 * data(d=6).flip(0)
    parts = FVU()
    for a, b in zip(y.split(split), recons.split(split), strict=True):
        parts.update(a, b)
    assert parts.value == pytest.approx(fvu(y, recons), rel=1e-12)
    assert parts.n == 500


def test_fvu_of_nothing_or_of_a_constant_is_refused() -> None:
    with pytest.raises(BadInput, match="No tokens"):
        _ = FVU().value
    with pytest.raises(BadInput, match="constant"):
        fvu(torch.ones(5, 2), torch.zeros(5, 2))


def test_firing_counts() -> None:
    latents = torch.tensor([[0.0, 1.0, 2.0, 0.0], [0.0, 0.5, 0.0, 0.0]])
    whole = Firing.of(4).update(latents)
    parts = Firing.of(4).update(latents[:1]).update(latents[1:])
    for firing in (whole, parts):
        assert (firing.l0, firing.dead_share, firing.n) == (1.5, 0.5, 2)
        assert firing.density.tolist() == [0, 1, 0.5, 0]


def test_ce_recovered() -> None:
    assert ce_recovered(3.0, 3.0, 10.0) == 1.0
    assert ce_recovered(3.0, 10.0, 10.0) == 0.0
    assert ce_recovered(3.0, 3.7, 10.0) == pytest.approx(0.9)
    assert math.isnan(ce_recovered(3.0, 3.0, 3.0))


def test_next_token_losses_of_a_uniform_model() -> None:
    losses = next_token_losses(torch.zeros(2, 5, 11), torch.arange(10).view(2, 5))
    assert losses.shape == (2, 4)
    torch.testing.assert_close(losses, torch.full((2, 4), math.log(11)))


def test_mean_and_error_is_the_usual_one_for_groups_of_one() -> None:
    x = np.random.default_rng(0).normal(3, 2, 400)
    mean, error = mean_and_error(x, np.ones(400))
    assert mean == pytest.approx(x.mean())
    assert error == pytest.approx(x.std(ddof=1) / 20)
    assert math.isnan(mean_and_error(x[:1], np.ones(1))[1])


def test_items_of_one_document_do_not_count_as_independent() -> None:
    x = np.random.default_rng(0).normal(3, 2, 40)
    _, alone = mean_and_error(x, np.ones(40))
    _, repeated = mean_and_error(100 * x, 100 * np.ones(40))
    assert repeated == pytest.approx(alone)


def test_explained_variance_of_the_mean_is_zero_and_of_the_truth_one() -> None:
    y = data(mean=7.0).double()
    assert FVU().update(y, y.mean(0).expand_as(y)).explained_variance == pytest.approx(0.0, abs=1e-12)
    assert FVU().update(y, y.clone()).explained_variance == 1.0


@pytest.mark.parametrize("factor", [1.0, 0.5, 3.0])
def test_a_scaled_copy_has_its_factor_as_shrinkage_norm_ratio_and_bias(factor: float) -> None:
    y = data(mean=2.0)
    found = Likeness().update(y, factor * y).value
    assert [found[k] for k in ("shrinkage", "norm_ratio", "relative_bias")] == pytest.approx([factor] * 3, rel=1e-6)
    assert found["cosine"] == pytest.approx(1.0, abs=1e-6)


def test_shrinkage_is_about_the_mean() -> None:
    y = data(mean=100.0).double()
    mean = y.mean(0)
    found = Likeness().update(y, mean + 0.25 * (y - mean)).value
    assert found["shrinkage"] == pytest.approx(0.25, rel=1e-9)
    assert found["norm_ratio"] == pytest.approx(1, abs=0.01)


def test_likeness_of_zeros() -> None:
    y = data()
    nothing = Likeness().update(y, torch.zeros_like(y)).value
    assert (nothing["shrinkage"], nothing["norm_ratio"], nothing["cosine"]) == (pytest.approx(0), 0, 0)
    assert math.isnan(nothing["relative_bias"])
    silent = Likeness().update(torch.zeros(4, 3), torch.ones(4, 3)).value
    assert math.isnan(silent["norm_ratio"]) and math.isnan(silent["shrinkage"])
    with pytest.raises(BadInput, match="No tokens"):
        _ = Likeness().value


@pytest.mark.parametrize("seed", range(8))
def test_no_streaming_metric_depends_on_the_split(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = data(mean=float(rng.choice([0, 5, 300])))
    recons = 0.7 * y + 0.3 * y.roll(1, 0) + 0.1
    latents = (y - y.mean(0)).relu()
    cuts = [0, *sorted(rng.choice(np.arange(1, 500), 6, replace=False)), 500]
    spans = [slice(int(a), int(b)) for a, b in itertools.pairwise(cuts)]
    whole, parts = Likeness().update(y, recons), Likeness()
    fvus, firing = FVU(), Firing.of(6)
    for part in rng.permutation(len(spans)):
        chosen = spans[part]
        parts.update(y[chosen], recons[chosen])
        fvus.update(y[chosen], recons[chosen])
        firing.update(latents[chosen])
    assert fvus.value == pytest.approx(fvu(y, recons), rel=1e-12)
    assert fvus.explained_variance == pytest.approx(1 - fvu(y, recons), abs=1e-12)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    assert (firing.l0, firing.dead_share) == (Firing.of(6).update(latents).l0, 0)
    assert firing.histogram() == Firing.of(6).update(latents).histogram()


def test_density_histogram() -> None:
    latents = torch.zeros(1000, 4)
    latents[:, 0], latents[:100, 1], latents[0, 2] = 1, 1, 1
    found = Firing.of(4).update(latents).histogram(per_decade=1, lowest=-5)
    assert found["edges"] == [-5, -4, -3, -2, -1, 0]
    assert found["counts"] == [0, 0, 1, 0, 2]  # the last bin holds both its edges, 0.1 and 1
    assert (found["dead"], found["tokens"]) == (1, 1000)


def test_kl_is_zero_of_itself_and_what_the_formula_says() -> None:
    logits = data(20, 5).view(4, 5, 5)
    assert kl_divergences(logits, logits + 3).abs().max() < 1e-6
    p, q = logits.double().softmax(-1), torch.full((5,), 0.2, dtype=torch.float64)
    wanted = (p * (p / q).log()).sum(-1)
    torch.testing.assert_close(kl_divergences(logits, torch.zeros_like(logits)).double(), wanted, atol=1e-6, rtol=1e-6)
