"""What every receiver makes of the stream: forwards, to let it read something else, and backwards, to bring a gradient to it.

A side of attention reads x through its norm and one matrix a head,    q = norm(x) W_Q + b,    an MLP through its norm, the logits
through the final norm. Backwards the norm's own Jacobian is used, divisor included:

    y = c(x) w / s(x) + b,  s(x)^2 = mean c(x)^2 + eps        J^T g = c( w g / s  -  c(x) (c(x) . w g) / (d s^3) )

with c taking the mean off (layer norm) or not (RMS norm). That these are the model's own is looked at once per model
(`require_edges`): the gradients of all receivers above a point must sum to the gradient of the stream there.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from einops import einsum
from jaxtyping import Float
from torch import Tensor

from circuits.edge_attribution.layout import SIDES, Layout
from circuits.edge_attribution.writes import Held
from probe.errors import BadInput
from probe.model.anatomy import readable
from probe.model.norms import NormParts
from probe.model.sites import Site
from probe.model.writes import mlp_norm, norm_of, wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One side of a layer. stream: the site it reads. scale: the site of its norm's divisor; None where there is no norm.
    reads: the site where what it made of the stream is given on: `q.5`, `mlp_in.5`, `ln_final`. W: by head, None where the norm's
    output is read as it is."""

    layer: int
    side: str
    stream: Site
    reads: Site
    norm: NormParts | None
    scale: Site | None
    W: Float[Tensor, "head d_model d_head"] | None

    def back(
        self, g: Float[Tensor, "batch head pos width"], held: Held, fixed: bool = False
    ) -> Float[Tensor, "batch head pos d_model"]:
        """A gradient at what is read, brought to the stream: of each head alone. fixed: with the norm's divisor a constant."""
        if self.W is not None:
            g = einsum(g, self.W, "b head pos d_head, head d_model d_head -> b head pos d_model")
        if self.norm is None:
            return g
        x, s = wide(held[self.stream.name])[:, None], wide(held[self._scale])[:, None]
        u = g * self.norm.weight
        if fixed:
            u = u / s
        else:
            c = x - x.mean(-1, keepdim=True) if self.norm.centred else x
            u = u / s - c * ((c * u).sum(-1, keepdim=True) / (x.shape[-1] * s**3))
        return u - u.mean(-1, keepdim=True) if self.norm.centred else u

    def read(
        self, change: Float[Tensor, "batch head pos d_model"], held: Held
    ) -> Float[Tensor, "batch head pos width"]:
        """By how much what each head reads changes when the stream that it alone reads changes by `change`."""
        moved = self.normed(change, held)
        if self.W is None:
            return moved
        return einsum(moved, self.W, "b head pos d_model, head d_model d_head -> b head pos d_head")

    def normed(
        self, change: Float[Tensor, "batch row pos d_model"], held: Held
    ) -> Float[Tensor, "batch row pos d_model"]:
        """By how much the norm's output changes when the stream does."""
        if self.norm is None:
            return change
        x, s = wide(held[self.stream.name])[:, None], wide(held[self._scale])[:, None]
        return self._normed(x + change, self._eps(x, s)) - self._normed(x, self._eps(x, s))

    @property
    def _scale(self) -> str:
        assert self.scale is not None
        return self.scale.name

    def _normed(self, x: Tensor, eps: Tensor) -> Tensor:
        assert self.norm is not None
        c = x - x.mean(-1, keepdim=True) if self.norm.centred else x
        return c * self.norm.weight / (c.square().mean(-1, keepdim=True) + eps).sqrt()

    def _eps(self, x: Tensor, s: Tensor) -> Tensor:
        """What the norm adds under its root: s^2 less the mean square, which the divisor of this run tells."""
        assert self.norm is not None
        c = x - x.mean(-1, keepdim=True) if self.norm.centred else x
        return (s.square() - c.square().mean(-1, keepdim=True)).clamp(min=0)


def readers_of(model: "TransformerBridge", layout: Layout) -> list[Reader]:
    """Every side of every layer, then the logits."""
    like = wide(model.W_E)
    found: list[Reader] = []
    for layer in range(layout.n_layers):
        attn = model.blocks[layer].attn
        before = {"stream": Site("resid_pre", layer), **_norm(model, "ln1", layer, like)}
        for side in SIDES:
            W = readable(attn, f"W_{side.upper()}")
            if W is None:
                raise BadInput(
                    f"Layer {layer}'s attention has no W_{side.upper()} of its own for each head, so who reads what is not known."
                )
            W = wide(W)
            W = W.reshape(layout.count(layer, side), -1, W.shape[-1]) if W.ndim == 3 else W
            found.append(Reader(layer=layer, side=side, reads=Site(side, layer), W=W, **before))
        stream = Site("resid_pre" if layout.parallel[layer] else "resid_mid", layer)
        parts = _norm(model, mlp_norm(model, layer) or "", layer, like)
        found.append(Reader(layer=layer, side="mlp", stream=stream, reads=Site("mlp_in", layer), W=None, **parts))
    n = layout.n_layers
    last = _norm(model, "ln_final", None, like)
    found.append(Reader(layer=n, side="mlp", stream=Site("resid_post", n - 1), reads=Site("ln_final"), W=None, **last))
    return found


def _norm(model: "TransformerBridge", name: str, layer: int | None, like: Tensor) -> dict:
    norm = norm_of(model, name, layer, like) if name else None
    site = None if norm is None else Site("final_scale" if layer is None else f"{name}_scale", layer)
    return {"norm": norm, "scale": site}
