"""Where training data comes from: batches of (inputs, targets), with a place that can be saved.

The trainer and the evaluations read `Pairs` and never ask what is behind it: two sites of a cache, the same site twice
(an SAE), several sites side by side (a crosscoder), or tensors in memory.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.activations.shuffle import Split
from probe.dictionaries import Standardiser
from probe.dictionaries.store import AnyDictionary
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.activations.batches import Batch
    from probe.activations.cache import Cache


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
    """Sites of a cache (or of `LiveActivations`, which answer alike), special tokens left out; several sites on a side stand
    side by side. BadInput where it lacks one.

    `source`: what is read. Pairs of one source can be read together, see `together`.
    """

    def __init__(self, cache: "Cache", site_in: str | Sequence[str], site_out: str | Sequence[str]):
        self.source = cache
        self.sites_in, self.sites_out = ([cache.site(s) for s in _sites(side)] for side in (site_in, site_out))
        self.name, self.identity = cache.name, cache_identity(cache)
        self.d_in, self.d_out = (sum(cache.width(s) for s in side) for side in (self.sites_in, self.sites_out))
        self.n_tokens = len(cache.eligible("train"))
        self._documents = cache.document

    def standardiser(self) -> Standardiser:
        sides = (self.sites_in, self.sites_out)
        return Standardiser.of(*([(self.source.mean(s), self.source.var(s)) for s in side] for side in sides))

    def batches(
        self,
        batch: int,
        *,
        epochs: int = 1,
        seed: int = 0,
        split: Split = "train",
        position: dict[str, Any] | None = None,
    ) -> Iterator[Pair]:
        return (found[0] for found in _read([self], batch, epochs, seed, split, position))

    def cut(self, sites: Sequence[str], found: "Batch") -> Pair:
        """This pair's part of a batch in which `sites` were read."""
        inputs, targets = (
            _beside([found.activations[sites.index(s)] for s in side]) for side in (self.sites_in, self.sites_out)
        )
        return Pair(inputs, targets, self._documents[found.indices], found.position.to_dict())


class JoinedPairs:
    """One site in each of several caches of the same tokens, side by side as inputs and as targets: what a crosscoder of
    several models is trained on. Raises BadInput where the caches are not of the same tokens, in the same order and split.
    """

    def __init__(self, places: Sequence[tuple["Cache", str]]):
        self.caches = [cache for cache, _ in places]
        self.sites = [cache.site(site) for cache, site in places]
        marks = {_tokens_of(cache) for cache in self.caches}
        if len(marks) != 1:
            names = ", ".join(str(cache.folder.name) for cache in self.caches)
            raise BadInput(
                f"{names} are not caches of the same tokens; harvest the same text with the same seed and split."
            )
        self.name = "+".join(cache.folder.name for cache in self.caches)
        self.identity = "+".join(cache_identity(cache) for cache in self.caches)
        self.d_in = self.d_out = sum(c.width(s) for c, s in zip(self.caches, self.sites, strict=True))
        self.n_tokens = len(self.caches[0].eligible("train"))

    def standardiser(self) -> Standardiser:
        moments = [(c.mean(s), c.var(s)) for c, s in zip(self.caches, self.sites, strict=True)]
        return Standardiser.of(moments, moments)

    def batches(
        self,
        batch: int,
        *,
        epochs: int = 1,
        seed: int = 0,
        split: Split = "train",
        position: dict[str, Any] | None = None,
    ) -> Iterator[Pair]:
        first = self.caches[0]
        for found in first.batches([self.sites[0]], batch, seed=seed, split=split, epochs=epochs, position=position):
            rest = [c.rows(s, found.indices) for c, s in zip(self.caches[1:], self.sites[1:], strict=True)]
            whole = _beside([found.activations[0], *rest])
            yield Pair(whole, whole, first.document[found.indices], found.position.to_dict())


def _sites(side: str | Sequence[str]) -> list[str]:
    return [side] if isinstance(side, str) else list(side)


def _beside(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _tokens_of(cache: "Cache") -> str:
    """What decides which token stands where, and in which split."""
    own = ("token_set", "held_out", "seed")
    return json.dumps({key: cache.manifest.config.get(key) for key in own}, sort_keys=True)


def together(
    pairs: Sequence[Pairs],
    batch: int,
    *,
    epochs: int = 1,
    seed: int = 0,
    split: Split = "train",
    position: dict[str, Any] | None = None,
) -> Iterator[list[Pair]]:
    """The batches of several pairs side by side; pairs of one source are read from it once."""
    sources = {id(getattr(one, "source", None)) for one in pairs}
    if len(sources) == 1 and all(isinstance(one, CachePairs) for one in pairs):
        yield from _read(cast(list[CachePairs], list(pairs)), batch, epochs, seed, split, position)
        return
    each = [one.batches(batch, epochs=epochs, seed=seed, split=split, position=position) for one in pairs]
    yield from (list(found) for found in zip(*each, strict=True))


def _read(
    pairs: list[CachePairs], batch: int, epochs: int, seed: int, split: Split, position: dict[str, Any] | None
) -> Iterator[list[Pair]]:
    sites = list(dict.fromkeys(site for one in pairs for site in (*one.sites_in, *one.sites_out)))
    for found in pairs[0].source.batches(sites, batch, seed=seed, split=split, epochs=epochs, position=position):
        yield [one.cut(sites, found) for one in pairs]


def cache_identity(cache: "Cache") -> str:
    """12 hex digits over all that decides what a cache holds: weights, tokens, sites, split (not its name or its place)."""
    return hashlib.blake2b(json.dumps(cache.manifest.config, sort_keys=True).encode(), digest_size=6).hexdigest()


def identity_of(pairs: Pairs) -> str:
    """Which data this is, so that a run is never continued on other data; empty where the source does not say."""
    return getattr(pairs, "identity", "")


def pairs_for(source: "Cache | Pairs", dictionary: AnyDictionary) -> Pairs:
    """The pairs a dictionary trains on. Raises BadInput where widths do not fit."""
    if not hasattr(source, "standardiser"):
        source = CachePairs(cast("Cache", source), dictionary.sites_in, dictionary.sites_out)
    pairs = cast(Pairs, source)
    if (pairs.d_in, pairs.d_out) != (dictionary.d_in, dictionary.d_out):
        raise BadInput(
            f"The dictionary maps {dictionary.d_in} to {dictionary.d_out} dimensions, but '{pairs.name}' holds "
            f"{pairs.d_in} and {pairs.d_out}. Choose d_in and d_out to fit the sites."
        )
    if not pairs.n_tokens:
        raise BadInput(f"'{pairs.name}' has no tokens to train on; harvest more text.")
    return pairs
