"""Run a model over the rows of one shard and hold what the sites did, ready to be written.

One pass per batch of rows reads all sites at once and stops after the last of them (`probe.interventions.forward`); no logits are
computed. Values go into one set of arrays, in the stored dtype, that is used again for every shard, so memory does not
grow with the length of the harvest.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from probe.activations.layout import Layout
from probe.activations.moments import Moments
from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.model.sites import as_dtype, parse_site
from probe.progress import Step

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.text.tokens import TokenSet

PART = 4096  # tokens whose moments are taken at once; fixed, so that they come out the same however the work is cut


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
        for first in range(rows.start, rows.stop, self.batch):
            some = range(first, min(first + self.batch, rows.stop))
            found = self.run(some)
            before_store()
            at = slice((some.start - rows.start) * context, (some.stop - rows.start) * context)
            for site, into in self.arrays.items():
                store(site, found.pop(site), into[at])
            step(len(some) * context)
        return self._tensors(rows)

    def run(self, rows: range) -> dict[str, Tensor]:
        """The activations of some rows at every site, live on the model's device."""
        ids = self.tokens.tokens[rows.start : rows.stop].to(next(self.model.parameters()).device)
        # no_grad, not inference_mode: tables a model makes on its first pass (rotary angles) must stay usable in gradients
        with torch.no_grad():
            return capture(self.model, ids, self.arrays)

    def _tensors(self, rows: range) -> dict[str, Tensor]:
        context, count = self.layout.context, len(rows) * self.layout.context
        ids, documents, special = (
            part[rows.start : rows.stop] for part in (self.tokens.tokens, self.tokens.doc, self.tokens.special)
        )
        return {
            **{site: array[:count] for site, array in self.arrays.items()},
            "tokens": ids.reshape(-1).int(),
            "document": documents.repeat_interleave(context).int(),
            "position": torch.arange(context, dtype=torch.int32).repeat(len(rows)),
            "special": special.reshape(-1),
        }


def store(site: str, value: Float[Tensor, "batch pos *heads"], into: Float[Tensor, "token width"]) -> None:
    """Copy activations into `into`, in its dtype. Raises BadInput, naming site and value, for what that cannot hold."""
    flat = value.reshape(value.shape[0] * value.shape[1], -1)
    if flat.shape != into.shape:
        raise BadInput(
            f"{parse_site(site).short} has {flat.shape[1]} numbers a token where {into.shape[1]} were expected."
        )
    low, high = (float(x) for x in flat.aminmax())
    largest, limit = max(-low, high), torch.finfo(into.dtype).max
    if not largest <= limit:  # also true of NaN
        raise BadInput(_does_not_fit(site, largest, into.dtype))
    # From another device the smaller of the two dtypes should travel; here one pass does both.
    into.copy_(flat if flat.device == into.device else flat.to(into.dtype))


def with_moments(tensors: dict[str, Tensor], sites: Iterable[str]) -> dict[str, Tensor]:
    """A shard's tensors and, for each site, the moments over its tokens that are not special, as stored."""
    ordinary = ~tensors["special"]
    found: dict[str, Tensor] = {"count": ordinary.sum().reshape(1)}
    for site in sites:
        parts = zip(tensors[site].split(PART), ordinary.split(PART), strict=True)
        total = sum((Moments.of(values[kept]) for values, kept in parts), Moments.nothing(tensors[site].shape[1]))
        found |= {f"mean.{site}": total.mean, f"m2.{site}": total.m2}
    return {**tensors, **found}


def _does_not_fit(site: str, largest: float, dtype: torch.dtype) -> str:
    short, name = parse_site(site).short, str(dtype).removeprefix("torch.")
    if largest != largest or largest == float("inf"):
        return f"The model itself produced {largest} at {short}. Load it in float32 or bfloat16, and check its weights."
    return (
        f"{short} reaches {largest:.4g}, which {name} cannot hold (its largest number is {torch.finfo(dtype).max:.4g}). "
        "Store it as bfloat16 (same size, coarser) or float32 (twice the size)."
    )
