"""Run a model over tokens once and keep what chosen sites did: `harvest(model, tokens, ["mlp_in.4", "mlp_out.4"], folder)`.

The cache is made in `<folder>.partial`, shard after shard, and renamed when it is whole. Each shard is written in the
background while the model already works on the next; the next one's first values are kept only when the last shard
is safely on disk, so a process killed at any moment loses at most one shard, and never a finished one. Under torchrun the
processes deal the shards among themselves (see `world`), and the first of them completes the cache.
"""

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch

from probe.activations.cache import Cache, open_cache
from probe.activations.files import STATS, TOKENS, save_tokens, write_stats
from probe.activations.layout import Layout, make_layout
from probe.activations.recorder import Recorder, with_moments
from probe.activations.shuffle import held_out_documents
from probe.artifacts.disk_space import CACHE, require_space
from probe.artifacts.journal import JOURNAL, Journal
from probe.artifacts.locks.claims import remove_hidden
from probe.artifacts.locks.run_claims import claimed
from probe.artifacts.manifest import Manifest, write_manifest
from probe.artifacts.names import as_path, partial
from probe.artifacts.renames import rename_new, sync_folder
from probe.artifacts.tensors import write_tensors
from probe.distributed import world
from probe.doc import Doc
from probe.errors import BadInput, Unavailable
from probe.model.load import stamp
from probe.model.sites import Site
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.text.tokens import TokenSet


@dataclass(frozen=True)
class HarvestConfig(Settings):
    """How a cache is made."""

    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    "As stored."
    shard_tokens: Annotated[int, Doc(least=1)] = 65536
    "Tokens of a file."
    batch: Annotated[int, Doc(least=1)] = 16
    "Rows per forward pass."
    held_out: Annotated[float, Doc(least=0, below=1)] = 0.1
    "Share of the documents kept for evaluation."
    seed: Annotated[int, Doc(least=0)] = 0
    "Chooses those documents."


@takes_fields("config", HarvestConfig)
def harvest(
    model: "TransformerBridge",
    tokens: "TokenSet",
    sites: Sequence[str | Site],
    folder: str | Path,
    *,
    config: HarvestConfig = HarvestConfig(),
    resume: bool = False,
    progress: Progress = SILENT,
) -> Cache:
    """Write the activations of `sites` at every token into a new cache at `folder`, and open it.

    config: its fields are keywords too. resume: continue an unfinished cache of exactly these settings; a finished one is opened.
    Raises BadInput for unknown sites, values the dtype cannot hold, or a folder in the way; Unavailable for a full disk.

    >>> tokens = ow.tokenize(model, ["One two three four five six seven."] * 4, context=8)
    >>> cache = ow.harvest(model, tokens, ["mlp_in.1", "mlp_out.1"], folder)
    >>> cache.sites
    ('blocks.1.mlp.hook_in', 'blocks.1.mlp.hook_out')
    """
    folder = as_path(folder)
    layout = make_layout(model, sites, (len(tokens), tokens.context), config.dtype, config.shard_tokens)
    fixed = settings(model, tokens, layout, config.batch, config.held_out, config.seed)
    with claimed([folder]):
        if folder.exists():
            return _finished(folder, fixed, resume, model)
        require_space(folder, _to_write(folder, layout), CACHE)
        with _explained(folder), _journal(folder, fixed, resume) as journal:
            with world().agreed():
                if world().first:
                    save_tokens(partial(folder) / TOKENS, tokens)
            _make_shards(Recorder(model, tokens, layout, config.batch), journal, progress)
            with world().agreed():
                if world().first:
                    _finish(folder, model, tokens, layout, fixed, journal)
        return open_cache(folder, model)


def settings(
    model: "TransformerBridge", tokens: "TokenSet", layout: Layout, batch: int, held_out: float, seed: int
) -> dict[str, Any]:
    """Everything that decides what a cache contains; what two harvests must share to be one."""
    if batch < 1 or not 0 <= held_out < 1:
        raise BadInput(f"batch must be at least 1 (it is {batch}) and held_out from 0 to below 1 (it is {held_out}).")
    mark = stamp(model)
    fixed = {"weights": mark.weights, "tokenizer": mark.tokenizer, "token_set": fingerprint(tokens)}
    # Interventions in force are harvested too. The fingerprint cannot see them, so say where they were.
    fixed["hooks"] = sorted({point.name for point in model.hook_dict.values() if point.fwd_hooks})
    return {**fixed, **asdict(layout), "batch": batch, "held_out": held_out, "seed": seed}


