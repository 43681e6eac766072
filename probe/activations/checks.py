"""Is a cache whole? What is checked when one is opened, and every byte of it before something is trained on it.

Opening looks at what costs nothing (each file is there, and as long as it was written), and reads the tokens and statistics for
their checksums; a shard is read for its own when it is first used.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from probe.activations.files import STATS, TOKENS, mend
from probe.artifacts.manifest import Manifest, check_files, require_files
from probe.artifacts.untrusted import reading
from probe.errors import Unavailable
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from probe.activations.cache import Cache


def require_whole(folder: Path, manifest: Manifest, *, shards: bool) -> None:
    """Unavailable, naming them, where files are missing or truncated, or the tokens or statistics damaged.

    shards: look at them too; without, a cache whose shards or statistics are damaged passes, to be repaired.
    """
    with reading(folder, "harvest it again"):
        bad = wrong_size(folder, manifest)
    if named := [n for n in bad if n in (TOKENS, STATS)] or (bad if shards else []):
        raise Unavailable(
            f"{folder} is damaged: {', '.join(named)} missing or truncated. {mend(named[0], folder.name)}"
        )
    if shards:
        for name in (TOKENS, STATS):
            require_files(folder, manifest, [name], mend(name, folder.name))


def damaged_files(folder: Path, manifest: Manifest, progress: Progress = SILENT) -> list[str]:
    """Names of the files that are missing or differ from their checksum; reads the whole cache."""
    bad: list[str] = []
    with progress.stage("verify", total=len(manifest.files), unit="file") as step:
        for name, digest in manifest.files.items():
            bad += check_files(folder, replace(manifest, files={name: digest}))
            step(1)
    return bad


def require_sound(cache: "Cache", progress: Progress = SILENT) -> None:
    """Read every byte of a cache once; Unavailable names what is damaged, before anything is trained on it."""
    if broken := cache.verify(progress):
        worst = next((name for name in broken if name == TOKENS), broken[0])
        raise Unavailable(f"In {cache.folder}, {', '.join(broken)} is damaged. {mend(worst, cache.folder.name)}")


def wrong_size(folder: Path, manifest: Manifest) -> list[str]:
    """Names of the files that are missing or have another length than they were written with."""

    def size(name: str) -> int:
        path = folder / name
        return path.stat().st_size if path.is_file() else -1

    return [name for name, wanted in manifest.facts["bytes"].items() if size(name) != wanted]


def require_parts(manifest: Manifest, ids: dict[str, Tensor], stats: dict[str, Tensor]) -> None:
    """Unavailable unless the tokens and the statistics of a cache have the shapes of its layout."""
    layout = manifest.facts["layout"]
    rows, context = layout["rows"], layout["context"]
    wanted = {"tokens": (rows, context), "doc": (rows,), "special": (rows, context)}
    if odd := [n for n, shape in wanted.items() if n not in ids or tuple(ids[n].shape) != shape]:
        raise Unavailable(
            f"{TOKENS} holds {', '.join(odd)} of another shape than {rows} rows of {context}. {mend(TOKENS)}"
        )
    sizes = {f"{kind}.{site}": (w,) for site, w in layout["widths"].items() for kind in ("mean", "var")}
    if odd := [
        n for n, s in sizes.items() if n not in stats or tuple(stats[n].shape) != s or stats[n].dtype != torch.float64
    ]:
        raise Unavailable(f"{STATS} holds no {odd[0]} of the right size. {mend(STATS)}")
    if "count" not in stats or stats["count"].numel() != 1 or not 0 <= int(stats["count"]) <= rows * context:
        raise Unavailable(f"{STATS} does not say over how many tokens it is. {mend(STATS)}")
