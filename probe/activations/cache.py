"""Activations on disk, read as if they were in memory: aligned sites, any token at random, shuffled batches, checks.

    cache = open_cache("runs/caches/layer4", model)
    for batch in cache.batches(["mlp_in.4", "mlp_out.4"], 4096):
        inputs, targets = batch.activations            # float32, the same tokens in both

Row order is the token set's; token `i` is row `i // context`, position `i % context`. Shards are memory-mapped, so opening is
instant and only what is touched is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.activations.batches import Batches
from probe.activations.checks import damaged_files, require_parts, require_whole
from probe.activations.files import STATS, TOKENS, load_tokens, mend
from probe.activations.layout import Layout
from probe.activations.repair import repair
from probe.activations.shuffle import Position, Split
from probe.artifacts.manifest import Manifest, found_folder, read_manifest, require_files
from probe.artifacts.names import partial
from probe.artifacts.refuse_other_model import check_model
from probe.artifacts.tensors import read_tensors
from probe.artifacts.untrusted import reading
from probe.errors import BadInput, Unavailable
from probe.model.sites import Site, as_dtype, expanded, parse_site
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.beside import loads
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record, frame
from probe.show.values import arrays_of

if TYPE_CHECKING:
    import pandas
    from transformer_lens.model_bridge import TransformerBridge

    from probe.text.tokens import TokenSet


@dataclass(frozen=True)
class BatchOrder(Settings):
    """Which tokens of a cache are delivered, and how often."""

    seed: int = 0
    "Of the shuffle, another each epoch."
    split: Split = "train"
    "`train`, `held_out` or `all` documents."
    special: bool = False
    "Whether special tokens (BOS, padding) are delivered too."
    epochs: int | None = 1
    "How many in all; None for no end."
    drop_last: bool = False
    "Leave out an epoch's last batch if it would be smaller than the others."


class Cache(Record, page=True):
    """An opened cache. Token indices count through the whole cache, special tokens and padding included."""

    def __init__(self, folder: Path, manifest: Manifest):
        self.folder, self.manifest = folder, manifest
        self.layout = Layout(**manifest.facts["layout"])
        self.sites = tuple(self.layout.widths)
        self.n_tokens = self.layout.tokens
        self._open: dict[int, dict[str, Tensor]] = {}
        self._stats = read_tensors(folder / STATS)
        self._ids = read_tensors(folder / TOKENS)

    def __len__(self) -> int:
        return self.n_tokens

    def __repr__(self) -> str:
        sites = ", ".join(f"{parse_site(s).short} ({w})" for s, w in self.layout.widths.items())
        return (
            f"Cache({self.folder.name}: {self.n_tokens:,} tokens of {self.model_name} at {sites}, {self.layout.dtype})"
        )

    def site_rows(self) -> list[dict[str, Any]]:
        """What it holds of each site, and how large its activations are."""
        return [
            {
                "site": parse_site(s).short,
                "width": w,
                "mean norm": float(self.mean(s).norm()),
                "total variance": float(self.var(s).sum()),
            }
            for s, w in self.layout.widths.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: what it holds, without the activations."""
        facts = {
            "name": self.name,
            "folder": str(self.folder),
            "model": self.model_name,
            "tokens": self.n_tokens,
            "dtype": self.layout.dtype,
        }
        return {**facts, "sites": list(self.sites), "statistics": self.site_rows()}

    def to_pandas(self) -> "pandas.DataFrame":
        """The sites as a pandas frame; `rows` gives activations."""
        return frame(self.site_rows)

    def arrays(self) -> dict[str, np.ndarray]:
        """Mean and variance of each site; activations are read in `batches`, or by `rows`."""
        return arrays_of({k: v for k, v in self._stats.items() if k.startswith(("mean.", "var."))})

    def panels(self) -> list[Panel]:
        """The sites."""
        return [Rows("Sites", self.site_rows()), Sentence(repr(self))]

    @property
    def name(self) -> str:
        """Its artifact's."""
        return self.folder.name

    @property
    def model_name(self) -> str:
        """The model it was made with."""
        return self.manifest.model.name if self.manifest.model else "an unknown model"

    @property
    def n_ordinary(self) -> int:
        """Tokens that are not special: those the mean, the variance and default batches are over."""
        return int(self._stats["count"])

    @property
    def special(self) -> np.ndarray:
        """Which tokens are special (BOS, EOS, padding), bool [n_tokens]."""
        return self._ids["special"].numpy().reshape(-1)

    @property
    def document(self) -> np.ndarray:
        """Document index of each token, int32 [n_tokens]."""
        return np.repeat(self._ids["doc"].numpy(), self.layout.context)

    @property
    def held_out(self) -> np.ndarray:
        """Which tokens belong to held-out documents, bool [n_tokens]."""
        rows = np.isin(self._ids["doc"].numpy(), self.manifest.facts["held_out_documents"])
        return np.repeat(rows, self.layout.context)

    def site(self, site: str | Site) -> str:
        """The canonical name of a site of this cache; BadInput, naming those it has, for another."""
        name = parse_site(site).name
        if name not in self.layout.widths:
            held = ", ".join(parse_site(s).short for s in self.sites)
            raise BadInput(
                f"{self.folder} does not hold {parse_site(name).short}, but {held}. Harvest it, or choose one of these."
            )
        return name

    def width(self, site: str | Site) -> int:
        """Numbers per token at a site."""
        return self.layout.widths[self.site(site)]

    def mean(self, site: str | Site) -> Float[Tensor, "width"]:
        """Mean over all tokens that are not special, float64."""
        return self._stats[f"mean.{self.site(site)}"].clone()

    def var(self, site: str | Site) -> Float[Tensor, "width"]:
        """Population variance over all tokens that are not special, float64."""
        return self._stats[f"var.{self.site(site)}"].clone()

    def tokens(self) -> "TokenSet":
        """The token set this cache was made from."""
        return load_tokens(self.folder / TOKENS)

    def shard(self, index: int) -> dict[str, Tensor]:
        """One shard's tensors, memory-mapped. Do not write to them."""
        if index not in self._open:
            name = self.layout.name_of(index)
            require_files(self.folder, self.manifest, [name], mend(name, self.folder.name))
            tensors = read_tensors(self.folder / name)
            if not self._fits(tensors, self.layout.tokens_of(index)):
                raise Unavailable(
                    f"{name} of {self.folder} does not hold the tokens and sites it should. {mend(name, self.folder.name)}"
                )
            self._open[index] = tensors
        return self._open[index]

    def _fits(self, tensors: dict[str, Tensor], n: int) -> bool:
        """Whether a shard holds, for so many tokens, what the layout says."""
        dtype = as_dtype(self.layout.dtype)
        return len(tensors.get("tokens", ())) == n and all(
            s in tensors and tensors[s].shape == (n, w) and tensors[s].dtype == dtype
            for s, w in self.layout.widths.items()
        )

    def rows(
        self,
        site: str | Site,
        indices: Int[Tensor, "token"] | Sequence[int] | np.ndarray,
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "token width"]:
        """Activations of the given tokens, in the order given."""
        wanted = np.asarray(indices, dtype=np.int64)
        beyond = wanted[(wanted < 0) | (wanted >= self.n_tokens)]
        if len(beyond):
            raise BadInput(f"Token {beyond[0]} was asked for; {self.folder} holds tokens 0 to {self.n_tokens - 1}.")
        return self.gather([self.site(site)], wanted, dtype)[0]

    def gather(self, sites: Sequence[str], indices: np.ndarray, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Activations of some tokens at several (canonical) sites; shards are read forward, whatever the order asked for."""
        forward = np.argsort(indices)
        edges = np.searchsorted(indices[forward], np.arange(self.layout.shards + 1) * self.layout.shard_tokens)
        stored = as_dtype(self.layout.dtype)
        whole = [torch.empty(len(indices), self.layout.widths[site], dtype=stored) for site in sites]
        for shard in np.flatnonzero(np.diff(edges)).tolist():
            chosen = forward[edges[shard] : edges[shard + 1]]
            local = indices[chosen] - shard * self.layout.shard_tokens
            for site, into in zip(sites, whole, strict=True):
                _bits(into)[chosen] = _bits(self.shard(shard)[site])[local]
        return tuple(found.to(dtype) for found in whole)

    def eligible(self, split: Split = "train", special: bool = False) -> np.ndarray:
        """Indices of the tokens of a split, ascending; without the special ones unless asked for."""
        chosen = np.ones(self.n_tokens, bool) if special else ~self.special
        if split not in ("train", "held_out", "all"):
            raise BadInput(f"'{split}' is no split of a cache; choose train, held_out or all.")
        if split != "all":
            chosen = chosen & (self.held_out == (split == "held_out"))
        return np.flatnonzero(chosen).astype(np.int32 if self.n_tokens < 2**31 else np.int64)

    @takes_fields("order", BatchOrder)
    def batches(
        self,
        sites: Sequence[str | Site],
        batch_size: int,
        *,
        order: BatchOrder = BatchOrder(),
        position: Position | dict[str, Any] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Batches:
        """Batches of aligned activations, shuffled over the whole cache; every token of the split once an epoch.

        sites: `resid_post.*` is every one of this kind that there is. order: its fields are keywords too. position: continue
        after a batch that had this position (its seed, split and special are then used).
        """
        fresh = Position(order.seed, order.split, order.special)
        start = Position.from_dict(position) if position is not None else fresh
        names = [self.site(s) for s in expanded(sites, self.sites)]
        return Batches(self, names, batch_size, start, order.epochs, dtype, order.drop_last)

    def verify(self, progress: Progress = SILENT) -> list[str]:
        """Names of the files that are missing or differ from their checksum; reads the whole cache."""
        return damaged_files(self.folder, self.manifest, progress)

    def repair(self, model: "TransformerBridge", shard: int | str, progress: Progress = SILENT) -> bool:
        """Make one shard again and put it in place. True if it came out as it was first written, bit for bit.

        It does on the same kind of machine; elsewhere the last bits of a matrix product may differ, and then the
        checksum, the mean and the variance are brought up to date. See `probe.activations.repair`.
        """
        return repair(self, model, shard, progress)

    def reload(self, shard: int) -> None:
        """Forget a mapped shard and the statistics, after their files changed."""
        self._open.pop(shard, None)
        self._stats = read_tensors(self.folder / STATS)


def _bits(tensor: Tensor) -> np.ndarray:
    """The same memory as integers: numpy has no bfloat16, and picks rows without waking torch's threads for each shard."""
    return tensor.view(torch.int16 if tensor.element_size() == 2 else torch.int32).numpy()


@loads
def open_cache(folder: str | Path, model: "TransformerBridge | None" = None, *, check: bool = True) -> Cache:
    """Open a finished cache. With a model, refuse a cache that was made from another one (BadInput).

    check: raise Unavailable, naming them, if shards are missing or truncated, or the tokens or statistics damaged (shards are
    read for their checksums when they are first used; `verify` reads all). Turn it off to open a damaged cache for `repair`.

    >>> cache = ow.open_cache("small", model)
    >>> cache.n_tokens
    128
    """
    folder = found_folder("cache", folder, "Make one with harvest, or with `openwork harvest`.")
    if not folder.exists() and partial(folder).exists():
        raise BadInput(f"{folder} is not finished. Harvest it again with resume to continue.")
    manifest = read_manifest(folder, "cache")
    if model is not None:
        from probe.model.load import stamp

        check_model(manifest, stamp(model), folder)
    require_whole(folder, manifest, shards=check)
    with reading(folder, "harvest it again, or see `openwork harvest --repair`"):
        cache = Cache(folder, manifest)
        require_parts(manifest, cache._ids, cache._stats)
    return cache
