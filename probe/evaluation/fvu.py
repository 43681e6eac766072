"""The fraction of variance unexplained: sum |y - recons|^2 / sum |y - mean(y)|^2, over tokens and dimensions.

Predicting the mean gives 1, predicting the targets 0; explained variance is 1 less it. Sums run in float64 and do not depend on
how the data was split into batches.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from probe.statistics import mean_and_error


class FVUByDocument:
    """FVU of several models at once, with an error: squared errors and squared deviations, document by document."""

    def __init__(self, n_models: int):
        self.n_models = n_models
        self.origin: Tensor | None = None
        self.parts: dict[int, list[Any]] = {}

    def update(self, targets: Tensor, recons: tuple[Tensor, ...], documents: np.ndarray) -> None:
        """Add tokens."""
        wanted = targets.double()
        if self.origin is None:  # centred before squaring, so that a large mean costs no precision
            self.origin = wanted.mean(0)
        about = wanted - self.origin
        errors = torch.stack([(wanted - r.double()).square().sum(1) for r in recons], 1)
        for document in np.unique(documents):
            rows = torch.from_numpy(documents == document)
            new = [int(rows.sum()), about[rows].sum(0), float(about[rows].square().sum()), errors[rows].sum(0)]
            old = self.parts.get(int(document))
            self.parts[int(document)] = new if old is None else [a + b for a, b in zip(old, new, strict=True)]

    def fvu(self, index: int) -> tuple[float, float]:
        """FVU of one model about the mean of everything seen, and its standard error."""
        n = np.array([p[0] for p in self.parts.values()])
        sums = torch.stack([p[1] for p in self.parts.values()])
        mean = sums.sum(0) / n.sum()
        squares = torch.tensor([p[2] for p in self.parts.values()], dtype=torch.float64)
        deviation = squares - 2 * sums @ mean + torch.from_numpy(n) * mean.square().sum()
        errors = np.array([float(p[3][index]) for p in self.parts.values()])
        return mean_and_error(errors, deviation.numpy())
