"""How far a mean over prompts can be trusted: whole prompts are resampled with replacement (Efron, 1979)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from probe.show.record import Record

CHUNK = 2000
"Items whose resampled means are held at a time."


@dataclass(frozen=True)
class Spread(Record):
    """Mean, standard deviation and 95% bootstrap interval over prompts; the last three NaN for a single prompt."""

    mean: Float[np.ndarray, " item"]
    sd: Float[np.ndarray, " item"]
    low: Float[np.ndarray, " item"]
    high: Float[np.ndarray, " item"]

    def row(self, i: int, name: str) -> dict[str, float | None]:
        """One item's four numbers under `name`."""
        found = {name: self.mean[i], f"{name}_sd": self.sd[i], "low": self.low[i], "high": self.high[i]}
        return {k: None if np.isnan(v) else float(v) for k, v in found.items()}


def spread(values: Float[np.ndarray, "prompt item"], resamples: int, seed: int) -> Spread:
    """Mean, standard deviation and percentile bootstrap interval of each column; whole rows are resampled."""
    n, items = values.shape
    mean, none = values.mean(0), np.full(items, np.nan)
    if n < 2:
        return Spread(mean, none, none, none)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples) / n
    ends = [np.quantile(counts @ values[:, i : i + CHUNK], [0.025, 0.975], axis=0) for i in range(0, items, CHUNK)]
    low, high = np.concatenate(ends, 1) if ends else np.zeros((2, 0))
    return Spread(mean, values.std(0, ddof=1), low, high)
