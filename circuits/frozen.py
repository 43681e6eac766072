"""The local replacement model of one prompt: everything nonlinear held at the value it had, the rest is a linear map.

Attention patterns and norm divisors are constants. What is left of the model is linear in what its parts write to the
residual stream, so a value read anywhere is a sum over writes, and each write's share is an edge:

    read(x) = sum over writes w of  reader . J(write -> read) . w  + constant

MLP neurons are linear too once their ratio is held (`Neurons`), so no MLP needs an error term. Layers that have a
dictionary use its latents instead, with its skip connection as part of J and its reconstruction error as a write.

A freeze that silently does not hold yields a graph that looks entirely reasonable. So `freeze` rebuilds every
attention and MLP output of the real forward pass from its own pieces and raises where they differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import BadInput, OpenworkError
from probe.norms import norm_parts

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class FrozenNorm:
    """A norm at fixed divisor: y = (x - mean(x) if centred) / scale * weight + bias."""

    weight: Float[Tensor, " d_model"]
    bias: Float[Tensor, " d_model"]
    scale: Float[Tensor, "pos 1"]
    centred: bool

    def forward(self, x: Float[Tensor, "... pos d_model"]) -> Float[Tensor, "... pos d_model"]:
        """The linear part, without the bias."""
        return (x - x.mean(-1, keepdim=True) if self.centred else x) / self.scale * self.weight

    def adjoint(self, g: Float[Tensor, "... pos d_model"]) -> Float[Tensor, "... pos d_model"]:
        """Transpose of `forward`, on the first positions of the prompt."""
        back = g * self.weight / self.scale[: g.shape[-2]]
        return back - back.mean(-1, keepdim=True) if self.centred else back

    def adjoint_at(self, g: Float[Tensor, "row d_model"], pos: Int[Tensor, " row"]) -> Float[Tensor, "row d_model"]:
        """Transpose of `forward` for rows that each sit at one position."""
        back = g * self.weight / self.scale[pos]
        return back - back.mean(-1, keepdim=True) if self.centred else back


@dataclass(frozen=True)
class FrozenAttention:
    """Attention at fixed pattern: out[q] = sum over heads and k of pattern[q, k] x[k] W_V W_O, plus `bias`.

    bias holds b_O, b_V W_O and the preceding norm's bias sent through W_V W_O: pattern rows sum to 1, so none needs the pattern.
    """

    pattern: Float[Tensor, "head q_pos k_pos"]
    W_V: Float[Tensor, "kv_head d_model d_head"]
    W_O: Float[Tensor, "head d_head d_model"]
    bias: Float[Tensor, " d_model"]

    def forward(self, x: Float[Tensor, "pos d_model"]) -> Float[Tensor, "pos d_model"]:
        """The linear part, for the freeze check."""
        group = self.W_O.shape[0] // self.W_V.shape[0]
        v = torch.einsum("kd,hde->hke", x, self.W_V).repeat_interleave(group, 0)
        return torch.einsum("hqk,hke,hed->qd", self.pattern, v, self.W_O)

    def adjoint(self, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """Transpose of `forward`, on the first positions of the prompt.

        Three matrix products a layer: into the heads, back along the pattern, out of the heads that share a value.
        """
        rows, length, d_model = g.shape
        heads, d_head, _ = self.W_O.shape
        kv = self.W_V.shape[0]
        z = (g.reshape(-1, d_model) @ self.W_O.reshape(heads * d_head, d_model).T).view(rows, length, heads, d_head)
        pattern = self.pattern[:, :length, :length]
        v = torch.matmul(pattern.transpose(1, 2), z.permute(0, 2, 1, 3))  # row head k_pos d_head
        shared = v.view(rows, kv, heads // kv, length, d_head).sum(2).permute(0, 2, 1, 3).reshape(-1, kv * d_head)
        return (shared @ self.W_V.transpose(1, 2).reshape(kv * d_head, d_model)).view(rows, length, d_model)


@dataclass(frozen=True)
class Neurons:
    """An MLP with its nonlinearity frozen, so that each neuron is linear in what it reads.

    Elementwise: a = r z with r = act(z) / z held. Gated, a = act(g) u: the ratio act(g) / g is held, and the product of
    two linear factors is shared half and half (the half rule):

        a = 1/2 [act(g)] u + 1/2 [act(g) / g * u] g          brackets held
    """

    W_in: Float[Tensor, "d_model d_mlp"]
    in_weight: Float[Tensor, "pos d_mlp"]
    W_gate: Float[Tensor, "d_model d_mlp"] | None
    gate_weight: Float[Tensor, "pos d_mlp"] | None
    constant: Float[Tensor, "pos d_mlp"]
    W_out: Float[Tensor, "d_mlp d_model"]
    b_out: Float[Tensor, " d_model"]
    activation: Float[Tensor, "pos d_mlp"]

    @property
    def value(self) -> Float[Tensor, "pos d_mlp"]:
        """What a reader of a neuron must sum to: its activation."""
        return self.activation

    @property
    def writer(self) -> Float[Tensor, "d_mlp d_model"]:
        """What a unit adds to the output at activation 1."""
        return self.W_out

    def readers(self, pos: Int[Tensor, " row"], unit: Int[Tensor, " row"]) -> Float[Tensor, "row d_model"]:
        """Vector r with r . mlp_in + constant = activation, for each (position, unit)."""
        rows = self.W_in.T[unit] * self.in_weight[pos, unit, None]
        if self.W_gate is not None and self.gate_weight is not None:
            rows = rows + self.W_gate.T[unit] * self.gate_weight[pos, unit, None]
        return rows

    def adjoint(self, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """Cotangent of mlp_in, given that of mlp_out, through all neurons at once."""
        unit = g @ self.W_out.T
        back = (unit * self.in_weight[: g.shape[1]]) @ self.W_in.T
        if self.W_gate is not None and self.gate_weight is not None:
            back = back + (unit * self.gate_weight[: g.shape[1]]) @ self.W_gate.T
        return back


@dataclass(frozen=True)
class Latents:
    """A dictionary in the place of an MLP: latents write, the skip is linear, the error is what is left over.

    A latent that is on has activation = pre-activation (ReLU, TopK, JumpReLU), so its reader is its encoder column.
    """

    W_enc: Float[Tensor, "d_model d_dict"]
    constant_enc: Float[Tensor, " d_dict"]
    W_dec: Float[Tensor, "d_dict d_model"]
    W_skip: Float[Tensor, "d_model d_model"] | None
    b_out: Float[Tensor, " d_model"]
    activation: Float[Tensor, "pos d_dict"]
    value: Float[Tensor, "pos d_dict"]
    error: Float[Tensor, "pos d_model"]

    @property
    def writer(self) -> Float[Tensor, "d_dict d_model"]:
        """What a latent adds to the output at activation 1."""
        return self.W_dec

    @property
    def constant(self) -> Float[Tensor, "pos d_dict"]:
        """The part of each pre-activation that no write explains."""
        return self.constant_enc.expand_as(self.activation)

    def readers(self, pos: Int[Tensor, " row"], unit: Int[Tensor, " row"]) -> Float[Tensor, "row d_model"]:
        """Encoder columns."""
        return self.W_enc.T[unit]

    def skip_adjoint(self, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"] | None:
        """Cotangent of mlp_in through the skip connection alone."""
        return None if self.W_skip is None else g @ self.W_skip

    def adjoint(self, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """Cotangent of mlp_in through active latents and skip."""
        active = (self.activation > 0)[: g.shape[1]]
        back = ((g @ self.W_dec.T) * active) @ self.W_enc.T
        skip = self.skip_adjoint(g)
        return back if skip is None else back + skip


@dataclass(frozen=True)
class FrozenLayer:
    """One block. With `parallel`, attention and MLP both read the block's input."""

    ln1: FrozenNorm | None
    attn: FrozenAttention
    ln1_post: FrozenNorm | None
    ln2: FrozenNorm | None
    mlp: Neurons | Latents
    ln2_post: FrozenNorm | None
    parallel: bool


