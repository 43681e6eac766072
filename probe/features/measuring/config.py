"""What a feature table keeps of each unit, and how much memory may be spent on finding it."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from probe.doc import Doc
from probe.errors import BadInput
from probe.plain_values import Settings, look_at_config

OCTAVE = 4
"Histogram bins an octave: the edges are 1, 1.25, 1.5 and 1.75 times a power of two."
LOWEST, OCTAVES = -12, 24
"The histogram runs from 2**-12 to 2**12; its first and last bin also count what lies beyond."
BINS = OCTAVE * OCTAVES


@dataclass(frozen=True)
class FeatureConfig(Settings):
    """What a table keeps of each unit."""

    top: Annotated[int, Doc(least=1)] = 16
    "Strongest examples of a unit, at most one a row of the cache."
    bins: Annotated[int, Doc(least=1)] = 5
    "Equally frequent ranges of its activation, of which further examples are drawn."
    per_bin: Annotated[int, Doc(least=1)] = 3
    "Further examples of each of them."
    pool: Annotated[int, Doc(least=1)] = 48
    "Firings sampled to draw those from."
    window: Annotated[int, Doc(least=1)] = 32
    "Tokens shown of an example."
    before: Annotated[int | None, Doc(least=0)] = None
    "Those of them that stand before its peak; by default 23 of 32."
    tokens: Annotated[int, Doc(least=1)] = 10
    "Promoted, suppressed and input tokens kept."
    neighbours: Annotated[int, Doc(least=1)] = 10
    "Nearest decoder directions, and most co-active units."
    min_joint: Annotated[int, Doc(least=1)] = 3
    "Sampled tokens two units must fire at together to be called co-active."
    min_count: Annotated[int, Doc(least=1)] = 5
    "Times a token must occur to be ranked by mean activation."
    sample: Annotated[int, Doc(least=1)] = 8_000_000
    "Firings kept to measure those two on."
    seed: Annotated[int, Doc(least=0)] = 0
    "Of every sampling, so which of the weaker examples are drawn."
    block_bytes: Annotated[int, Doc(least=1)] = 128_000_000
    "Memory for the activations of one block of rows."
    checkpoint_shards: Annotated[int, Doc(least=1)] = 1
    "A checkpoint every so many shards of the cache."

    def __post_init__(self) -> None:
        look_at_config(self)
        if not 0 <= self.lead < self.window:
            raise BadInput(f"before is {self.lead}; the peak must lie in the window of {self.window} tokens.")
        if self.pool < self.bins * self.per_bin:
            raise BadInput(f"A pool of {self.pool} cannot give {self.bins} bins {self.per_bin} examples each.")

    @property
    def lead(self) -> int:
        """Tokens of an example that stand before its peak."""
        return self.window * 23 // 32 if self.before is None else self.before

    def what(self) -> dict[str, Any]:
        """The settings that decide what the table contains."""
        return {k: v for k, v in asdict(self).items() if k != "checkpoint_shards"} | {"before": self.lead}
