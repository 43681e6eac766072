"""Run a model over the rows of one shard and hold what the sites did, ready to be written.

One pass per batch of rows reads all sites at once and stops after the last of them (`probe.forward`); no logits are
computed. Values are brought to the stored dtype where the model is, then copied into one set of arrays that is used
again for every shard, so memory does not grow with the length of the harvest.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.forward import capture
from probe.layout import Layout
from probe.moments import Moments
from probe.progress import Step
from probe.sites import as_dtype, parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.tokens import TokenSet


class Recorder:
    """Makes the content of any shard of a layout; `batch` rows go through the model at a time.

    Batches begin at the shard's first row, so a shard made alone is the same, bit for bit, as one made among others.
    """

    def __init__(self, model: "TransformerBridge", tokens: "TokenSet", layout: Layout, batch: int):
        self.model, self.tokens, self.layout, self.batch = model, tokens, layout, batch
        room = min(layout.shard_tokens, layout.tokens)
        self.arrays = {site: torch.empty(room, w, dtype=as_dtype(layout.dtype)) for site, w in layout.widths.items()}

    def record(
        self, shard: int, before_store: Callable[[], None] = lambda: None, step: Step = lambda _=1: None
    ) -> dict[str, Tensor]:
        """The tensors of one shard, in the order they are written. The arrays of sites are reused by the next call.

        before_store is called before anything is overwritten; step with the number of tokens done.
        """
        rows, context = self.layout.rows_of(shard), self.layout.context
        moments = {site: Moments.nothing(w) for site, w in self.layout.widths.items()}
        for first in range(rows.start, rows.stop, self.batch):
            some = range(first, min(first + self.batch, rows.stop))
            found = self.run(some)
            before_store()
            at = slice((some.start - rows.start) * context, (some.stop - rows.start) * context)
            ordinary = ~self.tokens.special[some.start : some.stop].reshape(-1)
            for site, into in self.arrays.items():
                stored = store(site, found.pop(site), into[at])
                moments[site] += Moments.of(stored[ordinary.to(stored.device)])
            step(len(some) * context)
        return self._tensors(rows, moments)

    def run(self, rows: range) -> dict[str, Tensor]:
        """The activations of some rows at every site, live on the model's device."""
        ids = self.tokens.tokens[rows.start : rows.stop].to(next(self.model.parameters()).device)
        # no_grad, not inference_mode: tables a model makes on its first pass (rotary angles) must stay usable in gradients
        with torch.no_grad():
            return capture(self.model, ids, self.arrays)

    def _tensors(self, rows: range, moments: dict[str, Moments]) -> dict[str, Tensor]:
        context, count = self.layout.context, len(rows) * self.layout.context
        ids, documents, special = (
            part[rows.start : rows.stop] for part in (self.tokens.tokens, self.tokens.doc, self.tokens.special)
        )
        return {
            **{site: array[:count] for site, array in self.arrays.items()},
            **{f"mean.{site}": m.mean for site, m in moments.items()},
            **{f"m2.{site}": m.m2 for site, m in moments.items()},
            "count": (~special).sum().reshape(1),
            "tokens": ids.reshape(-1).int(),
            "document": documents.repeat_interleave(context).int(),
            "position": torch.arange(context, dtype=torch.int32).repeat(len(rows)),
            "special": special.reshape(-1),
        }


def store(
    site: str, value: Float[Tensor, "batch pos *heads"], into: Float[Tensor, "token width"]
) -> Float[Tensor, "token width"]:
    """Copy activations into `into` in its dtype; returns what was stored, on the model's device.

    Raises BadInput, naming the site and the largest value, for what that dtype cannot hold.
    """
    flat = value.reshape(value.shape[0] * value.shape[1], -1)
    if flat.shape != into.shape:
        raise BadInput(
            f"{parse_site(site).short} has {flat.shape[1]} numbers a token where {into.shape[1]} were expected."
        )
    low, high = (float(x) for x in flat.aminmax())
    largest, limit = max(-low, high), torch.finfo(into.dtype).max
    if not largest <= limit:  # also true of NaN
        raise BadInput(_does_not_fit(site, largest, into.dtype))
    stored = flat.to(into.dtype)
    into.copy_(stored)
    return stored


def _does_not_fit(site: str, largest: float, dtype: torch.dtype) -> str:
    short, name = parse_site(site).short, str(dtype).removeprefix("torch.")
    if largest != largest or largest == float("inf"):
        return f"The model itself produced {largest} at {short}. Load it in float32 or bfloat16, and check its weights."
    return (
        f"{short} reaches {largest:.4g}, which {name} cannot hold (its largest number is {torch.finfo(dtype).max:.4g}). "
        "Store it as bfloat16 (same size, coarser) or float32 (twice the size)."
    )
