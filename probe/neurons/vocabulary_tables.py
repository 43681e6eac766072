"""What directions are multiplied with to be read as tokens: W_U, or the embedding as the norm before an MLP hands it on.

    (x - mean) / divisor * weight @ w  =  x / divisor @ (w * weight, centred where the norm centres)

so a norm's weight is folded into the direction once, and its divisor, one number a token, into the table: one product with it
decodes any number of neurons. A norm's bias adds the same to every token and is gone when scores are centred. Rows are made when
they are asked for, since the whole vocabulary in float32 may not fit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from probe.interventions.forward import capture
from probe.model.anatomy import anatomy
from probe.model.writes import mlp_norm, norm_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

CELLS = 1 << 25
"Scores of neurons by tokens in memory at once; numbers of the embedding, likewise."
Fold = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Table:
    """One row a token: rows(low, high) in float32, over `divisor` where there is one. mean: of all rows."""

    n: int
    rows: Callable[[int, int], Float[Tensor, "token d_model"]]
    divisor: Float[Tensor, " token"] | None
    mean: Float[Tensor, " d_model"]


class Tables:
    """What directions are multiplied with, each made once: W_U, and the embedding over each token's own scale (of a norm that
    centres, or of one that does not, or of none)."""

    def __init__(self, model: "TransformerBridge", reads: str):
        self.model, self.made = model, {}
        self.scale = embedding_scale(model) if reads == "embedding" else 1.0
        self.reads = reads if self.scale is not None else ""

    def of(self, sort: str, layer: int) -> tuple[Table, Fold]:
        """The table of one sort of direction, and what a direction passes before it meets it."""
        if sort == "out":
            return self._table("out"), partial(self._written, layer)
        if self.reads == "unembedding":
            return self._table("out"), lambda rows: rows
        name = mlp_norm(self.model, layer)
        norm = None if name is None else norm_of(self.model, name, layer, self.model.W_E.new_zeros(1).float())
        if norm is None:
            return self._table("plain"), lambda rows: rows
        # (x - mean) / scale * weight @ w = x / scale @ (w * weight, centred)
        fold = lambda rows: _centred(rows * norm.weight, norm.centred)  # noqa: E731
        return self._table("centred" if norm.centred else "rms"), fold

    def _written(self, layer: int, rows: Float[Tensor, "neuron d_model"]) -> Float[Tensor, "neuron d_model"]:
        """Through the post-norm's weight, where there is one, and the final norm's."""
        for name, at in (("ln2_post", layer), ("ln_final", None)):
            norm = norm_of(self.model, name, at, rows)
            rows = rows if norm is None else norm.scaled(rows)
        return rows

    def _table(self, name: str) -> Table:
        if name not in self.made:
            self.made[name] = self._make(name)
        return self.made[name]

    def _make(self, name: str) -> Table:
        if name == "out":
            W, factor = self.model.W_U.detach(), anatomy(self.model).logit_factor
            n, rows = W.shape[1], lambda a, b: W[:, a:b].t().float() * factor
        else:
            E = self.model.W_E.detach()
            scale = (self.scale or 1.0) if name == "plain" else 1.0  # a norm takes it off
            n, rows = len(E), lambda a, b: E[a:b].float() * scale
        step, scale = max(1, CELLS // int(self.model.cfg.d_model)), self.scale or 1.0
        eps = float(getattr(self.model.cfg, "eps", 0.0) or 0.0) / scale**2  # of the norm, which reads scale * E
        divisors, total = (
            [],
            torch.zeros(int(self.model.cfg.d_model), dtype=torch.float64, device=self.model.W_E.device),
        )
        for a in range(0, n, step):
            part = rows(a, min(a + step, n))
            if name in ("rms", "centred"):
                size = _centred(part, name == "centred").square().mean(-1)
                divisors.append((size + eps).sqrt().clamp_min(1e-20))
                part = part / divisors[-1][:, None]
            total += part.sum(0, dtype=torch.float64)
        return Table(n, rows, torch.cat(divisors) if divisors else None, (total / n).float())


@torch.no_grad()
def embedding_scale(model: "TransformerBridge") -> float | None:
    """What the model multiplies token embeddings with (Gemma: the root of d_model), measured; None if it does more."""
    ids = torch.arange(min(8, model.cfg.d_vocab), device=model.W_E.device)
    stream, plain = capture(model, ids[:, None], ["embed"])["hook_embed"][:, 0].float(), model.W_E.detach()[ids].float()
    if stream.shape != plain.shape:
        return None
    scale = float((stream * plain).sum() / plain.square().sum().clamp_min(1e-30))
    return scale if float((stream - scale * plain).abs().max()) <= 1e-2 * float(stream.abs().max()) else None


def _centred(rows: Float[Tensor, "row d_model"], centred: bool) -> Float[Tensor, "row d_model"]:
    return rows - rows.mean(-1, keepdim=True) if centred else rows
