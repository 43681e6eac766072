"""Activations from a live stream: they go from the model to the trainer and never touch the disk.

    live = LiveActivations(model, tokens, ["mlp_in.4", "mlp_out.4"])
    train(dictionary, live, config, folder)

Rows are put into a seeded order and taken in blocks. The model runs on a block, its tokens (special ones left out) are put into
another seeded order, and batches are cut from one block after the other. So a place in the stream is a few numbers, and the
stream is continued exactly by running the model on one block again; memory is that of one block. Each token comes once an epoch,
but close to the others of its block, where a cache shuffles over everything. Every epoch costs a pass of the model, and so does
the start of a linear path, which is fitted on all tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.activations.harvest import settings
from probe.activations.layout import make_layout
from probe.activations.moments import Moments
from probe.activations.plan import pass_bytes
from probe.activations.recorder import PART
from probe.activations.shuffle import Split, checksum, held_out_documents, shuffled
from probe.activations.streaming_block import Block
from probe.artifacts.manifest import Manifest
from probe.asked_of import looked_at
from probe.errors import BadInput
from probe.model.load import stamp
from probe.model.sites import Site, expanded, parse_site
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.text.tokens import TokenSet


@dataclass(frozen=True)
class LivePosition(Record):
    """A place in a stream: `taken` tokens of block `block` of epoch `epoch` were delivered. `order`: checksum of the epoch's
    order of rows, so that a place in another stream is refused."""

    seed: int
    split: str
    epoch: int = 0
    block: int = 0
    taken: int = 0
    order: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(saved: dict[str, Any]) -> "LivePosition":
        try:
            return LivePosition(**{f.name: saved[f.name] for f in fields(LivePosition)})
        except (KeyError, TypeError) as error:
            raise BadInput(f"This is no position in a live stream: {saved!r}.") from error


@dataclass(frozen=True)
class LiveBatch(Record):
    """One tensor [token, width] per site, all of the same tokens (`indices` into the token set), and the place after them."""

    activations: tuple[Tensor, ...]
    indices: np.ndarray
    position: LivePosition


class LiveActivations:
    """What a model does at some sites on some tokens, made when it is asked for; to the trainer it looks like a `Cache`.

    block_tokens: tokens made at once. batch: rows a forward pass. held_out, seed: which documents are kept apart, as of
    `harvest`. Mean and variance are those of the first block of the train split (in the order of `seed`), not of all tokens,
    and the same each time. Under torchrun the processes share the forward passes, and all must read the stream together. Raises
    BadInput for unknown sites and blocks smaller than a row.

    >>> live = ow.LiveActivations(model, tokens, ["resid_post.1"])
    >>> live.n_tokens
    128
    """

    @looked_at
    def __init__(
        self,
        model: "TransformerBridge",
        tokens: "TokenSet",
        sites: Sequence[str | Site],
        *,
        block_tokens: int = 65536,
        batch: int = 16,
        held_out: float = 0.1,
        seed: int = 0,
        name: str = "",
    ):
        self.layout = make_layout(model, sites, (len(tokens), tokens.context), "float32", block_tokens)
        config = settings(model, tokens, self.layout, batch, held_out, seed)
        self.model, self.token_set, self.batch, self.seed = model, tokens, batch, seed
        self.sites, self.n_tokens = tuple(self.layout.widths), self.layout.tokens
        self.name = name or f"live-{stamp(model).name.rstrip('/').split('/')[-1]}"
        documents = tokens.doc.numpy()
        apart = held_out_documents(documents, held_out, seed)
        facts = {"held_out_documents": apart.tolist()}
        self.manifest = Manifest(
            "live", self.name, stamp(model), self.sites, "float32", seed, config=config, facts=facts
        )
        self._held_out = np.isin(documents, apart)
        self._special = tokens.special.numpy()
        self._block = Block(model, tokens.tokens, self.layout.widths, batch)
        self._moments: dict[str, Moments] = {}

    def __len__(self) -> int:
        return self.n_tokens

    def __repr__(self) -> str:
        sites = ", ".join(f"{parse_site(s).short} ({w})" for s, w in self.layout.widths.items())
        return f"LiveActivations({self.name}: {self.n_tokens:,} tokens at {sites}, {self.memory_bytes / 1e6:.0f} MB)"

    @property
    def memory_bytes(self) -> int:
        """Bytes a stream holds beside the model and its forward pass: one block at all sites, and its order."""
        rows = min(self.layout.shard_rows, self.layout.rows)
        return rows * self.layout.context * (4 * sum(self.layout.widths.values()) + 16)

    def pass_bytes(self) -> int:
        """Bytes that one batch takes on its way through the model; runs a few rows to see."""
        return pass_bytes(self.model, self.token_set, self.layout, self.batch)

    @property
    def document(self) -> np.ndarray:
        """Document index of each token, int32 [n_tokens]."""
        return np.repeat(self.token_set.doc.numpy(), self.layout.context)

    def tokens(self) -> "TokenSet":
        """The token set it runs the model on."""
        return self.token_set

    def site(self, site: str | Site) -> str:
        """The canonical name of a site of this stream; BadInput, naming those it has, for another."""
        name = parse_site(site).name
        if name not in self.layout.widths:
            held = ", ".join(parse_site(s).short for s in self.sites)
            raise BadInput(f"{self.name} does not read {parse_site(name).short}, but {held}. Name it in `sites`.")
        return name

    def width(self, site: str | Site) -> int:
        """Numbers per token at a site."""
        return self.layout.widths[self.site(site)]

    def mean(self, site: str | Site) -> Float[Tensor, "width"]:
        """Mean over the ordinary tokens of the first block, float64."""
        return self._first_moments(self.site(site)).mean.clone()

    def var(self, site: str | Site) -> Float[Tensor, "width"]:
        """Population variance over the ordinary tokens of the first block, float64."""
        return self._first_moments(self.site(site)).var

    def _first_moments(self, site: str) -> Moments:
        if not self._moments:
            rows = shuffled(self._rows("train"), self.seed, 0)[: self.layout.shard_rows]
            kept = torch.from_numpy(self._ordinary(rows))
            for name, values in self._block.of(rows, self.sites).items():
                parts = (values[some.to(values.device)] for some in kept.split(PART))
                self._moments[name] = sum((Moments.of(part) for part in parts), Moments.nothing(values.shape[1]))
        return self._moments[site]

    def eligible(self, split: Split = "train") -> np.ndarray:
        """Indices of the ordinary tokens of a split, ascending."""
        rows = self._rows(split)
        return (rows[:, None] * self.layout.context + np.arange(self.layout.context))[~self._special[rows]]

    def batches(
        self,
        sites: Sequence[str | Site],
        batch_size: int,
        *,
        seed: int = 0,
        split: Split = "train",
        epochs: int = 1,
        position: dict[str, Any] | None = None,
    ) -> Iterator[LiveBatch]:
        """Batches of aligned activations, every ordinary token of the split once an epoch; only an epoch's last may be smaller.

        position: continue after the batch that had it (its seed and split are then used).
        """
        if batch_size < 1:
            raise BadInput(f"A batch of {batch_size} tokens was asked for; it needs at least one.")
        place = LivePosition.from_dict(position) if position else LivePosition(seed, split)
        names = [self.site(s) for s in expanded(sites, self.sites)]
        for epoch in range(place.epoch, epochs):
            order = shuffled(self._rows(place.split), place.seed, epoch)
            place = _enter(place, epoch, checksum(order))
            for batch in self._epoch(order, names, batch_size, place):
                place = batch.position
                yield batch

    def _epoch(self, order: np.ndarray, sites: list[str], size: int, place: LivePosition) -> Iterator[LiveBatch]:
        """Cut batches from one block after the other; what is left of a block begins the next batch."""
        waiting: list[tuple[np.ndarray, list[Tensor]]] = []
        for block, first in enumerate(range(0, len(order), self.layout.shard_rows)):
            if block < place.block:
                continue
            rows = order[first : first + self.layout.shard_rows]
            chosen = np.random.default_rng([place.seed, place.epoch, block]).permutation(self._ordinary(rows))
            taken = place.taken if block == place.block else 0
            while taken < len(chosen):
                part = chosen[taken : taken + size - sum(len(indices) for indices, _ in waiting)]
                waiting.append(self._gather(rows, part, sites))
                taken += len(part)
                place = replace(place, block=block, taken=taken)
                if sum(len(indices) for indices, _ in waiting) == size:
                    yield _batch(waiting, place)
                    waiting = []
        if waiting:
            yield _batch(waiting, place)

    def _gather(self, rows: np.ndarray, part: np.ndarray, sites: list[str]) -> tuple[np.ndarray, list[Tensor]]:
        """Some tokens of a block (places in it): their indices in the token set, and their activations."""
        values, context = self._block.of(rows, sites), self.layout.context
        where = torch.from_numpy(part)
        return rows[part // context] * context + part % context, [values[s][where.to(values[s].device)] for s in sites]

    def _rows(self, split: str) -> np.ndarray:
        """Rows of a split, ascending."""
        if split not in ("train", "held_out", "all"):
            raise BadInput(f"'{split}' is no split of a stream; choose train, held_out or all.")
        return np.flatnonzero(self._held_out == (split == "held_out") if split != "all" else self._held_out | True)

    def _ordinary(self, rows: np.ndarray) -> np.ndarray:
        """Places, in a block of these rows, of the tokens that are not special."""
        return np.flatnonzero(~self._special[rows])


def _batch(parts: list[tuple[np.ndarray, list[Tensor]]], place: LivePosition) -> LiveBatch:
    """The parts of a batch, from one block or several, put together."""
    whole = tuple(torch.cat(values) for values in zip(*(values for _, values in parts), strict=True))
    return LiveBatch(whole, np.concatenate([indices for indices, _ in parts]), place)


def _enter(place: LivePosition, epoch: int, order: int) -> LivePosition:
    """The beginning of an epoch, or the place in it that was saved, if the order is still the same."""
    if place.epoch != epoch or not (place.block or place.taken):
        return replace(place, epoch=epoch, block=0, taken=0, order=order)
    if place.order != order:
        raise BadInput(
            "The saved position belongs to another order of rows: other tokens, or another version of numpy. "
            "Begin a new epoch instead."
        )
    return place
