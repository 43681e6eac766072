"""Open a damaged cache, to have it repaired."""

from pathlib import Path
from typing import TYPE_CHECKING

from probe.activations.cache import Cache, open_cache
from probe.activations.files import STATS, write_unknown_stats
from probe.activations.layout import Layout
from probe.activations.repair import is_damaged, require_tokens
from probe.artifacts.manifest import read_manifest
from probe.artifacts.refuse_other_model import check_model
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def open_damaged(folder: Path, model: "TransformerBridge", progress: Progress = SILENT) -> tuple[Cache, list[str]]:
    """A cache opened for repair, whatever its shards and statistics look like, and its damaged files, to repair in order.

    Raises BadInput for another model, Unavailable if its tokens are damaged.
    """
    from probe.model.load import stamp

    manifest = read_manifest(folder, "cache")
    check_model(manifest, stamp(model), folder)
    require_tokens(folder, manifest)
    if is_damaged(folder, manifest, STATS):
        write_unknown_stats(folder, Layout(**manifest.facts["layout"]))
    cache = open_cache(folder, model, check=False)
    return cache, sorted(cache.verify(progress), key=lambda name: name == STATS)