@dataclass(frozen=True)
class FrozenModel:
    """Every layer, the embeddings, and the way out."""

    layers: list[FrozenLayer]
    embed: Float[Tensor, "pos d_model"]
    pos_embed: Float[Tensor, "pos d_model"] | None
    ln_final: FrozenNorm | None
    W_U: Float[Tensor, "d_model d_vocab"]
    b_U: Float[Tensor, " d_vocab"]
    final: Float[Tensor, "pos d_model"]
    logits: Float[Tensor, "pos d_vocab"]
    check: dict[str, float] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Number of positions."""
        return self.embed.shape[0]


def freeze(
    model: "TransformerBridge", tokens: Int[Tensor, "1 pos"], dictionaries: Mapping[int, Any] | None = None
) -> FrozenModel:
    """Run the prompt once and hold every pattern, divisor and ratio at its value.

    dictionaries: layer to a transcoder that reads `mlp_in` and predicts `mlp_out` there. Raises BadInput for blocks this
    decomposition does not know, OpenworkError where the pieces do not rebuild what the model computed.
    """
    kept = {}
    with torch.no_grad():
        logits, kept = model.run_with_cache(tokens, names_filter=_needed)
        layers = [_layer(model, kept, i, (dictionaries or {}).get(i)) for i in range(model.cfg.n_layers)]
        frozen = FrozenModel(
            layers,
            _one(kept, "hook_embed"),
            _one(kept, "hook_pos_embed") if "hook_pos_embed" in kept else None,
            _norm(model, "ln_final", kept, "ln_final"),
            _wide(model.W_U),
            _wide(model.b_U),
            _one(kept, "ln_final.hook_out"),
            _one(kept, "ln_final.hook_out") @ _wide(model.W_U) + _wide(model.b_U),
        )
        frozen.check.update(_check(model, frozen, kept, _wide(logits[0])))
    return frozen


_NEEDED = (
    *("hook_embed", "hook_pos_embed", "hook_resid_pre", "hook_resid_post", "hook_attn_out", "hook_scale"),
    *("mlp.hook_in", "mlp.hook_pre", "mlp.hook_pre_linear", "mlp.hook_post", "mlp.hook_out"),
    *("attn.hook_pattern", "ln_final.hook_out"),
)


def _needed(name: str) -> bool:
    return name.endswith(_NEEDED) and not name.endswith(("q_norm.hook_scale", "k_norm.hook_scale"))


def _wide(tensor: Tensor) -> Tensor:
    """At least float32: sums over thousands of writes are not made in half precision."""
    return tensor.detach() if tensor.dtype in (torch.float32, torch.float64) else tensor.detach().float()


def _one(kept: Any, name: str) -> Tensor:
    if name not in kept:
        raise BadInput(f"This model has no hook '{name}'; its blocks are of a kind that cannot be traced yet.")
    value = kept[name]
    return _wide(value if value.ndim == 2 else value[0])  # OPT flattens batch and position into one axis


def _norm(owner: Any, attribute: str, kept: Any, prefix: str) -> FrozenNorm | None:
    """The frozen norm `owner.attribute`, or None where the model has none."""
    module = getattr(owner, attribute, None)
    if module is None or f"{prefix}.hook_scale" not in kept:
        return None
    scale = _one(kept, f"{prefix}.hook_scale")
    parts = norm_parts(module, scale)
    return FrozenNorm(parts.weight, parts.bias, scale, parts.centred)


def _layer(model: "TransformerBridge", kept: Any, index: int, dictionary: Any | None) -> FrozenLayer:
    block, prefix = model.blocks[index], f"blocks.{index}"
    names = ("ln1", "ln1_post", "ln2", "ln2_post")
    norms = {n: _norm(block, n, kept, f"{prefix}.{n}") for n in names}
    attn = _attention(block.attn, _one(kept, f"{prefix}.attn.hook_pattern"), norms["ln1"])
    x, out = _one(kept, f"{prefix}.mlp.hook_in"), _one(kept, f"{prefix}.mlp.hook_out")
    beta = norms["ln2"].bias if norms["ln2"] is not None else torch.zeros_like(x[0])
    mlp = _neurons(model, block.mlp, kept, prefix, beta) if dictionary is None else _latents(dictionary, x, out, beta)
    parallel = bool(model.cfg.parallel_attn_mlp)
    return FrozenLayer(norms["ln1"], attn, norms["ln1_post"], norms["ln2"], mlp, norms["ln2_post"], parallel)


def _attention(attn: Any, pattern: Tensor, ln1: FrozenNorm | None) -> FrozenAttention:
    W_V, W_O = _wide(attn.W_V), _wide(attn.W_O)
    group = W_O.shape[0] // W_V.shape[0]
    bias = torch.zeros_like(W_O[0, 0]) if attn.b_O is None else _wide(attn.b_O).clone()
    value = torch.zeros_like(W_V[:, 0]) if attn.b_V is None else _wide(attn.b_V)
    if ln1 is not None:
        value = value + torch.einsum("d,hde->he", ln1.bias, W_V)
    bias = bias + torch.einsum("he,hed->d", value.repeat_interleave(group, 0), W_O)
    return FrozenAttention(pattern, W_V, W_O, bias)


def _neurons(model: "TransformerBridge", mlp: Any, kept: Any, prefix: str, beta: Tensor) -> Neurons:
    from transformers.activations import ACT2FN

    if getattr(mlp, "W_in", None) is None or f"{prefix}.mlp.hook_post" not in kept:
        raise BadInput(
            f"{prefix}.mlp has no single W_in (a mixture of experts?), so its neurons cannot be nodes; give it a dictionary."
        )
    act = ACT2FN[str(model.cfg.act_fn)]
    W_in, W_out = _wide(mlp.W_in), _wide(mlp.W_out)
    zero = torch.zeros_like(W_out[:, 0])
    b_in, b_gate = (zero if b is None else _wide(b) for b in (getattr(mlp, "b_in", None), getattr(mlp, "b_gate", None)))
    b_out = torch.zeros_like(W_out[0]) if mlp.b_out is None else _wide(mlp.b_out)
    pre, post = _one(kept, f"{prefix}.mlp.hook_pre"), _one(kept, f"{prefix}.mlp.hook_post")
    ratio = _ratio(act(pre), pre)
    W_gate = None if mlp.W_gate is None else _wide(mlp.W_gate)
    if W_gate is None:
        constant = ratio * (b_in + beta @ W_in)
        return Neurons(W_in, ratio, None, None, constant, W_out, b_out, post)
    in_weight = 0.5 * act(pre)
    gate_weight = 0.5 * ratio * _one(kept, f"{prefix}.mlp.hook_pre_linear")
    constant = in_weight * (b_in + beta @ W_in) + gate_weight * (b_gate + beta @ W_gate)
    return Neurons(W_in, in_weight, W_gate, gate_weight, constant, W_out, b_out, post)


def _ratio(activated: Tensor, z: Tensor) -> Tensor:
    """act(z) / z, with 1/2 where z is 0: the limit for SiLU and GELU, and without effect since it multiplies z."""
    safe = torch.where(z == 0, torch.ones_like(z), z)
    return torch.where(z == 0, torch.full_like(z, 0.5), activated / safe)


def _latents(dictionary: Any, x: Tensor, out: Tensor, beta: Tensor) -> Latents:
    weights = {n: _wide(getattr(dictionary, n)).to(x) for n in ("W_enc", "b_enc", "W_dec", "b_dec")}
    W_skip = None if dictionary.W_skip is None else _wide(dictionary.W_skip).to(x)
    active = _wide(dictionary.encode(x.to(dictionary.W_enc))).to(x)
    value = x @ weights["W_enc"] + weights["b_enc"]
    _check_latents(active, value)
    recons = active @ weights["W_dec"] + weights["b_dec"] + (0 if W_skip is None else x @ W_skip.T)
    b_out = weights["b_dec"] + (0 if W_skip is None else W_skip @ beta)
    constant = weights["b_enc"] + beta @ weights["W_enc"]
    return Latents(weights["W_enc"], constant, weights["W_dec"], W_skip, b_out, active, value, out - recons)


def _check_latents(active: Tensor, value: Tensor) -> None:
    """An active latent must be its own pre-activation: that is what lets its encoder column explain it."""
    gap = torch.where(active > 0, (active - value).abs(), 0).max()
    if not gap <= 1e-3 * value.abs().max():
        raise BadInput(
            f"This dictionary's active latents differ from their pre-activations (by up to {float(gap):.2g}), so encoder "
            "columns do not explain them. Dictionaries with ReLU, TopK or JumpReLU latents can be traced."
        )


def _check(model: "TransformerBridge", frozen: FrozenModel, kept: Any, logits: Tensor) -> dict[str, float]:
    """Largest relative difference between the model's own tensors and those rebuilt from the frozen pieces."""
    worst: dict[str, float] = {}
    # Many models take norms and softmax in float32 whatever their weights, so float64 is not much stricter here.
    tolerance = {torch.float64: 1e-5, torch.float32: 1e-3}.get(model.W_U.dtype, 5e-2)
    start = frozen.embed + (0 if frozen.pos_embed is None else frozen.pos_embed)
    _compare(worst, "embeddings", start, _one(kept, "blocks.0.hook_resid_pre"))
    for i, layer in enumerate(frozen.layers):
        prefix = f"blocks.{i}"
        x, pre = _one(kept, f"{prefix}.mlp.hook_in"), _one(kept, f"{prefix}.hook_resid_pre")
        attn_out, mlp_out = _one(kept, f"{prefix}.hook_attn_out"), _one(kept, f"{prefix}.mlp.hook_out")
        read = layer.ln1.forward(pre) if layer.ln1 else pre
        _compare(worst, "attention", _posted(layer.ln1_post, layer.attn.forward(read) + layer.attn.bias), attn_out)
        mid = pre if layer.parallel else pre + attn_out
        _compare(worst, "MLP input", layer.ln2.forward(mid) + layer.ln2.bias if layer.ln2 else mid, x)
        if isinstance(layer.mlp, Neurons):
            _compare(worst, "MLP neurons", _neuron_sum(layer.mlp, x, layer.ln2), layer.mlp.activation)
            _compare(worst, "MLP output", layer.mlp.activation @ layer.mlp.W_out + layer.mlp.b_out, mlp_out)
        after = pre + attn_out + _posted(layer.ln2_post, mlp_out)
        _compare(worst, "residual stream", after, _one(kept, f"{prefix}.hook_resid_post"))
    cap = float(model.cfg.output_logits_soft_cap or -1.0)
    rebuilt = cap * torch.tanh(frozen.logits / cap) if cap > 0 else frozen.logits
    _compare(worst, "logits", rebuilt, logits)
    broken = {k: v for k, v in worst.items() if not v <= tolerance}
    if broken:
        told = ", ".join(f"{k} differ by {v:.1e}" for k, v in broken.items())
        raise OpenworkError(
            f"The frozen model does not rebuild what this model computed ({told} of their largest value; {tolerance:g} is "
            "allowed). "
            "Its blocks do something this decomposition does not know, so no graph was made."
        )
    return worst


def _posted(norm: FrozenNorm | None, out: Tensor) -> Tensor:
    return out if norm is None else norm.forward(out) + norm.bias


def _neuron_sum(mlp: Neurons, x: Tensor, ln2: FrozenNorm | None) -> Tensor:
    bare = x - (ln2.bias if ln2 is not None else 0)  # the norm's bias is in the neurons' constants already
    total = mlp.constant + mlp.in_weight * (bare @ mlp.W_in)
    if mlp.W_gate is None or mlp.gate_weight is None:
        return total
    return total + mlp.gate_weight * (bare @ mlp.W_gate)


def _compare(worst: dict[str, float], name: str, rebuilt: Tensor, real: Tensor) -> None:
    # Position by position: a massive activation at the first token must not hide a difference at another.
    gap = (rebuilt - real).abs().amax(-1) / real.abs().amax(-1).clamp_min(1e-30)
    worst[name] = max(worst.get(name, 0.0), gap.max().item())
