"""Build a feature table in one pass over a cache, shard after shard, and continue it after any interruption.

    table = build_features(model, dictionary, cache, "runs/features/layer4")
    table.unit(650)                                   # the record of one unit

Shards are read forward, special tokens left out. After every few shards all that was counted so far is saved in
`<folder>.partial` by one rename; blocks of rows are cut by the config alone. So a build that was killed and resumed writes
the same bytes as one that was not. What follows from the weights alone (`effects`) is computed at the end.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from probe.artifacts.disk_space import TABLE, require_space
from probe.artifacts.locks.claims import claim
from probe.artifacts.names import as_path, partial
from probe.artifacts.refuse_other_model import check_model
from probe.artifacts.renames import discard
from probe.artifacts.untrusted import reading
from probe.errors import BadInput, Cancelled
from probe.features.measuring.config import FeatureConfig
from probe.features.measuring.latents import AnyDictionary
from probe.features.measuring.plan import sizes
from probe.features.measuring.sources import Units
from probe.features.measuring.tally import Tally
from probe.features.measuring.unit_activations import shard_blocks, units_of
from probe.features.store import write_table
from probe.features.table import FeatureTable, open_features
from probe.model.load import stamp
from probe.progress import SILENT, Progress, Step
from probe.training.checkpoint import CHECKPOINT, held_interrupts, read_checkpoint, write_checkpoint
from probe.training.pairs import cache_identity

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache


def build_features(
    model: "TransformerBridge",
    what: AnyDictionary | int,
    cache: "Cache",
    folder: str | Path,
    config: FeatureConfig | None = None,
    *,
    resume: bool = False,
    progress: Progress = SILENT,
) -> FeatureTable:
    """The feature table of a dictionary's latents, or of the neurons of the layer of that number, over all of a cache.

    resume: continue an unfinished table of exactly these units, data and settings; a finished one is opened. Raises BadInput
    for a cache of another model or without the sites, activations that are not finite, or a folder in the way.

    >>> table = ow.build_features(model, 1, cache, folder)  # the neurons of layer 1
    >>> table.n_units
    128
    """
    folder, config = as_path(folder), config or FeatureConfig()
    check_model(cache.manifest, stamp(model), cache.folder)
    units = units_of(model, what, cache)
    made = identity(units, cache, config)
    with claim(folder):
        if folder.exists():
            return _finished(folder, made, resume)
        require_space(folder, sizes(model, units, cache, config).while_built, TABLE)
        scratch = _scratch(folder, resume)
        tally = Tally(units.n, cache.layout.context, config, units.signed)
        first = _restored(tally, scratch, made)
        _stream(tally, units, cache, first, scratch, made, progress)
        write_table(folder, model, units, cache, tally, made, progress)
        discard(scratch)
        return open_features(folder)


def identity(units: Units, cache: "Cache", config: FeatureConfig) -> dict[str, Any]:
    """All that decides what a table contains: the units, the data, the settings."""
    source = {"units": units.kind, "name": units.name, "weights": units.identity, "cache": cache_identity(cache)}
    return {**source, **config.what()}


def _finished(folder: Path, made: dict[str, Any], resume: bool) -> FeatureTable:
    if not resume:
        raise BadInput(f"{folder} exists already. Choose another name, delete it, or resume to open it.")
    table = open_features(folder)
    _require_same(made, table.manifest.config, folder)
    return table


def _scratch(folder: Path, resume: bool) -> Path:
    scratch = partial(folder)
    if (scratch / CHECKPOINT).is_file() and not resume:
        raise BadInput(f"{scratch} holds an unfinished table. Resume it, or delete that folder to start over.")
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch


def _require_same(now: dict[str, Any], then: dict[str, Any], folder: Path) -> None:
    differing = [f"{k} was {then.get(k)} and is now {v}" for k, v in now.items() if then.get(k) != v]
    if differing:
        raise BadInput(
            f"{folder} was begun differently: {'; '.join(differing)}. Use the same units, cache and settings, choose another "
            "name, or delete that folder."
        )


def _restored(tally: Tally, scratch: Path, made: dict[str, Any]) -> int:
    """The shard to go on with, after putting back what a checkpoint holds."""
    found = read_checkpoint(scratch)
    if found is None:
        return 0
    tensors, state = found
    with reading(scratch, "delete it and build again"):
        _require_same(made, state["made"], scratch)
        tally.restore(
            {name: value.numpy().copy() for name, value in tensors.items()}
        )  # numpy views of it are read-only
        return int(state["shard"])


def _stream(
    tally: Tally, units: Units, cache: "Cache", first: int, scratch: Path, made: dict[str, Any], progress: Progress
) -> None:
    """Count every shard from `first` on, saving now and then."""
    layout, special = cache.layout, cache.special
    every = tally.config.checkpoint_shards
    with held_interrupts() as interrupted, progress.stage("features", layout.tokens, "tok") as step:
        step(min(first * layout.shard_tokens, layout.tokens))
        for shard in range(first, layout.shards):
            for block in shard_blocks(units, cache, shard, special, tally.config.block_bytes):
                tally.add(block)
                _go_on(step, block.last - block.first, interrupted)
            if (shard + 1) % every == 0 or shard + 1 == layout.shards:
                _save(tally, scratch, made, shard + 1)


def _go_on(step: Step, tokens: int, interrupted: Any) -> None:
    """Report, and stop here if somebody asked to: the last checkpoint stands."""
    try:
        step(tokens)
    except Cancelled as error:
        raise Cancelled(f"{error} What was saved is kept; resume to continue.") from error
    if interrupted():
        raise KeyboardInterrupt


def _save(tally: Tally, scratch: Path, made: dict[str, Any], shard: int) -> None:
    tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in tally.state().items()}
    write_checkpoint(scratch, tensors, {"made": made, "shard": shard})
