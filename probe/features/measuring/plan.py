"""What a feature table will take, before it is begun: memory, disk, time. Nothing is written."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from probe.artifacts.disk_space import free_bytes
from probe.artifacts.names import as_path
from probe.artifacts.refuse_other_model import check_model
from probe.features.effects import CELLS
from probe.features.measuring.config import BINS, FeatureConfig
from probe.features.measuring.latents import AnyDictionary
from probe.features.measuring.sources import Units
from probe.features.measuring.tally import Tally
from probe.features.measuring.unit_activations import shard_blocks, units_of
from probe.model.load import stamp
from probe.model.sites import Site
from probe.show.record import Record
from probe.words import estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache

FLOPS = 5e10
"Multiplications and additions a second assumed for what follows from the weights."


@dataclass(frozen=True, kw_only=True)
class FeaturePlan(Record):
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

    def summary(self) -> str:
        """One sentence: how many units over how many tokens, and what that takes."""
        room = "" if self.fits else ": IT DOES NOT FIT"
        return (
            f"{self.n_units:,} {self.units}s over {self.tokens:,} tokens, {size(self.memory_bytes)} of memory, "
            f"{size(self.disk_bytes)} on disk and {size(self.checkpoint_bytes)} while it is built "
            f"({size(self.free_bytes)} free{room}), about {estimate(self.seconds)}"
        )


def plan_features(
    model: "TransformerBridge",
    what: AnyDictionary | int,
    cache: "Cache",
    folder: str | Path = ".",
    config: FeatureConfig | None = None,
) -> FeaturePlan:
    """What `build_features` with these arguments will take; refuses the same things. Runs one block to measure its speed.

    >>> plan = ow.plan_features(model, transcoder, cache)
    >>> plan.units
    'latent'
    """
    config = config or FeatureConfig()
    check_model(cache.manifest, stamp(model), cache.folder)
    units = units_of(model, what, cache)
    needs = sizes(model, units, cache, config)
    row = units.cell_bytes * units.n * cache.layout.context
    scratch = min(max(config.block_bytes, row), row * min(cache.layout.rows, cache.layout.shard_rows))
    cells = 4 * min(CELLS, units.n * max(units.n, model.W_U.shape[1]))
    return FeaturePlan(
        units=units.kind,
        n_units=units.n,
        tokens=cache.n_tokens,
        memory_bytes=needs.kept + 2 * needs.sampled + 4 * scratch + 3 * cells + _tables(model, units),
        checkpoint_bytes=needs.kept + needs.sampled,
        disk_bytes=needs.table,
        free_bytes=free_bytes(as_path(folder)),
        seconds=_stream_seconds(units, cache, config) + _weight_flops(model, units) / FLOPS,
    )


class Sizes(NamedTuple):
    """Bytes of what is kept of each unit while counting, at most of the sample of firings, and of the finished table."""

    kept: int
    sampled: int
    table: int

    @property
    def while_built(self) -> int:
        """On disk: the table, and a checkpoint while it replaces the last one."""
        return self.table + 2 * (self.kept + self.sampled)


def sizes(model: "TransformerBridge", units: Units, cache: "Cache", config: FeatureConfig) -> Sizes:
    """The arithmetic of memory and disk."""
    window = min(config.window, cache.layout.context)
    best = config.top * (1 + units.signed)
    histogram = 4 * BINS * (1 + units.signed)
    columns = histogram + 4 * (8 * config.tokens + 5 * config.neighbours + config.top) + 40
    examples = best + config.bins * config.per_bin
    return Sizes(
        kept=units.n * ((best + config.pool) * (18 + 4 * window) + histogram + 40),
        sampled=12 * min(config.sample, cache.n_tokens * units.n),
        table=units.n * (examples * (13 + 4 * window) + columns) + 5 * cache.n_tokens + 20 * model.W_U.shape[1],
    )


def _stream_seconds(units: Units, cache: "Cache", config: FeatureConfig) -> float:
    """The time of the whole pass, from a few rows that are counted twice: the first time everything enters the lists."""
    few = min(config.block_bytes, 16 * units.cell_bytes * units.n * cache.layout.context)
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
    through = sum(_mlps(site) for r in reads for site, _ in r.sites) * len(model.W_E) * _mlp_weights(model)
    return 2.0 * (vocabulary + inputs + through + units.n**2 * units.decoder.shape[1])


def _tables(model: "TransformerBridge", units: Units) -> int:
    """Bytes of the embeddings of all tokens as the sites of one group of units hold them; twice where several are joined."""
    sites = max((len(r.sites) for r in units.reads), default=0)
    return 4 * len(model.W_E) * model.W_E.shape[1] * (2 * sites if sites > 1 else sites)


def _mlps(site: Site) -> int:
    """How many MLPs a token goes through on its way to a site (see `effective_embedding`)."""
    return (
        int(bool(site.layer)) + (site.kind in ("mlp_out", "mlp_write")) + (site.kind == "resid_post" and not site.layer)
    )


def _mlp_weights(model: "TransformerBridge") -> int:
    return sum(w.numel() for w in model.blocks[0].mlp.parameters())
