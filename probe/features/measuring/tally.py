"""What is counted of every unit while activations stream by: how often, how strongly, and where.

The stream is cut into blocks of whole rows. Everything here comes out the same, bit for bit, wherever it is cut: counts are whole
numbers, sums are taken token by token in order, the examples kept are defined by order (`best`) and by fixed draws
(`draws`, `sample`).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from probe.features.measuring.config import BINS, LOWEST, OCTAVE, FeatureConfig
from probe.features.measuring.draws import mixed, paired
from probe.features.measuring.firing_sample import Sample
from probe.features.measuring.top_entries import Best


@dataclass(frozen=True, eq=False)
class Block:
    """Activations of some consecutive rows. tokens: index of each ordinary token, ascending; at, units, values: the entries
    that are not 0, ordered by token; `at` is a position in `tokens`. first, last: tokens the rows begin and end with."""

    first: int
    last: int
    tokens: Int[np.ndarray, " token"]
    at: Int[np.ndarray, " e"]
    units: Int[np.ndarray, " e"]
    values: Float[np.ndarray, " e"]


class Tally:
    """The counts of all units. signed: activations below 0 count too (neurons), in a histogram and examples of their own."""

    def __init__(self, n_units: int, context: int, config: FeatureConfig, signed: bool):
        self.n_units, self.context, self.config, self.signed = n_units, context, config, signed
        self.window = min(config.window, context)
        self.n_tokens = 0
        self.fired = np.zeros(n_units, np.int64)
        self.total = np.zeros(n_units, np.float64)
        self.max = np.full(n_units, -np.inf, np.float32)
        self.min = np.full(n_units, np.inf, np.float32)
        self.histogram = np.zeros((n_units, (1 + signed) * BINS), np.int32)
        self.best = {"top": Best(n_units, config.top, self.window, context)}
        if signed:
            self.best["lowest"] = Best(n_units, config.top, self.window, context)
        self.best["pool"] = Best(n_units, config.pool, self.window)
        self.sample = Sample(config.sample, config.seed)
        self._draws = mixed(np.arange(n_units), config.seed, 1)
        self._scratch = np.zeros(0, np.float32)

    def add(self, block: Block) -> None:
        """Count a block that follows on the last one."""
        self._count(block)
        self._examples(block)
        self.sample.add(block.tokens, block.at, block.units, block.values)
        self.n_tokens += len(block.tokens)

    def _count(self, block: Block) -> None:
        units, values = block.units, block.values
        np.add.at(self.fired, units, (values > 0).astype(np.int64))
        np.add.at(self.total, units, np.maximum(values, 0).astype(np.float64))
        np.maximum.at(self.max, units, values)
        np.minimum.at(self.min, units, values)
        width = self.histogram.shape[1]
        # A plain 1 would be 30 times slower here.
        np.add.at(self.histogram.reshape(-1), units * width + bins_of(values, self.signed), np.int32(1))

    def _examples(self, block: Block) -> None:
        units, values, tokens = block.units, block.values, block.tokens[block.at]
        where = self._flat(block, tokens, units)
        self._fill(block, where)
        draws = paired(mixed(block.tokens, self.config.seed, 2)[block.at], self._draws[units])
        scores = {"top": values, "lowest": -values if self.signed else values, "pool": draws}

        def window(tokens: np.ndarray, units: np.ndarray) -> np.ndarray:
            around = self.starts(tokens)[:, None] + np.arange(self.window)
            return self._scratch[self._flat(block, around, units[:, None])]

        for name, best in self.best.items():
            best.offer(units, scores[name], tokens, values, window)
        self._scratch[where] = 0

    def _fill(self, block: Block, where: Int[np.ndarray, " e"]) -> None:
        """Spread the block's activations out, so that any of them can be looked up; special tokens hold 0."""
        need = (block.last - block.first) * self.n_units
        if len(self._scratch) < need:
            self._scratch = np.zeros(need, np.float32)
        self._scratch[where] = block.values

    def _flat(self, block: Block, tokens: np.ndarray, units: np.ndarray) -> np.ndarray:
        return (tokens - block.first) * self.n_units + units

    def starts(self, tokens: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The first token of the window around each token: `before` of it, moved to lie inside its row."""
        pos = tokens % self.context
        return tokens - pos + np.clip(pos - self.config.lead, 0, self.context - self.window)

    def state(self) -> dict[str, np.ndarray]:
        """All that must be kept to go on later, as flat names."""
        own = ("fired", "total", "max", "min", "histogram")
        found = {name: getattr(self, name) for name in own} | {"n_tokens": np.array([self.n_tokens])}
        for part, holder in {**self.best, "sample": self.sample}.items():
            found |= {f"{part}.{name}": value for name, value in holder.state().items()}
        return found

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        for name in ("fired", "total", "max", "min", "histogram"):
            setattr(self, name, state[name])
        self.n_tokens = int(state["n_tokens"][0])
        for part, holder in {**self.best, "sample": self.sample}.items():
            holder.restore({k.removeprefix(f"{part}."): v for k, v in state.items() if k.startswith(f"{part}.")})


def bins_of(values: Float[np.ndarray, " e"], signed: bool) -> Int[np.ndarray, " e"]:
    """The histogram bin of each activation, read off the bits of the number. Signed: negative ones first, mirrored."""
    bits = np.abs(values).astype(np.float32).view(np.int32)
    place = np.clip((bits >> (23 - OCTAVE.bit_length() + 1)) - OCTAVE * (127 + LOWEST), 0, BINS - 1)
    return np.where(values < 0, BINS - 1 - place, BINS + place) if signed else place


def edges(signed: bool) -> Float[np.ndarray, " edge"]:
    """Where the histogram's bins begin, and where the last ends."""
    octave = 2.0 ** np.arange(LOWEST, LOWEST + BINS // OCTAVE)
    up = np.r_[(octave[:, None] * (1 + np.arange(OCTAVE) / OCTAVE)).reshape(-1), 2.0 ** (LOWEST + BINS // OCTAVE)]
    return np.r_[-up[:0:-1], 0.0, up[1:]] if signed else up
