"""The one-pass statistics of units: equal to a dense brute force, wherever the stream is cut, and after going on from a state."""

import numpy as np
import pytest
import torch

from probe.features.effects import decoder_neighbours
from probe.features.measuring.coactivation import coactive, token_means
from probe.features.measuring.config import BINS, FeatureConfig
from probe.features.measuring.draws import mixed, paired
from probe.features.measuring.firing_sample import Sample
from probe.features.measuring.tally import Block, Tally, bins_of, edges
from probe.features.measuring.top_entries import Best
from probe.features.store import FIRST_BIN, LOWEST_GROUP, TOP, example_columns

CONTEXT, ROWS, UNITS = 8, 40, 7
CONFIG = FeatureConfig(top=4, pool=12, bins=3, per_bin=2, window=5, before=3, neighbours=3, min_joint=1, sample=10_000)


def activations(signed: bool = False, seed: int = 0) -> np.ndarray:
    """[token, unit] with many zeros and many equal values; unit 5 is dead, unit 6 fires twice."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-6 if signed else 0, 6, (ROWS * CONTEXT, UNITS)).astype(np.float32) / 4
    values *= rng.random(values.shape) < 0.5
    values[:, 5:] = 0
    values[[13, 77], 6] = [2.5, 0.5]
    return values


def special() -> np.ndarray:
    marks = np.zeros(ROWS * CONTEXT, bool)
    marks[::CONTEXT] = True
    marks[-3:] = True
    return marks


def block(dense: np.ndarray, first_row: int, rows: int) -> Block:
    first, last = first_row * CONTEXT, (first_row + rows) * CONTEXT
    ordinary = np.flatnonzero(~special()[first:last])
    at, units = np.nonzero(dense[first:last][ordinary])
    return Block(first, last, first + ordinary, at, units, dense[first:last][ordinary][at, units])


def tally(dense: np.ndarray, cuts: list[int], signed: bool = False, config: FeatureConfig = CONFIG) -> Tally:
    """Count everything, in blocks that end after the rows in `cuts`."""
    counted = Tally(UNITS, CONTEXT, config, signed)
    for start, end in zip([0, *cuts], [*cuts, ROWS], strict=True):
        counted.add(block(dense, start, end - start))
    return counted


def same(one: Tally, other: Tally) -> bool:
    a, b = one.state(), other.state()
    ranked = [np.array_equal(one.best[n].ranked_windows(), other.best[n].ranked_windows()) for n in one.best]
    places = ("slots", "windows")  # where a window is put may differ, not what is found there
    return all(ranked) and all(a[k].tobytes() == b[k].tobytes() for k in a if k.split(".")[-1] not in places)


def brute_top(dense: np.ndarray, unit: int, n: int, sign: int = 1) -> list[tuple[int, float]]:
    """The best token of each row, then the n best rows; ties to the earlier token."""
    values = np.where(special(), 0, sign * dense[:, unit]).reshape(ROWS, CONTEXT)
    peaks = values.argmax(1) + np.arange(ROWS) * CONTEXT
    order = sorted(peaks.tolist(), key=lambda t: (-values.reshape(-1)[t], t))
    return [(t, sign * float(values.reshape(-1)[t])) for t in order[:n] if values.reshape(-1)[t] > 0]


@pytest.mark.parametrize("signed", [False, True])
def test_counts_and_top_examples_equal_brute_force(signed: bool) -> None:
    dense, found = activations(signed), tally(activations(signed), [3, 4, 20], signed)
    ordinary = dense[~special()]
    assert found.n_tokens == len(ordinary)
    assert found.fired.tolist() == (ordinary > 0).sum(0).tolist()
    assert np.allclose(found.total, np.where(ordinary > 0, ordinary, 0).astype(float).sum(0))
    alive = (ordinary != 0).any(0)
    assert np.array_equal(found.max[alive], np.where(ordinary == 0, -np.inf, ordinary).max(0)[alive].astype(np.float32))
    assert found.histogram.sum(1).tolist() == (ordinary != 0).sum(0).tolist()
    for name, sign in {"top": 1, "lowest": -1}.items():
        for unit in range(UNITS) if name in found.best else ():
            best, wanted = found.best[name], brute_top(dense, unit, CONFIG.top, sign)
            kept = best.tokens[unit] >= 0
            assert list(zip(best.tokens[unit][kept].tolist(), best.values[unit][kept].tolist(), strict=True)) == wanted


def test_windows_lie_in_their_row_and_hold_the_units_own_activations() -> None:
    dense, found = activations(), tally(activations(), [1, 2, 3, 30])
    visible = np.where(special()[:, None], 0, dense)
    for best in found.best.values():
        windows = best.ranked_windows()
        for unit, rank in np.argwhere(best.tokens >= 0):
            token = best.tokens[unit, rank]
            start = int(found.starts(best.tokens[unit, rank : rank + 1])[0])
            assert token // CONTEXT == start // CONTEXT == (start + found.window - 1) // CONTEXT
            assert np.array_equal(windows[unit, rank], visible[start : start + found.window, unit])


@pytest.mark.parametrize("cuts", [[], [1], list(range(1, ROWS)), [5, 6, 39]])
@pytest.mark.parametrize("signed", [False, True])
def test_the_cut_changes_no_bit(cuts: list[int], signed: bool) -> None:
    dense = activations(signed)
    assert same(tally(dense, [13, 14], signed), tally(dense, cuts, signed))


def test_going_on_from_a_state_changes_no_bit() -> None:
    dense, whole = activations(), tally(activations(), [10, 20])
    begun, after = Tally(UNITS, CONTEXT, CONFIG, False), Tally(UNITS, CONTEXT, CONFIG, False)
    begun.add(block(dense, 0, 10))
    after.restore({k: v.copy() for k, v in begun.state().items()})
    after.add(block(dense, 10, 10))
    after.add(block(dense, 20, ROWS - 20))
    assert all(whole.state()[k].tobytes() == v.tobytes() for k, v in after.state().items())


def test_a_dead_unit_leaves_nothing() -> None:
    found = tally(activations(), [7])
    assert found.fired[5] == 0 and found.histogram[5].sum() == 0
    assert all((best.tokens[5] == -1).all() and (best.scores[5] == 0).all() for best in found.best.values())


def test_random_entries_keep_the_best_with_ties_to_the_earlier_token() -> None:
    rng = np.random.default_rng(1)
    best, seen = Best(50, 6, 1), []
    for first in range(0, 3000, 300):
        tokens = np.sort(rng.integers(first, first + 300, 400))
        units, values = rng.integers(0, 50, 400), rng.integers(-2, 6, 400).astype(np.float32)
        _, once = np.unique(tokens * 50 + units, return_index=True)
        units, tokens, values = units[once], tokens[once], values[once]
        best.offer(units, values, tokens, values, lambda t, u: (t * 100 + u)[:, None].astype(np.float32))
        seen += list(zip(units.tolist(), values.tolist(), tokens.tolist(), strict=True))
    for unit in range(50):
        wanted = sorted((-v, t) for u, v, t in seen if u == unit and v > 0)[:6]
        assert [(-v, t) for v, t in zip(best.values[unit].tolist(), best.tokens[unit].tolist(), strict=True)] == wanted
        assert best.ranked_windows()[unit, :, 0].tolist() == [t * 100 + unit for _, t in wanted]


@pytest.mark.parametrize("signed", [False, True])
def test_histogram_bins_are_where_the_edges_say(signed: bool) -> None:
    values = np.random.default_rng(0).lognormal(0, 2, 2000).astype(np.float32)
    values = np.r_[values, np.float32([1.0, 1.25, 2.0, 4095.0])]
    values = np.r_[values, -values] if signed else values
    bins, limits = bins_of(values, signed), edges(signed)
    assert len(limits) == (2 if signed else 1) * BINS + 1 and (np.diff(limits) > 0).all()
    low, high = limits[bins], limits[bins + 1]
    assert ((values >= low) & (values <= high)).all()
    assert (values[values > 0] < high[values > 0]).all()
    assert bins_of(np.float32([1e-9, 1e9]), False).tolist() == [0, BINS - 1]


def test_examples_over_the_range_are_drawn_evenly_and_grouped() -> None:
    columns = example_columns(tally(activations(), [11]))
    start, end = columns["offsets"][0:2]
    group, value = columns["group"][start:end], columns["value"][start:end]
    assert (np.diff(group.astype(int)) >= 0).all() and LOWEST_GROUP not in group
    means = [value[group == FIRST_BIN + b].mean() for b in range(CONFIG.bins)]
    assert means == sorted(means)
    assert [(group == FIRST_BIN + b).sum() for b in range(CONFIG.bins)] == [CONFIG.per_bin] * CONFIG.bins
    assert columns["offsets"][5] == columns["offsets"][6]  # dead
    start, end = columns["offsets"][6:8]
    assert columns["peak"][start:end][columns["group"][start:end] == TOP].tolist() == [13, 77]


def test_draws_are_uniform_and_differ_between_units_and_seeds() -> None:
    tokens, units = mixed(np.arange(20_000), 0, 2), mixed(np.arange(2), 0, 1)
    one, other = (paired(tokens, np.full(20_000, u)) for u in units)
    for draws in (one, other):
        assert abs(draws.mean() - 0.5) < 0.01 and abs(np.mean(draws < 0.1) - 0.1) < 0.01
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.03
    assert not np.array_equal(tokens, mixed(np.arange(20_000), 1, 2))


def test_the_pool_is_a_fair_sample_of_the_firings() -> None:
    """Over many units with the same activations, every firing is drawn about equally often."""
    dense = np.repeat(np.arange(1.0, 65.0, dtype=np.float32)[:, None], 400, 1)
    at, units = np.nonzero(dense)
    counted = Tally(400, CONTEXT, CONFIG, False)
    counted.add(Block(0, 64, np.arange(64), at, units, dense[at, units]))
    times = np.bincount(counted.best["pool"].tokens.reshape(-1), minlength=64)
    expected = 400 * CONFIG.pool / 64
    assert times.sum() == 400 * CONFIG.pool and abs(times - expected).max() < 4.5 * np.sqrt(expected)


def test_sample_halves_until_it_fits_whatever_the_order_of_work() -> None:
    dense = activations()
    config = FeatureConfig(top=2, pool=6, bins=3, per_bin=2, window=5, before=3, sample=60)
    found = [tally(dense, cuts, config=config).sample for cuts in ([], [3], list(range(1, ROWS)))]
    matrices = [s.matrix(UNITS).toarray() for s in found]
    assert 0 < found[0].halvings == found[1].halvings == found[2].halvings
    assert len(matrices[0][matrices[0] > 0]) <= 60
    assert np.array_equal(matrices[0], matrices[1]) and np.array_equal(matrices[0], matrices[2])
    assert np.array_equal(matrices[0], dense[found[0].tokens])


@pytest.mark.parametrize("dense_share", [0.0, 2.0])
def test_coactivation_equals_counting_pairs(dense_share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.features.measuring.coactivation.DENSE", dense_share)
    monkeypatch.setattr("probe.features.effects.CELLS", 3 * UNITS)
    on = activations()[~special()] > 0
    joint = on.T.astype(int) @ on.astype(int)
    found, both, fired = coactive(tally(activations(), [9]).sample, UNITS, 3, 1)
    assert fired.tolist() == on.sum(0).tolist()
    for unit in range(UNITS):
        others = found.which[unit][found.which[unit] >= 0]
        cosine = joint[unit] / np.sqrt(np.maximum(on.sum(0), 1) * max(on.sum(0)[unit], 1))
        cosine[unit] = 0
        wanted = np.sort(cosine[cosine > 0])[::-1][:3]
        assert np.allclose(found.score[unit][: len(wanted)], wanted, atol=1e-6)
        assert both[unit][: len(others)].tolist() == joint[unit][others].tolist()
        assert unit not in others
    assert (found.which[5] == -1).all()  # dead
    assert (coactive(tally(activations(), [9]).sample, UNITS, 3, 10_000)[0].which == -1).all()


def test_token_means_equal_averaging_over_occurrences() -> None:
    dense, ids = activations(), np.random.default_rng(2).integers(0, 12, ROWS * CONTEXT)
    ids[0] = 999  # special, so never measured
    found, counts = token_means(tally(dense, [4]).sample, ids, UNITS, 5, 2)
    ordinary = ~special()
    for unit in range(UNITS):
        means = {t: dense[ordinary & (ids == t), unit].mean() for t in range(12)}
        wanted = sorted((m for m in means.values() if m > 0), reverse=True)[:5]
        kept = found.which[unit][found.which[unit] >= 0]
        assert np.allclose(found.score[unit][: len(wanted)], wanted, atol=1e-6)
        assert np.allclose([means[t] for t in kept], wanted, atol=1e-6)
        assert counts[unit][: len(kept)].tolist() == [(ordinary & (ids == t)).sum() for t in kept]


def test_a_token_that_is_too_rare_is_not_ranked() -> None:
    sample = Sample(100, 0)
    sample.add(np.arange(4), np.array([0, 1]), np.array([0, 0]), np.float32([9.0, 1.0]))
    found, counts = token_means(sample, np.array([7, 8, 8, 8]), 1, 3, 2)
    assert found.which.tolist() == [[8]] and counts.tolist() == [[3]] and found.score[0, 0] == pytest.approx(1 / 3)


def test_neighbours_do_not_depend_on_blocks() -> None:
    rows = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
    rows[4] = 3 * rows[9]
    whole = decoder_neighbours(rows, 4)
    parts = decoder_neighbours(rows, 4, block=lambda n, width: [slice(i, min(i + 7, n)) for i in range(0, n, 7)])
    assert np.array_equal(whole.which, parts.which)
    assert whole.which[4, 0] == 9 and whole.score[4, 0] == pytest.approx(1)
    cosine = torch.nn.functional.cosine_similarity(rows[:, None], rows[None], dim=-1).fill_diagonal_(-1)
    assert np.allclose(whole.score, cosine.topk(4).values, atol=1e-5)
