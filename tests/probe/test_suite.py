"""The suite's measures on planted data: what was put in is found, what was not is not."""

import numpy as np
import pytest
import scipy.sparse as sp

from probe.evaluation.suite.absorption import absorption, as_sparse
from probe.evaluation.suite.probing import LEAST, probe_task, ranked, split_by_group
from probe.evaluation.suite.spelling import LetterProbe, f_one, letter_probe
from probe.evaluation.suite.splitting import best_cut, main_latents

N, GROUPS = 800, 40


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sparse noise latents, labels, and groups that share nothing with them."""
    rng = np.random.default_rng(seed)
    latents = rng.exponential(1, (N, 50)) * (rng.random((N, 50)) < 0.1)
    return latents, rng.random(N) < 0.3, rng.integers(0, GROUPS, N)


def test_a_separating_latent_is_found_and_probed_perfectly() -> None:
    latents, labels, groups = planted()
    latents[:, 7] = labels * 2.0
    assert ranked(latents, labels, 3)[0] == 7
    assert probe_task(sp.csr_matrix(latents), labels, groups) == dict.fromkeys((1, 2, 5, 16), (1.0, 0.0))


def test_noise_is_at_chance() -> None:
    latents, labels, groups = planted()
    for mean, error in probe_task(sp.csr_matrix(latents), labels, groups, seeds=range(8)).values():
        assert abs(mean - 0.5) < 0.06 and 0 < error < 0.05


def test_sparse_and_dense_give_the_same() -> None:
    latents, labels, groups = planted()
    latents[:, 3] += 0.5 * labels
    assert probe_task(sp.csr_matrix(latents), labels, groups, (1, 5, 0)) == probe_task(
        latents, labels, groups, (1, 5, 0)
    )


def test_two_latents_need_two() -> None:
    latents, _, groups = planted()
    rng = np.random.default_rng(1)
    half, labels = rng.random(N) < 0.5, rng.random(N) < 0.5
    latents[:, 4], latents[:, 5] = labels & half, labels & ~half
    found = probe_task(latents, labels, groups)
    assert found[1][0] < 0.85 and found[2][0] == 1


def test_splits_keep_groups_apart_and_classes_equal() -> None:
    _, labels, groups = planted()
    for seed in range(5):
        split = split_by_group(labels, groups, seed, per_class=60)
        assert split is not None and not set(groups[split.train]) & set(groups[split.test])
        assert labels[split.train].mean() == labels[split.test].mean() == 0.5
        assert len(split.train) == 120
    assert split_by_group(labels[: LEAST // 4], groups[: LEAST // 4], 0) is None
    assert probe_task(np.zeros((8, 3)), labels[:8], groups[:8]) == {}


def test_f1_and_its_best_threshold() -> None:
    truth = np.array([1, 1, 0, 1, 0, 0], bool)
    assert f_one(truth, truth) == 1 and f_one(~truth, truth) == 0
    assert best_cut(np.array([6.0, 5, 4, 3, 2, 1]), truth) == 3  # 3 right of 4 guesses: F1 6/7
    assert best_cut(np.ones(6), truth) == 1


LETTERS = ["a", "b", "c", "d"]
WORDS, WIDTH = 240, 60


class Planted:
    """Words as sums of a letter's direction and their own. Latents 0 to 3 are the letters', then come the words'.

    absorbed: of these words the letter's latent stays silent, and their own latent writes the letter's direction too.
    """

    def __init__(self, absorbed: int = 0, split: int = 1, seed: int = 0):
        rng = np.random.default_rng(seed)
        basis = np.linalg.qr(rng.normal(size=(4 + WORDS, 4 + WORDS)))[0]
        self.letter = np.arange(WORDS) % 4
        self.test = rng.random(WORDS) < 0.4
        of_letter = basis[:4][self.letter]
        self.targets = 3 * of_letter + basis[4:]
        latents = np.zeros((WORDS, 4 * split + WORDS))
        which = self.letter * split + rng.integers(0, split, WORDS)
        latents[np.arange(WORDS), which] = 3
        latents[np.arange(WORDS), 4 * split + np.arange(WORDS)] = 1
        self.written = np.concatenate([np.repeat(basis[:4], split, 0), basis[4:]])
        self.taken = np.flatnonzero(self.test & (self.letter == 0))[:absorbed]
        latents[self.taken, which[self.taken]] = 0
        self.written[4 * split + self.taken] += 3 * basis[0]
        self.latents = as_sparse(latents)
        assert np.allclose(latents @ self.written, self.targets)
        self.probe = LetterProbe(basis[:4], np.ones(WORDS, bool), 1.0)

    def results(self):
        return absorption(self.latents, self.written, self.targets, self.probe, self.letter, LETTERS, self.test)


def test_without_planted_absorption_there_is_none() -> None:
    for one in Planted().results():
        assert (one.fraction, one.full, one.f1, len(one.latents)) == (0, 0, 1, 1)


def test_planted_absorption_is_found_where_it_is() -> None:
    world = Planted(absorbed=9)
    first, *others = world.results()
    n = int((world.test & (world.letter == 0)).sum())
    assert first.n == n
    assert first.full == pytest.approx(9 / n) and first.fraction == pytest.approx(9 / n)
    assert first.latents == [0] and first.f1 < 1
    assert all(one.fraction == one.full == 0 for one in others)


def test_half_absorption_is_a_fraction_and_not_full() -> None:
    world = Planted(absorbed=9)
    latents = world.latents.toarray()
    latents[world.taken, 0] = 1.5  # the letter's latent writes half, the word's own the other half
    world.written[4 + world.taken] -= 1.5 * world.probe.directions[0]
    world.latents = as_sparse(latents)
    first = world.results()[0]
    assert first.full == 0 and first.fraction == pytest.approx(0.5 * 9 / first.n)


def test_a_probe_that_is_wrong_about_a_word_leaves_it_out() -> None:
    world = Planted(absorbed=9)
    right = np.ones(WORDS, bool)
    right[world.taken] = False
    world.probe = LetterProbe(world.probe.directions, right, 1.0)
    assert world.results()[0].full == 0


@pytest.mark.parametrize("split", [1, 2, 3])
def test_a_letter_split_over_latents_is_counted(split: int) -> None:
    world = Planted(split=split)
    for index in range(4):
        found = main_latents(world.latents, world.letter == index, world.test)
        assert sorted(found.latents) == list(range(index * split, (index + 1) * split))
        assert found.f1 == 1


def test_latents_that_know_no_letter_find_none() -> None:
    world, rng = Planted(), np.random.default_rng(0)
    noise = rng.exponential(1, (WORDS, 100)) * (rng.random((WORDS, 100)) < 0.1)
    found = [main_latents(as_sparse(noise), world.letter == i, world.test) for i in range(4)]
    assert np.mean([f.f1 for f in found]) < 0.5  # always guessing gives 0.4
    silent = main_latents(as_sparse(np.zeros((WORDS, 5))), world.letter == 0, world.test)
    assert len(silent.latents) == 0 and silent.f1 == 0


def test_the_letter_probe_finds_planted_directions_and_nothing_in_noise() -> None:
    world, rng = Planted(), np.random.default_rng(0)
    directions = world.probe.directions[:, :WIDTH] / np.linalg.norm(world.probe.directions[:, :WIDTH], axis=1)[:, None]
    x = 5 * directions[world.letter] + 0.3 * rng.normal(size=(WORDS, WIDTH)) + 7.0
    found = letter_probe(x, world.letter, world.test)
    centred = directions - directions.mean(0)
    cosines = (found.directions * centred).sum(1) / np.linalg.norm(centred, axis=1)
    assert found.f1 == 1 and found.right.all() and (cosines > 0.6).all()
    lost = letter_probe(x, rng.permutation(world.letter), world.test)
    assert lost.f1 < 0.4
