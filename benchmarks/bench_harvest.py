"""Speeds of harvesting and of a cache: `python -m benchmarks.bench_harvest [--model M] [--layer L]`, JSON on stdout.

harvest_tok_s and bare_tok_s are over the same rows: a bare pass runs the model to the end of the layer and keeps
nothing; a harvest writes mlp_in and mlp_out, with statistics, checksums and the finished folder. They alternate, so that a
machine that warms up or gets busy slows both. write_MB_s and read_random_tok_s are of synthetic arrays, 576 wide, float16: two
sites written shard by shard as a harvest does, brought to disk; then one site read in shuffled batches of 4,096, page
cache warm, as stored; the float32 figures are for delivery as float32, of one site and of two.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from probe.activations.cache import Cache
from probe.activations.files import save_tokens, write_stats
from probe.activations.harvest import harvest
from probe.activations.layout import Layout
from probe.artifacts.manifest import Manifest, write_manifest
from probe.artifacts.tensors import write_tensors
from probe.model.load import DEFAULT, load_model
from probe.text.tokens import TokenSet

CONTEXT, WIDTH, SHARD_ROWS = 128, 576, 512


def random_tokens(rows: int, vocabulary: int) -> TokenSet:
    """Rows of random ids, ten to a document, each beginning with a special token."""
    tokens = torch.randint(vocabulary, (rows, CONTEXT), generator=torch.Generator().manual_seed(0))
    special = torch.zeros_like(tokens, dtype=torch.bool)
    special[:, 0] = True
    doc = torch.arange(rows, dtype=torch.int32) // 10
    return TokenSet(tokens, doc, [str(i) for i in range(int(doc[-1]) + 1)], special)


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def harvest_speed(name: str, layer: int, batch: int, folder: Path, rounds: int = 7) -> dict[str, float]:
    """Tokens a second of bare passes and of harvests, taken in turns; medians of the turns, and of their ratios."""
    model = load_model(name)
    tokens = random_tokens(8 * batch, model.cfg.d_vocab)
    sites = [f"mlp_in.{layer}", f"mlp_out.{layer}"]

    def bare() -> None:
        with torch.no_grad():
            for rows in tokens.tokens.split(batch):
                model(rows, stop_at_layer=layer + 1)

    def harvesting(turn: int) -> None:
        harvest(model, tokens, sites, folder / f"turn-{turn}", batch=batch)

    bare()
    harvesting(-1)
    times: list[tuple[float, float]] = []
    for turn in range(rounds):
        first = seconds(bare) if turn % 2 else None
        harvested = seconds(lambda turn=turn: harvesting(turn))
        times.append((seconds(bare) if first is None else first, harvested))
    without, within = (tokens.tokens.numel() / statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(bare / harvested for bare, harvested in times)
    return {"bare_tok_s": without, "harvest_tok_s": within, "ratio": ratio}


def write_speed(folder: Path, shards: int = 6) -> tuple[Cache, float]:
    """A synthetic cache of two sites, and the MB/s its shards were written and brought to disk with."""
    layout = Layout(
        {f"blocks.0.mlp.hook_{end}": WIDTH for end in ("in", "out")},
        "float16",
        CONTEXT,
        shards * SHARD_ROWS,
        SHARD_ROWS,
    )
    tokens = random_tokens(layout.rows, 1000)
    arrays = {site: torch.randn(layout.shard_tokens, WIDTH).half() for site in layout.widths}
    moments = {f"{part}.{site}": torch.ones(WIDTH, dtype=torch.float64) for part in ("mean", "m2") for site in arrays}
    shard = {**arrays, **moments, "count": torch.tensor([1]), "tokens": tokens.tokens[:SHARD_ROWS].reshape(-1).int()}
    folder.mkdir()
    save_tokens(folder / "tokens.safetensors", tokens)
    files: dict[str, str] = {}

    def write() -> None:
        for index in range(shards):
            files[layout.name_of(index)] = write_tensors(folder / layout.name_of(index), shard)

    took = seconds(write)
    write_stats(folder, layout)
    facts = {"layout": asdict(layout), "held_out_documents": []}
    manifest = write_manifest(folder, Manifest("cache", folder.name, facts=facts), files)
    return Cache(folder, manifest), shards * sum(t.nbytes for t in shard.values()) / took / 1e6


def read_speed(cache: Cache, sites: int, dtype: torch.dtype) -> float:
    """Tokens a second of one shuffled epoch in batches of 4,096, the second time round."""
    batches = cache.batches(list(cache.sites)[:sites], 4096, dtype=dtype)
    list(map(len, (b.indices for b in batches)))
    return len(batches.eligible) / seconds(lambda: [b.indices for b in batches])


def measure(model: str = DEFAULT, layer: int = 4, batch: int = 16) -> dict[str, float]:
    """All four speeds of this machine."""
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as scratch:
        cache, write = write_speed(Path(scratch) / "synthetic")
        read = {
            "read_random_tok_s": read_speed(cache, 1, torch.float16),
            "read_random_float32_tok_s": read_speed(cache, 1, torch.float32),
            "read_random_float32_pairs_s": read_speed(cache, 2, torch.float32),
        }
        return {**harvest_speed(model, layer, batch, Path(scratch)), "write_MB_s": write, **read}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--layer", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16, help="rows of 128 tokens per forward pass")
    given = parser.parse_args()
    found = measure(given.model, given.layer, given.batch)
    sys.stdout.write(json.dumps({k: round(v, 3 if "ratio" in k else 0) for k, v in found.items()}) + "\n")


if __name__ == "__main__":
    main()
