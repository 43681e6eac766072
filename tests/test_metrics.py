"""Metrics: known answers, and no dependence on how the data was cut into batches."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from probe.errors import BadInput
from probe.metrics import FVU, Firing, ce_recovered, fvu, mean_and_error, next_token_losses


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
