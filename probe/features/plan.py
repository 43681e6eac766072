"""What a feature table will take, before it is begun: memory, disk, time. Nothing is written."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.artifact import check_model
from probe.features.building import shard_blocks
from probe.features.config import BINS, FeatureConfig
from probe.features.effects import CELLS
from probe.features.sources import AnyDictionary, Units, units_of
from probe.features.tally import Tally
from probe.harvest_plan import free_bytes
from probe.html import table_html
from probe.models import stamp

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.cache import Cache

FLOPS = 5e10
"Multiplications and additions a second assumed for what follows from the weights."


@dataclass(frozen=True)
class FeaturePlan:
    """What building a table will take. Bytes: of memory beside model and dictionary, on disk when finished, and free there.

    seconds: from one measured block, and an assumed speed for what follows from the weights."""

    units: str
    n_units: int
    tokens: int
    memory_bytes: int
    checkpoint_bytes: int
    disk_bytes: int
    free_bytes: int
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether the disk has room for the table, and for two checkpoints while it is built."""
        return self.disk_bytes + 2 * self.checkpoint_bytes <= self.free_bytes

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "fits": self.fits}

    def _repr_html_(self) -> str:
        shown = {k: f"{v:,}" if isinstance(v, int) else v for k, v in self.to_dict().items()}
        return table_html([{"": name, "value": value} for name, value in shown.items()], "Feature plan")


def plan_features(
    model: "TransformerBridge",
    what: AnyDictionary | int,
    cache: "Cache",
    folder: str | Path = ".",
    config: FeatureConfig | None = None,
) -> FeaturePlan:
    """What `build_features` with these arguments will take; refuses the same things. Runs one block to measure its speed."""
    config = config or FeatureConfig()
    check_model(cache.manifest, stamp(model), cache.folder)
    units = units_of(model, what, cache)
    window = min(config.window, cache.layout.context)
    lists = (2 * config.top if units.signed else config.top, config.pool)
    histogram = 4 * BINS * (1 + units.signed)
    kept = units.n * (sum(lists) * (18 + 4 * window) + histogram + 40)
    sampled = 12 * min(config.sample, cache.n_tokens * units.n)
    examples = lists[0] + config.bins * config.per_bin
    columns = histogram + 4 * (8 * config.tokens + 5 * config.neighbours + lists[0]) + 40
    row = 4 * units.n * cache.layout.context
    scratch = min(max(config.block_bytes, row), row * min(cache.layout.rows, cache.layout.shard_rows))
    cells = 4 * min(CELLS, units.n * max(units.n, model.W_U.shape[1]))
    text = 5 * cache.n_tokens + 20 * model.W_U.shape[1]
    return FeaturePlan(
        units=units.kind,
        n_units=units.n,
        tokens=cache.n_tokens,
        memory_bytes=kept + 2 * sampled + 4 * scratch + 3 * cells,
        checkpoint_bytes=kept + sampled,
        disk_bytes=units.n * (examples * (13 + 4 * window) + columns) + text,
        free_bytes=free_bytes(Path(folder)),
        seconds=_stream_seconds(units, cache, config) + _weight_flops(model, units) / FLOPS,
    )


def _stream_seconds(units: Units, cache: "Cache", config: FeatureConfig) -> float:
    """The time of the whole pass, from a few rows that are counted twice: the first time everything enters the lists."""
    few = min(config.block_bytes, 16 * 4 * units.n * cache.layout.context)
    block = next(shard_blocks(units, cache, 0, cache.special, few))
    tally = Tally(units.n, cache.layout.context, config, units.signed)
    tally.add(block)
    start = time.perf_counter()
    block = next(shard_blocks(units, cache, 0, cache.special, few))
    tally.add(block)
    return (time.perf_counter() - start) / (block.last - block.first) * cache.n_tokens


def _weight_flops(model: "TransformerBridge", units: Units) -> float:
    reads: Sequence[Any] = units.reads
    vocabulary = model.W_U.shape[1] * units.n * ((units.writers is not None and units.writers.shape[1]) or 0)
    inputs = sum((r.high - r.low) * len(model.W_E) * w.shape[1] for r in reads for _, w in r.sites)
    return 2.0 * (vocabulary + inputs + units.n**2 * units.decoder.shape[1])
