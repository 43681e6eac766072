"""Queries and keys of one layer as frozen linear maps, from what attention reads to the score before the softmax.

    S_h[q, k] = scale * (x[q] Q_h + b_Q)' R_q . (x[k] K_h + b_K)' R_k         ' : the norm of queries and keys, where there is one

Rotations (full or partial) depend on the position alone, and the divisors of a query-key norm are held at their values, so
queries and keys are linear in the stream and the score is bilinear. A soft-cap of scores (Gemma 2) is a curve on top of the
score: what is explained is the score before it. `freeze_queries` rebuilds the layer's own pattern from these maps, and its
scores where the model reports them, and raises where they differ: a position bias or another kind of rotation is not passed
over in silence. (Rotary embedding: Su et al. 2021, arXiv:2104.09864.)
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from circuits.replacement.linear import FrozenNorm
from probe.errors import BadInput, OpenworkError
from probe.model.norms import norm_parts

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class Rotation:
    """Turns pairs of a vector's first entries by angles that depend on the position. adjacent: pairs (0, 1), (2, 3), ...;
    else (0, n/2), (1, n/2 + 1), ..."""

    cos: Float[Tensor, "pos d_rotated"]
    sin: Float[Tensor, "pos d_rotated"]
    adjacent: bool

    def apply(self, x: Float[Tensor, "*row d_head"], pos: int | slice) -> Float[Tensor, "*row d_head"]:
        """x, turned to where a query or key at `pos` stands; with a slice, the axis before the last is the position."""
        n = self.cos.shape[-1]
        head, rest = x[..., :n], x[..., n:]
        if self.adjacent:
            turned = torch.stack((-head[..., 1::2], head[..., 0::2]), -1).flatten(-2)
        else:
            turned = torch.cat((-head[..., n // 2 :], head[..., : n // 2]), -1)
        return torch.cat((head * self.cos[pos] + turned * self.sin[pos], rest), -1)


@dataclass(frozen=True)
class FrozenProjection:
    """Queries or keys: x W + bias, then a norm at fixed divisor, then the rotation. norm_scale: (head, pos, 1)."""

    W: Float[Tensor, "head d_model d_head"]
    bias: Float[Tensor, "head d_head"]
    norm_weight: Float[Tensor, "head d_head"] | None
    norm_bias: Float[Tensor, "head d_head"] | None
    norm_scale: Float[Tensor, "head pos 1"] | None
    centred: bool
    rotation: Rotation | None

    def map(self, head: int, pos: int) -> Float[Tensor, "d_model d_head"]:
        """The linear part at one head and position."""
        return self._rotated(self._normed(self.W[head], head, pos), pos)

    def constant(self, head: int, pos: int) -> Float[Tensor, " d_head"]:
        """What is there when nothing is read: all biases (the norm's before attention among them)."""
        value = self._normed(self.bias[head], head, pos)
        return self._rotated(value if self.norm_bias is None else value + self.norm_bias[head], pos)

    def _normed(self, x: Tensor, head: int, pos: int) -> Tensor:
        if self.norm_weight is None or self.norm_scale is None:
            return x
        x = x - x.mean(-1, keepdim=True) if self.centred else x
        return x / self.norm_scale[head, pos] * self.norm_weight[head]

    def _rotated(self, x: Tensor, pos: int) -> Tensor:
        return x if self.rotation is None else self.rotation.apply(x, pos)

    def all(self, x: Float[Tensor, "pos d_model"]) -> Float[Tensor, "head pos d_head"]:
        """Every query or key of a stream x that the norm's linear part has passed."""
        found = einsum(x, self.W, "pos d_model, head d_model d_head -> head pos d_head") + self.bias[:, None]
        if self.norm_weight is not None and self.norm_scale is not None:
            found = found - found.mean(-1, keepdim=True) if self.centred else found
            found = found / self.norm_scale * self.norm_weight[:, None]
        found = found if self.norm_bias is None else found + self.norm_bias[:, None]
        return found if self.rotation is None else self.rotation.apply(found, slice(len(x)))


@dataclass(frozen=True)
class FrozenQueries:
    """One layer's queries and keys. norm: before attention. scale multiplies the product. cap: soft-cap of scores, or None.
    stream: what the layer read. pattern, scores: the model's own (scores None where it does not report them).
    check: how far the rebuilt pattern and scores are from these."""

    layer: int
    query: FrozenProjection
    key: FrozenProjection
    norm: FrozenNorm | None
    scale: float
    cap: float | None
    stream: Float[Tensor, "pos d_model"]
    pattern: Float[Tensor, "head q_pos k_pos"]
    scores: Float[Tensor, "head q_pos k_pos"] | None
    check: dict[str, float]

    @property
    def group(self) -> int:
        """Query heads that share a key head."""
        return len(self.query.W) // len(self.key.W)

    def query_readers(self, head: int, pos: int) -> Float[Tensor, "d_head d_model"]:
        """What each entry of a query reads in the residual stream at its position."""
        return self._readers(self.query.map(head, pos), pos)

    def key_readers(self, head: int, pos: int) -> Float[Tensor, "d_head d_model"]:
        """The same for the key that `head` compares with."""
        return self._readers(self.key.map(head // self.group, pos), pos)

    def _readers(self, columns: Tensor, pos: int) -> Tensor:
        rows = columns.T.contiguous()
        if self.norm is None:
            return rows
        return self.norm.adjoint_at(rows, torch.full((len(rows),), pos, device=rows.device))

    def read(self, x: Float[Tensor, "*row pos d_model"]) -> Float[Tensor, "*row pos d_model"]:
        """The linear part of what attention sees of a stream."""
        return x if self.norm is None else self.norm.forward(x)

    def visible(self, head: int, query: int, key: int) -> bool:
        """Whether this query may look at this key: not from the future, nor outside of a sliding window."""
        return key <= query and (
            float(self.pattern[head, query, key]) > 0
            or (self.scores is not None and float(self.scores[head, query, key]) > MASKED)
        )


MASKED = -1e30
"Scores below this stand for minus infinity."


def freeze_queries(
    model: "TransformerBridge", tokens: Int[Tensor, "1 pos"], layer: int, norm: FrozenNorm | None
) -> FrozenQueries:
    """Queries and keys of a layer on a prompt; norm is the frozen one before its attention.

    Raises BadInput for attention without query and key matrices, OpenworkError where scores are made in an unknown way.
    """
    from probe.model.writes import wide

    prefix, attn = f"blocks.{layer}.attn", model.blocks[layer].attn
    names = ("hook_pattern", "hook_attn_scores", "hook_cos", "hook_sin", "q_norm.hook_scale", "k_norm.hook_scale")
    wanted = {f"{prefix}.{n}" for n in names} | {f"blocks.{layer}.hook_resid_pre", f"blocks.{layer}.hook_in"}
    with torch.no_grad():
        _, kept = model.run_with_cache(tokens, names_filter=lambda name: name in wanted)
        found = {n: wide(kept[f"{prefix}.{n}"][0]) for n in names if f"{prefix}.{n}" in kept}
        stream = wide(kept[f"blocks.{layer}.hook_resid_pre"])[0]
        rotation = _rotation(model, attn, found, len(stream))
        query, key = (_projection(attn, side, norm, found, rotation, layer) for side in ("q", "k"))
        pattern, scores = found["hook_pattern"], found.get("hook_attn_scores")
        if scores is not None and torch.equal(scores, pattern):
            scores = None  # some attentions only hand out their pattern, under both names
        scale, cap = _scale(attn, query.W.shape[-1]), _cap(model, attn)
        held = FrozenQueries(
            layer=layer,
            query=query,
            key=key,
            norm=norm,
            scale=scale,
            cap=cap,
            stream=stream,
            pattern=pattern,
            scores=scores,
            check={},
        )
        held.check.update(_check(held))
    return held


def _rotation(model: "TransformerBridge", attn: Any, found: dict[str, Tensor], length: int) -> Rotation | None:
    if "hook_cos" in found:
        cos, sin, adjacent = found["hook_cos"], found["hook_sin"], False
        if getattr(model.cfg, "rotary_interleaved_cos_sin", False):
            adjacent = True
        elif getattr(model.cfg, "rotary_adjacent_pairs", False):
            half, adjacent = cos.shape[-1] // 2, True
            cos, sin = (t[..., :half].repeat_interleave(2, -1) for t in (cos, sin))
        return Rotation(cos, sin, adjacent)
    tables = getattr(attn.original_component, "rotary", None)
    if tables is not None and hasattr(tables, "cos_cached"):  # transformer-lens's own small models
        return Rotation(tables.cos_cached[:length].to(model.W_U), tables.sin_cached[:length].to(model.W_U), True)
    return None


def _projection(
    attn: Any, side: str, norm: FrozenNorm | None, found: dict[str, Tensor], rotation: Rotation | None, layer: int
) -> FrozenProjection:
    from probe.model.writes import wide

    W, b = getattr(attn, f"W_{side.upper()}", None), getattr(attn, f"b_{side.upper()}", None)
    if W is None or W.ndim != 3:
        raise BadInput(
            f"Layer {layer}'s attention has no {side.upper()} matrix of its own, so its scores cannot be split."
        )
    W = wide(W)
    bias = torch.zeros_like(W[:, 0]) if b is None else wide(b)
    if norm is not None:
        bias = bias + einsum(norm.bias, W, "d_model, head d_model d_head -> head d_head")
    module, scale = getattr(attn, f"{side}_norm", None), found.get(f"{side}_norm.hook_scale")
    if module is None or scale is None:
        return FrozenProjection(W, bias, None, None, None, False, rotation)
    heads, d_head = len(W), W.shape[-1]
    parts = norm_parts(module, W)
    weight, shift = (
        t.expand(heads, d_head) if t.numel() == d_head else t.view(heads, d_head) for t in (parts.weight, parts.bias)
    )
    # One divisor a position where the norm spans all heads, else one a head as well.
    scale = scale[None].expand(heads, *scale.shape) if scale.ndim == 2 else scale
    return FrozenProjection(W, bias, weight, shift, scale, parts.centred, rotation)


def _scale(attn: Any, d_head: int) -> float:
    inner = attn.original_component
    if hasattr(inner, "scaling"):
        return float(inner.scaling)
    return 1.0 / float(getattr(inner, "scale", d_head**0.5))


def _cap(model: "TransformerBridge", attn: Any) -> float | None:
    cap = getattr(attn.original_component, "attn_logit_softcapping", None)
    cap = float(cap) if cap else float(getattr(model.cfg, "attn_scores_soft_cap", -1.0) or -1.0)
    return cap if cap > 0 else None


def capped(score: Tensor, cap: float | None) -> Tensor:
    """The score as the softmax sees it."""
    return score if cap is None else cap * torch.tanh(score / cap)


def _check(held: FrozenQueries) -> dict[str, float]:
    """Largest difference between the rebuilt pattern (and scores, relative to their size) and the model's."""
    x = held.read(held.stream)
    q, k = held.query.all(x), held.key.all(x).repeat_interleave(held.group, 0)
    rebuilt = capped(held.scale * einsum(q, k, "head q_pos d_head, head k_pos d_head -> head q_pos k_pos"), held.cap)
    length = len(x)
    allowed = torch.ones(length, length, dtype=torch.bool, device=x.device).tril().expand_as(rebuilt)
    found: dict[str, float] = {}
    if held.scores is not None:
        allowed = allowed & (held.scores > MASKED)
        gap = torch.where(allowed, rebuilt - held.scores, 0).abs().max()
        found["scores"] = float(gap / torch.where(allowed, held.scores, 0).abs().max().clamp_min(1e-30))
    pattern = rebuilt.masked_fill(~allowed, float("-inf")).softmax(-1)
    found["pattern"] = float((pattern - held.pattern).abs().max())
    tolerance = {torch.float64: 1e-5, torch.float32: 1e-3}.get(held.stream.dtype, 1e-3)
    if not all(v <= tolerance for v in found.values()):
        told = " and ".join(f"{k} by {v:.1e}" for k, v in found.items())
        raise OpenworkError(
            f"Queries and keys of layer {held.layer} do not rebuild the model's attention (off in {told}; {tolerance:g} is "
            "allowed). It makes its scores in a way that is not known here, so they were not split."
        )
    return found
