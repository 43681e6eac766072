"""Which units are meant, and what they do block after block: rows are read from the cache and run through the units."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from probe.dictionaries import CrossLayerTranscoder, Dictionary
from probe.errors import BadInput
from probe.features.measuring.latents import AnyDictionary, latents_of
from probe.features.measuring.neurons import neurons_of
from probe.features.measuring.sources import Units
from probe.features.measuring.tally import Block
from probe.model.sites import parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache


def units_of(model: "TransformerBridge", what: AnyDictionary | int, cache: "Cache") -> Units:
    """The latents of a dictionary or the neurons of the layer of that number. BadInput where the cache lacks what they read."""
    if isinstance(what, bool) or not isinstance(what, int | Dictionary | CrossLayerTranscoder):
        raise BadInput(f"Units are those of a dictionary or of a layer's number, not of a {type(what).__name__}.")
    return neurons_of(model, what, cache) if isinstance(what, int) else latents_of(model, what, cache)


def shard_blocks(units: Units, cache: "Cache", shard: int, special: np.ndarray, budget: int) -> Iterator[Block]:
    """What fires in a shard, in blocks of whole rows whose activations take about `budget` bytes."""
    context, start = cache.layout.context, shard * cache.layout.shard_tokens
    length = cache.layout.tokens_of(shard)
    step = context * max(1, budget // (units.cell_bytes * units.n * context))
    for begin in range(0, length, step):
        end = min(begin + step, length)
        yield _block(units, cache, shard, range(begin, end), special[start + begin : start + end])


def _block(units: Units, cache: "Cache", shard: int, tokens: range, special: np.ndarray) -> Block:
    """Run the units over some tokens of a shard. Raises BadInput for activations that are not finite."""
    held, ordinary = cache.shard(shard), np.flatnonzero(~special)
    x = tuple(
        _finite(held[site][tokens.start : tokens.stop][ordinary].float(), cache, site, shard) for site in units.sites
    )
    rows, which, values = (part.cpu().numpy() for part in units.fire(x))
    if not np.isfinite(values).all():
        raise BadInput(
            f"Units of {units.name} are not finite on shard {shard} of {cache.folder}, though its activations are. "
            "Check the weights."
        )
    first = shard * cache.layout.shard_tokens + tokens.start
    return Block(
        first,
        first + len(tokens),
        first + ordinary,
        rows.astype(np.int64, copy=False),
        which.astype(np.int64, copy=False),
        values.astype(np.float32, copy=False),
    )


def _finite(x: Tensor, cache: "Cache", site: str, shard: int) -> Tensor:
    if torch.isfinite(x.sum()) or torch.isfinite(x).all():  # the sum alone is cheap, but may overflow
        return x
    raise BadInput(
        f"{parse_site(site).short} holds NaN or infinite numbers in shard {shard} of {cache.folder}. "
        f"`openwork harvest --repair --name {cache.folder.name}` checks the cache and makes what is damaged again."
    )
