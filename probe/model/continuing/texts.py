"""The logits after texts that grow by a token a call, many side by side, by the fastest way that is right for the model.

That is the model without its hooks, with room for keys and values (`bare.py`), where it predicts what the model does; else the
model itself, with keys and values kept where it can (`probe.model.key_value_cache`).
"""

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.model.anatomy import spot
from probe.model.key_value_cache import NextToken
from probe.model.sites import resid_pre

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


class Texts:
    """What runs a model over texts that grow, found out once; `begin` starts a batch of them.

    cached: False runs the whole texts anew for every token, through the model with its hooks.
    """

    def __init__(self, model: "TransformerBridge", cached: bool = True):
        from probe.model.continuing.bare import without_bridge

        spot(resid_pre(0), model)  # a sentence where a model does not run
        self.model, self.cached = model, cached
        self.bare = without_bridge(model) if cached else None

    def begin(self, most: int) -> "NextToken | Growing":
        """For a batch of texts of at most `most` tokens."""
        return Growing(self.bare, most) if self.bare is not None else NextToken(self.model, self.cached)


class Growing:
    """The logits after the last token of texts, without hooks."""

    def __init__(self, bare: Any, most: int):
        from probe.model.continuing.room import cache_with_room

        self.bare, self.kept, self.read = bare, cache_with_room(bare, most), 0

    @torch.no_grad()
    def __call__(self, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch d_vocab"]:
        """ids: the whole texts so far; only what is new of them is run."""
        from probe.model.continuing.bare import logits_of

        new = ids[:, self.read :].to(next(self.bare.parameters()).device)
        self.read = ids.shape[1]
        return logits_of(self.bare, new, self.kept)[:, -1]

    def keep(self, rows: Int[Tensor, " row"]) -> bool:
        """Go on with these texts alone."""
        self.kept.batch_select_indices(rows.to(next(self.bare.parameters()).device))
        return True
