"""Make one shard of a cache again, from the tokens that are stored with it, and leave the others alone."""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.artifact import check_files, check_model, write_manifest
from probe.cache_files import STATS, TOKENS, mend, write_stats
from probe.errors import BadInput, Unavailable
from probe.layout import Layout
from probe.progress import SILENT, Progress
from probe.recorder import Recorder, with_moments
from probe.shards import write_tensors

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.cache import Cache


def repair(cache: "Cache", model: "TransformerBridge", shard: int | str, progress: Progress = SILENT) -> bool:
    """Make `shard` (number or file name) again in its place. True if it came out as it was first written.

    Raises BadInput for another model or no such shard, Unavailable if the stored tokens are damaged as well.
    """
    from probe.models import stamp

    index = _index(cache.layout, shard)
    check_model(cache.manifest, stamp(model), cache.folder)
    if check_files(cache.folder, replace(cache.manifest, files={TOKENS: cache.manifest.files[TOKENS]})):
        raise Unavailable(f"{TOKENS} of {cache.folder} is damaged, so no shard can be made again. {mend(TOKENS)}")
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
