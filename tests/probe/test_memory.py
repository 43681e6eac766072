"""What does not fit is refused before it is tried."""

from pathlib import Path

import pytest
from trainings import SMALL, toy_dictionary, toy_pairs

from probe import memory
from probe.dictionaries import SAE, TopK
from probe.errors import BadInput
from probe.training.plan import training_bytes
from probe.training.recipes import parse_rule
from probe.training.trainer import TrainConfig, train


def test_a_dictionary_wider_than_memory_is_refused_before_it_is_made() -> None:
    with pytest.raises(BadInput, match=r"1,000,000,000 latents needs .* GB of memory, and .* GB are free"):
        SAE(4096, 1_000_000_000, sparsifier=TopK(32))


def test_a_training_that_does_not_fit_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "available", lambda device="cpu": 1000)
    with pytest.raises(BadInput, match="needs .* GB"):
        toy_dictionary()
    monkeypatch.setattr(memory, "available", lambda device="cpu": 20_000)
    d = toy_dictionary()
    with pytest.raises(BadInput, match="Training 1 dictionaries together"):
        train(d, toy_pairs(), SMALL, tmp_path / "d")
    assert not list(tmp_path.iterdir())


def test_memory_is_known_here() -> None:
    assert memory.available() > 1 << 20
    memory.require(memory.SMALL, "a trifle")


def test_a_plan_counts_the_matrices_of_dense_rules() -> None:
    rules = ("topk:8", "jumprelu:8", "relu", "gated")
    batch, config = 4 * 16_384 * 4096, TrainConfig(batch=4096)
    needs = [training_bytes(SAE(32, 16_384, sparsifier=parse_rule(rule, 16_384)), config) for rule in rules]
    assert needs[0] < batch
    assert needs[1] > 2 * batch  # what thresholds start from
    assert needs[2] > 4 * batch and needs[3] > 10 * batch
