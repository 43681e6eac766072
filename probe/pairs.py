"""Where training data comes from: batches of (inputs, targets), with a place that can be saved.

The trainer and the evaluations read `Pairs` and never ask what is behind it: two sites of a cache, the same site twice
(an SAE), or tensors in memory.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.dictionaries import Dictionary, Standardiser
from probe.errors import BadInput
from probe.shuffle import Split

if TYPE_CHECKING:
    from probe.cache import Cache


class Pair(NamedTuple):
    """One batch, the document of each row, and the place after it (JSON-able), from which `batches` continues exactly."""

    inputs: Float[Tensor, "row d_in"]
    targets: Float[Tensor, "row d_out"]
    documents: Int[np.ndarray, " row"]
    position: dict[str, Any]


class Pairs(Protocol):
    """A source of training data. `n_tokens`: tokens of the train split in one epoch. `name`: for manifests and errors.

    A source may also have an `identity`, see `identity_of`.
    """

    name: str
    d_in: int
    d_out: int
    n_tokens: int

    def standardiser(self) -> Standardiser:
        """Means and scales of inputs and targets (a cache's are of all its ordinary tokens, the held-out ones too)."""
        ...

    def batches(
        self,
        batch: int,
        *,
        epochs: int = 1,
        seed: int = 0,
        split: Split = "train",
        position: dict[str, Any] | None = None,
    ) -> Iterator[Pair]:
        """Shuffled batches, the same for the same seed."""
        ...


class TensorPairs:
    """Inputs and targets in memory; the last `held_out` share is the held-out split."""

    name, identity = "tensors", ""

    def __init__(
        self, inputs: Float[Tensor, "token d_in"], targets: Float[Tensor, "token d_out"], held_out: float = 0.1
    ):
        if len(inputs) != len(targets):
            raise BadInput(f"There are {len(inputs)} inputs and {len(targets)} targets; each token needs one of both.")
        self.inputs, self.targets = inputs, targets
        self.n_tokens = len(inputs) - int(held_out * len(inputs))
        self.d_in, self.d_out = inputs.shape[1], targets.shape[1]

    def standardiser(self) -> Standardiser:
        return Standardiser.fit(self.inputs[: self.n_tokens], self.targets[: self.n_tokens])

    def batches(
        self,
        batch: int,
        *,
        epochs: int = 1,
        seed: int = 0,
        split: Split = "train",
        position: dict[str, Any] | None = None,
    ) -> Iterator[Pair]:
        start = position or {"epoch": 0, "taken": 0}
        first, n = (0, self.n_tokens) if split == "train" else (self.n_tokens, len(self.inputs) - self.n_tokens)
        for epoch in range(start["epoch"], epochs):
            generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
            order = first + torch.randperm(n, generator=generator)
            done = start["taken"] if epoch == start["epoch"] else 0
            for begin in range(done, n, batch):
                rows = order[begin : begin + batch]
                place = {"epoch": epoch, "taken": begin + len(rows)}
                yield Pair(self.inputs[rows], self.targets[rows], np.zeros(len(rows), np.int32), place)


class CachePairs:
    """Two sites of a cache (or one twice), special tokens left out. Raises BadInput where the cache lacks a site."""

    def __init__(self, cache: "Cache", site_in: str, site_out: str):
        self.cache, self.site_in, self.site_out = cache, cache.site(site_in), cache.site(site_out)
        self.name, self.identity = cache.folder.name, cache_identity(cache)
        self.d_in, self.d_out = cache.width(site_in), cache.width(site_out)
        self.n_tokens = len(cache.eligible("train"))
        self._documents = cache.document

    def standardiser(self) -> Standardiser:
        stats = [(self.cache.mean(site), self.cache.var(site)) for site in (self.site_in, self.site_out)]
        return Standardiser.of(*stats[0], *stats[1])

    def batches(
        self,
        batch: int,
        *,
        epochs: int = 1,
        seed: int = 0,
        split: Split = "train",
        position: dict[str, Any] | None = None,
    ) -> Iterator[Pair]:
        sites = list(dict.fromkeys((self.site_in, self.site_out)))
        for found in self.cache.batches(sites, batch, seed=seed, split=split, epochs=epochs, position=position):
            documents = self._documents[found.indices]
            yield Pair(found.activations[0], found.activations[-1], documents, found.position.to_dict())


def cache_identity(cache: "Cache") -> str:
    """12 hex digits over all that decides what a cache holds: weights, tokens, sites, split (not its name or its place)."""
    return hashlib.blake2b(json.dumps(cache.manifest.config, sort_keys=True).encode(), digest_size=6).hexdigest()


def identity_of(pairs: Pairs) -> str:
    """Which data this is, so that a run is never continued on other data; empty where the source does not say."""
    return getattr(pairs, "identity", "")


def pairs_for(source: "Cache | Pairs", dictionary: Dictionary) -> Pairs:
    """The pairs a dictionary trains on. Raises BadInput where widths do not fit."""
    if not hasattr(source, "standardiser"):
        source = CachePairs(cast("Cache", source), dictionary.site_in, dictionary.site_out)
    pairs = cast(Pairs, source)
    if (pairs.d_in, pairs.d_out) != (dictionary.d_in, dictionary.d_out):
        raise BadInput(
            f"The dictionary maps {dictionary.d_in} to {dictionary.d_out} dimensions, but '{pairs.name}' holds "
            f"{pairs.d_in} and {pairs.d_out}. Choose d_in and d_out to fit the sites."
        )
    if not pairs.n_tokens:
        raise BadInput(f"'{pairs.name}' has no tokens to train on; harvest more text.")
    return pairs
