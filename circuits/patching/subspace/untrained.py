"""A model of random weights, in which a search for a subspace is made over again (Arora et al. 2024 find that it succeeds there).

What the search does in a model that learned nothing is what the architecture and the search do alone. Every weight tensor is
drawn from a normal distribution of its own mean and standard deviation, so that what components write is as large as before; the
architecture's own initialisation would be another choice. Buffers (rotations, masks) stay. Such a model answers by chance, so
beside the accuracy stands that of interchanging nothing in it.
"""

from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool

from circuits.patching.subspace.interchanges import answered, answers

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@torch.no_grad()
def untrained(model: "TransformerBridge", seed: int) -> "TransformerBridge":
    """A copy whose weights are drawn anew; the model itself is left as it is."""
    found, draw = deepcopy(model), torch.Generator().manual_seed(seed)
    for weight in found.parameters():
        mean, std = weight.float().mean().cpu(), weight.float().std(correction=0).cpu()
        fresh = mean + std * torch.randn(weight.shape, generator=draw)
        weight.copy_(fresh.to(weight))
    return found


def right_untrained(search: Any) -> dict[str, Bool[np.ndarray, " interchange"]]:
    """The search made on the same pairs in a model of random weights: which held-out interchanges come out as they should, which
    of those it was learned from, and which without any."""
    from transformer_lens.tools.analysis.interchange import SubspaceInterchange

    other = copy(search)
    other.model = untrained(search.model, search.seed)
    other.run = answers(other.model, search.pairs)
    still = answered(other.run, search.test.base, search.config.batch)  # first: a new model is looked at in it
    change = SubspaceInterchange(other.learned(search.train.wanted).basis)
    return {
        "untrained": other.right(change, search.test),
        "untrained_fitted": other.right(change, search.train),
        "untrained_still": still == (search.test.wanted == 0).numpy(),
    }
