"""The files of a cache beside its shards: the tokens it was made from, and the mean and variance of each site."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from probe.activations.layout import Layout
from probe.activations.moments import Moments
from probe.artifacts.tensors import read_tensors, write_tensors
from probe.artifacts.untrusted import parse_json, reading

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
