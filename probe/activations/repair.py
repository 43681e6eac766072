"""Make one shard of a cache again, from the tokens that are stored with it, and leave the others alone.

The statistics are made again from what the shards carry. The tokens cannot be: everything else is made from them.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from probe.activations.files import STATS, TOKENS, mend, write_stats
from probe.activations.layout import Layout
from probe.activations.recorder import Recorder, with_moments
from probe.artifacts.manifest import Manifest, check_files, write_manifest
from probe.artifacts.refuse_other_model import check_model
from probe.artifacts.tensors import write_tensors
from probe.errors import BadInput, Unavailable
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache


def repair(cache: "Cache", model: "TransformerBridge", shard: int | str, progress: Progress = SILENT) -> bool:
    """Make `shard` (number or file name), or the statistics, again in its place. True if it came out as first written.

    Raises BadInput for another model or no such file, Unavailable if the stored tokens are damaged as well.
    """
    from probe.model.load import stamp

    if shard == STATS:
        return _repair_stats(cache)
    index = _index(cache.layout, shard)
    check_model(cache.manifest, stamp(model), cache.folder)
    require_tokens(cache.folder, cache.manifest)
    name = cache.layout.name_of(index)
    recorder = Recorder(model, cache.tokens(), cache.layout, cache.manifest.config["batch"])
    with progress.stage(f"repair {name}", total=cache.layout.tokens_of(index), unit="tok") as step:
        tensors = with_moments(recorder.record(index, step=step), cache.sites)
    checksum = write_tensors(cache.folder / name, tensors)
    same = checksum == cache.manifest.files[name]
    if not same:
        _accept(cache, name, checksum)
    cache.reload(index)
    return same


def is_damaged(folder: Path, manifest: Manifest, name: str) -> bool:
    """Whether a file is missing or differs from its checksum."""
    return bool(check_files(folder, replace(manifest, files={name: manifest.files[name]})))


def require_tokens(folder: Path, manifest: Manifest) -> None:
    """Unavailable where the tokens are damaged, of which everything else is made."""
    if is_damaged(folder, manifest, TOKENS):
        raise Unavailable(f"{TOKENS} of {folder} is damaged. {mend(TOKENS)}")


def _repair_stats(cache: "Cache") -> bool:
    """Merge the moments of the shards again; Unavailable if one of them is damaged."""
    files = cache.manifest.files
    shards = {name: files[name] for name in (cache.layout.name_of(i) for i in range(cache.layout.shards))}
    broken = check_files(cache.folder, replace(cache.manifest, files=shards))
    if broken:
        advice = mend(broken[0], cache.folder.name)
        raise Unavailable(f"{', '.join(broken)} of {cache.folder} is damaged, and {STATS} is made from it. {advice}")
    checksum = write_stats(cache.folder, cache.layout)
    same = checksum == files[STATS]
    if not same:
        cache.manifest = write_manifest(cache.folder, cache.manifest, {**files, STATS: checksum})
    cache.reload(0)
    return same


def _index(layout: Layout, shard: int | str) -> int:
    names = {layout.name_of(i): i for i in range(layout.shards)}
    index = names.get(shard) if isinstance(shard, str) else shard
    if index is None or not 0 <= index < layout.shards:
        first, last = layout.name_of(0), layout.name_of(layout.shards - 1)
        raise BadInput(f"There is no shard {shard!r}; this cache has {first} to {last}.")
    return index


def _accept(cache: "Cache", name: str, checksum: str) -> None:
    """Take a shard that came out differently into the statistics and the manifest."""
    stats = write_stats(cache.folder, cache.layout)
    cache.manifest = write_manifest(
        cache.folder, cache.manifest, {**cache.manifest.files, name: checksum, STATS: stats}
    )
