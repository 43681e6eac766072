"""The files of a cache beside its shards: the tokens it was made from, and the mean and variance of each site."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from probe.activations.layout import Layout
from probe.activations.moments import Moments
from probe.artifacts.manifest import Manifest
from probe.artifacts.tensors import read_tensors, write_tensors
from probe.artifacts.untrusted import parse_json, reading
from probe.errors import Unavailable

if TYPE_CHECKING:
    from probe.text.tokens import TokenSet

TOKENS = "tokens.safetensors"
STATS = "stats.safetensors"


def save_tokens(path: Path, tokens: "TokenSet") -> str:
    """Write a token set; returns the file's checksum."""
    names = torch.frombuffer(bytearray(json.dumps(tokens.documents).encode()), dtype=torch.uint8)
    ids = tokens.tokens.to(torch.int32)  # no vocabulary reaches 2^31
    return write_tensors(path, {"tokens": ids, "doc": tokens.doc, "special": tokens.special, "documents": names})


def load_tokens(path: Path) -> "TokenSet":
    """Read back what `save_tokens` wrote."""
    from probe.text.tokens import TokenSet

    stored = read_tensors(path)
    with reading(path, mend(TOKENS)):
        names = parse_json(bytes(stored["documents"].numpy()))
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise ValueError("its documents have no names")
    return TokenSet(stored["tokens"].long(), stored["doc"].clone(), names, stored["special"].clone())


def write_stats(folder: Path, layout: Layout) -> str:
    """Merge the moments that the shards carry, in their order, into `stats.safetensors`; returns its checksum."""
    total = {site: Moments.nothing(width) for site, width in layout.widths.items()}
    for index in range(layout.shards):
        shard = read_tensors(folder / layout.name_of(index))
        for site in total:
            total[site] += Moments(int(shard["count"]), shard[f"mean.{site}"], shard[f"m2.{site}"])
    means = {f"mean.{site}": m.mean for site, m in total.items()}
    variances = {f"var.{site}": m.var for site, m in total.items()}
    count = torch.tensor([next(iter(total.values())).count])
    return write_tensors(folder / STATS, {**means, **variances, "count": count})


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


def write_unknown_stats(folder: Path, layout: Layout) -> None:
    """Statistics of NaN, so that a cache whose own are damaged can be opened for repair and nobody trains on it."""
    unknown = {
        f"{kind}.{site}": torch.full((width,), torch.nan, dtype=torch.float64)
        for kind in ("mean", "var")
        for site, width in layout.widths.items()
    }
    write_tensors(folder / STATS, {**unknown, "count": torch.zeros(1, dtype=torch.int64)})


def mend(name: str, cache: str = "NAME") -> str:
    """What to do about a damaged file of the cache of that name."""
    if name == TOKENS:
        return "All the rest is made from the tokens, so this cannot be repaired: harvest again under another name."
    return f"`openwork harvest --repair --name {cache}` makes it again, alone."