def fingerprint(tokens: "TokenSet") -> str:
    """32 hex digits over the ids, documents and special marks of a token set."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (tokens.tokens.long(), tokens.doc.long(), tokens.special):
        digest.update(part.contiguous().view(torch.uint8).numpy().data)
    digest.update("\0".join(tokens.documents).encode())
    return digest.hexdigest()


def _finished(folder: Path, config: dict[str, Any], resume: bool, model: "TransformerBridge") -> Cache:
    """The cache that is already there, when it is the one wanted."""
    if not resume:
        raise BadInput(
            f"{folder} exists already. Choose another name, delete it, or resume to open it if it is the same."
        )
    cache = open_cache(folder, model)
    differing = sorted(k for k in config if config[k] != cache.manifest.config.get(k))
    if differing:
        raise BadInput(f"{folder} exists already, with other settings ({', '.join(differing)}). Choose another name.")
    return cache


def _journal(folder: Path, config: dict[str, Any], resume: bool) -> Journal:
    """The first process begins or continues the harvest; then the others join it, and none starts before all are there."""
    with world().agreed():
        main = _main_journal(folder, config, resume) if world().first else None
    with world().agreed():
        return main or Journal.join(partial(folder), world().rank)


def _main_journal(folder: Path, config: dict[str, Any], resume: bool) -> Journal:
    unfinished = partial(folder)
    if not Journal.begun(unfinished):
        _require_nothing(unfinished)
        return Journal.start(unfinished, config)
    if not resume:
        raise BadInput(f"{unfinished} holds an unfinished harvest. Resume it, or delete that folder to start over.")
    return Journal.resume(unfinished, config)


def _require_nothing(unfinished: Path) -> None:
    """Refuse a folder in the way that is none of a harvest killed in its first moments, which leaves a torn diary at most."""
    others = (
        [n for n in os.listdir(unfinished) if n != JOURNAL and not n.startswith(".")] if unfinished.exists() else []
    )
    if others:
        raise BadInput(
            f"{unfinished} holds nothing that could be continued, but {', '.join(others[:3])}. Move that folder away, or choose "
            "another name."
        )


def _to_write(folder: Path, layout: Layout) -> int:
    """Bytes of the cache that are not on disk yet."""
    unfinished = partial(folder)
    there = sum(p.stat().st_size for p in unfinished.glob("*.safetensors")) if unfinished.exists() else 0
    return max(0, layout.bytes - there)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn what a disk says into a sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "The disk is full" if full else f"Writing failed ({error.strerror or error})"
        kept = "Finished shards are kept; free some space and harvest again with resume to continue."
        raise Unavailable(f"{reason} at {partial(folder)}. {kept}") from error


def _make_shards(recorder: Recorder, journal: Journal, progress: Progress) -> None:
    layout, n = recorder.layout, world().size
    missing = [i for i in range(layout.shards) if i not in journal.done]
    left, own = (sum(layout.tokens_of(i) for i in some) for some in (missing, missing[world().rank :: n]))
    with progress.stage("harvest", total=layout.tokens, unit="tok") as step, Writer(journal, layout) as writer:
        step(layout.tokens - left)
        for first in range(0, len(missing), n):  # a shard each, then a look whether somebody stopped
            with world().agreed():
                for shard in missing[first : first + n][world().rank :][:1]:
                    writer.write(shard, recorder.record(shard, writer.wait, lambda done: step(done * left / own)))
        with world().agreed():
            writer.wait()


class Writer:
    """Writes one shard at a time in the background; `wait` returns when it is on disk, or raises what went wrong."""

    def __init__(self, journal: Journal, layout: Layout):
        self.journal, self.layout = journal, layout
        self.pool, self.pending = ThreadPoolExecutor(1), None

    pending: "Future[None] | None"

    def write(self, shard: int, tensors: dict[str, Any]) -> None:
        """Begin to write; the tensors must stay as they are until `wait` returned."""
        self.wait()
        self.pending = self.pool.submit(self._write, shard, tensors)

    def _write(self, shard: int, tensors: dict[str, Any]) -> None:
        full = with_moments(tensors, self.layout.widths)
        name = self.layout.name_of(shard)
        self.journal.add(shard, name, write_tensors(self.journal.path.parent / name, full))

    def wait(self) -> None:
        pending, self.pending = self.pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        # Also after an error or a cancellation: the shard being written is complete, so let it be finished.
        self.pool.shutdown(wait=True)


def _finish(
    folder: Path,
    model: "TransformerBridge",
    tokens: "TokenSet",
    layout: Layout,
    config: dict[str, Any],
    journal: Journal,
) -> None:
    """Write statistics and manifest, and give the folder its name."""
    unfinished = partial(folder)
    journal.merge()
    remove_hidden(unfinished)
    stats = write_stats(unfinished, layout)
    known = {layout.name_of(i): journal.done[i] for i in range(layout.shards)} | {STATS: stats}
    write_manifest(unfinished, _manifest(folder, model, tokens, layout, config), known)
    rename_new(unfinished, folder)
    sync_folder(folder.parent)


def _manifest(
    folder: Path, model: "TransformerBridge", tokens: "TokenSet", layout: Layout, config: dict[str, Any]
) -> Manifest:
    documents = tokens.doc.numpy()
    facts = {
        "layout": asdict(layout),
        "tokens": layout.tokens,
        "special_tokens": int(tokens.special.sum()),
        "documents": len(np.unique(documents)),
        "held_out_documents": held_out_documents(documents, config["held_out"], config["seed"]).tolist(),
        "bytes": {p.name: p.stat().st_size for p in sorted(partial(folder).glob("*.safetensors"))},
    }
    return Manifest(
        "cache",
        folder.name,
        stamp(model),
        tuple(layout.widths),
        layout.dtype,
        config["seed"],
        config=config,
        facts=facts,
    )
