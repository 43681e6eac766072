"""The model with chosen edges carrying something else: in the place of what a sender writes now, a receiver gets what is given.

    input of v  =  stream  +  sum over removed u -> v of (other_u - write_u)

where write_u is what u writes in this very run, so senders whose own inputs changed are replaced whole, and others is any run's
writes, zeros, or means. All removed: the other run. None: the model. One: exact edge patching, whose first order EAP is.
(Circuits are evaluated like this by Hanna et al. 2024 and Miller et al. 2024.) Each row of a batch has edges of its own.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from einops import einsum
from jaxtyping import Bool, Float, Int
from torch import Tensor

from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.readers import Reader
from circuits.edge_attribution.writes import Held, Writers, sites_read
from probe.errors import OpenworkError
from probe.model.anatomy import spot
from probe.model.key_value_cache import keeps_nothing
from probe.model.sites import Site
from probe.model.writes import wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


LAST = slice(-1, None)


class EdgeRun:
    """One pass in which rows of a batch have edges removed."""

    def __init__(
        self,
        layout: Layout,
        writers: Writers,
        readers: list[Reader],
        removed: Bool[Tensor, "row sender receiver"],
        other: Float[Tensor, "row sender pos d_model"],
    ):
        self.layout, self.writers, self.readers, self.other = layout, writers, readers, other
        self.removed = removed.to(other)
        self.touched = removed.any(0).any(0).tolist()  # of each receiver, whether any row changes it
        self.change = torch.zeros_like(other)  # of each sender, other minus what it writes in this run, once it has
        self.written = 0  # senders whose writes are known
        self.held: Held = {}
        self.fired = 0

    def logits(
        self, model: "TransformerBridge", tokens: Int[Tensor, "row pos"], where: slice = LAST
    ) -> Float[Tensor, "row some d_vocab"]:
        """Logits at these positions; whoever calls says whether gradients are kept."""
        rows = tokens.shape[0]
        hooks: list[tuple[str, Callable]] = []
        for site in self._read(model):
            at = spot(site, model)
            hooks.append(
                (at.hook, lambda value, hook, at=at: self.held.__setitem__(at.site.name, at.read(value, rows)))
            )
        asked = [reader for reader in self.readers if any(self.touched[self._columns(reader)])]
        for reader in asked:
            hooks.append((spot(reader.reads, model).hook, self._changing(model, reader, rows)))
        hooks.append(("unembed.hook_in", lambda value, hook: value[:, where]))
        with model.hooks(fwd_hooks=hooks):
            found = model(tokens, **keeps_nothing(model))
        if self.fired != len(asked):
            raise OpenworkError(
                f"{len(asked) - self.fired} of {len(asked)} changed inputs were never read, so nothing was measured."
            )
        return found

    def _read(self, model: "TransformerBridge") -> list[Site]:
        parts = [part for r in self.readers for part in (r.stream, r.scale) if part is not None]
        return sorted({*sites_read(model, self.layout), *parts})

    def _columns(self, reader: Reader) -> slice:
        return self.layout.reading(reader.layer, reader.side)

    def _changing(self, model: "TransformerBridge", reader: Reader, rows: int) -> Callable:
        at, columns = spot(reader.reads, model), self._columns(reader)

        def changed(value: Tensor, hook: object) -> Tensor:
            n = self.layout.before(reader.layer, reader.side)
            self._write_up_to(n)
            mixed = einsum(
                self.removed[:, :n, columns],
                self.change[:, :n],
                "row sender reader, row sender pos d -> row reader pos d",
            )
            moved = reader.read(mixed, self.held)
            self.fired += 1
            return at.change(value, rows, lambda v: v + (moved.transpose(1, 2) if v.ndim == 4 else moved[:, 0]).to(v))

        return changed

    def _write_up_to(self, n: int) -> None:
        """What the senders before the n-th wrote, as far as that is not known yet."""
        layout, held = self.layout, self.held
        if self.written == 0:
            self._wrote(slice(0, len(layout.inputs)), self.writers.inputs(held))
        for layer in range(layout.n_layers):
            heads = layout.heads_of(layer)
            if heads.stop > n:
                return
            if self.written < heads.stop:
                self._wrote(heads, self.writers.heads(layer, held))
            if heads.stop < n and self.written <= heads.stop:
                self._wrote(slice(heads.stop, heads.stop + 1), wide(held[Site("mlp_write", layer).name])[:, None])

    def _wrote(self, senders: slice, value: Float[Tensor, "row some pos d_model"]) -> None:
        self.change[:, senders] = self.other[:, senders] - value
        self.written = senders.stop
