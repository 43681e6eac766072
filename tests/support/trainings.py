"""Small trainings with planted atoms, and one that crashes after so many steps."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from probe.dictionaries import Dictionary, TopK, Transcoder
from probe.training.pairs import TensorPairs
from probe.training.trainer import TrainConfig, train

SMALL = TrainConfig(batch=64, epochs=2, checkpoint_every=3, log_every=2, dead_tokens=500)


def unit_rows(n: int, width: int, seed: int) -> Tensor:
    rows = torch.randn(n, width, generator=torch.Generator().manual_seed(seed))
    return rows / rows.norm(dim=1, keepdim=True)


def sparse_sums(atoms: Tensor, n: int, active: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Tokens that are sums of `active` random atoms with random positive strengths, and those strengths."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(n, len(atoms), generator=generator).topk(active, -1).indices
    strength = torch.zeros(n, len(atoms)).scatter(1, chosen, 0.5 + torch.rand(n, active, generator=generator))
    return strength @ atoms, strength


def toy_pairs(n: int = 700, seed: int = 0) -> TensorPairs:
    x, _ = sparse_sums(unit_rows(30, 12, 1), n, 3, seed)
    return TensorPairs(3 + x, 10 * (x @ unit_rows(12, 8, 2)).relu() - 4)


def toy_dictionary() -> Dictionary:
    return Transcoder(12, 40, 8, sparsifier=TopK(4), skip=True)


def weights(d: Dictionary) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in d.state_dict().items()}


def stop_here(folder: Path, steps: int, dictionary: Dictionary | None = None, config: TrainConfig = SMALL) -> None:
    """Train and crash after some steps, at whatever checkpoint there is."""

    class Crashing(TensorPairs):
        def batches(self, *args, **kwargs):
            for i, pair in enumerate(super().batches(*args, **kwargs)):
                if "epochs" in kwargs and i == steps:
                    raise ZeroDivisionError
                yield pair

    pairs = toy_pairs()
    with pytest.raises(ZeroDivisionError):
        train(dictionary or toy_dictionary(), Crashing(pairs.inputs, pairs.targets), config, folder)
