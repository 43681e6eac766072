"""What a feature table keeps of each unit, and how much memory may be spent on finding it."""

from dataclasses import asdict, dataclass
from typing import Any

from probe.errors import BadInput
from probe.plain_values import Settings, look_at_config

OCTAVE = 4
"Histogram bins an octave: the edges are 1, 1.25, 1.5 and 1.75 times a power of two."
LOWEST, OCTAVES = -12, 24
"The histogram runs from 2**-12 to 2**12; its first and last bin also count what lies beyond."
BINS = OCTAVE * OCTAVES


@dataclass(frozen=True)
class FeatureConfig(Settings):
    """top: strongest examples of a unit, at most one a row of the cache. bins, per_bin: further examples, of each of `bins`
    equally frequent ranges of its activation. pool: firings sampled to draw those from. window: tokens shown of an example,
    `before` of them before its peak. tokens: promoted, suppressed and input tokens kept. neighbours: nearest decoder
    directions, and most co-active units. min_joint: sampled tokens two units must fire at together to be called
    co-active. min_count: times a token must occur to be ranked by mean activation. sample: firings kept to measure those
    two on. seed: of every sampling. block_bytes: memory for the activations of one block of rows. checkpoint_shards: a
    checkpoint every so many shards of the cache."""

    top: int = 16
    bins: int = 5
    per_bin: int = 3
    pool: int = 48
    window: int = 32
    before: int = 23
    tokens: int = 10
    neighbours: int = 10
    min_joint: int = 3
    min_count: int = 5
    sample: int = 8_000_000
    seed: int = 0
    block_bytes: int = 128_000_000
    checkpoint_shards: int = 1

    def __post_init__(self) -> None:
        look_at_config(self)
        small = [k for k, v in asdict(self).items() if k not in ("seed", "before") and v < 1]
        if small:
            raise BadInput(f"{', '.join(small)} must be at least 1.")
        if not 0 <= self.before < self.window:
            raise BadInput(f"before is {self.before}; the peak must lie in the window of {self.window} tokens.")
        if self.pool < self.bins * self.per_bin:
            raise BadInput(f"A pool of {self.pool} cannot give {self.bins} bins {self.per_bin} examples each.")

    def what(self) -> dict[str, Any]:
        """The settings that decide what the table contains."""
        return {k: v for k, v in asdict(self).items() if k != "checkpoint_shards"}
