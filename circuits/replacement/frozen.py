"""The local replacement model of one prompt: everything nonlinear held at the value it had, the rest is a linear map.

Attention patterns and norm divisors are constants. What is left of the model is linear in what its parts write to the
residual stream, so a value read anywhere is a sum over writes, and each write's share is an edge:

    read(x) = sum over writes w of  reader . J(write -> read) . w  + constant

MLP neurons are linear too once their ratio is held (`Neurons`), so no MLP needs an error term. Layers that have a
dictionary use its latents instead, with its skip connection as part of J and its reconstruction error as a write. An SAE in
the residual stream cuts it: behind it the stream is its latents, its error and its bias, each held as a write.

A freeze that silently does not hold yields a graph that looks entirely reasonable, so `freeze` ends with
`circuits.replacement.check`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.replacement.linear import FrozenAttention, FrozenNorm
from circuits.replacement.units import Latents, Neurons
from probe.errors import BadInput
from probe.interventions.forward import read_run, require_finite
from probe.model.anatomy import anatomy, readable, spot
from probe.model.norms import norm_parts
from probe.model.sites import Site, sites_of
from probe.model.writes import activation, heads_write, mlp_norm, mlp_writes_through, unembedding, wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.replacement.placement import Placed


@dataclass(frozen=True)
class FrozenLayer:
    """One block. With `parallel`, attention and MLP both read the block's input. head_out: what each head has gathered, biases
    apart. stream, stream_mid: the residual stream before attention and before the MLP. mid, post: SAEs in the stream."""

    ln1: FrozenNorm | None
    attn: FrozenAttention
    ln1_post: FrozenNorm | None
    ln2: FrozenNorm | None
    mlp: Neurons | Latents
    ln2_post: FrozenNorm | None
    parallel: bool
    head_out: Float[Tensor, "head pos d_head"]
    stream: Float[Tensor, "pos d_model"]
    stream_mid: Float[Tensor, "pos d_model"]
    mid: Latents | None = None
    post: Latents | None = None

    @property
    def mlp_norm(self) -> FrozenNorm | None:
        """The norm between the stream and what the MLP's units read."""
        return None if isinstance(self.mlp, Latents) and self.mlp.raw else self.ln2

    @property
    def write_norm(self) -> FrozenNorm | None:
        """The norm between what the MLP's units write and the stream."""
        return None if isinstance(self.mlp, Latents) and self.mlp.after_post else self.ln2_post


@dataclass(frozen=True)
class FrozenModel:
    """Every layer, the embeddings, and the way out. stream: what the final norm reads; final: what the unembedding reads.
    logits are before any soft-cap. check: see `circuits.replacement.check`."""

    layers: list[FrozenLayer]
    embed: Float[Tensor, "pos d_model"]
    pos_embed: Float[Tensor, "pos d_model"] | None
    ln_final: FrozenNorm | None
    W_U: Float[Tensor, "d_model d_vocab"]
    b_U: Float[Tensor, " d_vocab"]
    stream: Float[Tensor, "pos d_model"]
    final: Float[Tensor, "pos d_model"]
    check: dict[str, float] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Number of positions."""
        return self.embed.shape[0]

    @cached_property
    def logits(self) -> Float[Tensor, "pos d_vocab"]:
        """Of every position; made when first asked for, since long prompts need only the last."""
        return self.logits_at(slice(None))

    def logits_at(self, pos: int | slice) -> Float[Tensor, "*pos d_vocab"]:
        """Logits at one position, or several."""
        return self.final[pos] @ self.W_U + self.b_U


def stream_at(frozen: FrozenModel, point: int) -> Float[Tensor, "pos d_model"]:
    """The residual stream at a point (`circuits.replacement.points`)."""
    index, offset = divmod(point + (point % 4 == 3), 4)  # what the MLP has written is what the next layer reads
    if index == len(frozen.layers):
        return frozen.stream
    layer = frozen.layers[index]
    return layer.stream_mid if offset else layer.stream


def freeze(
    model: "TransformerBridge", tokens: Int[Tensor, "1 pos"], placed: Mapping[int, "Placed"] | None = None
) -> FrozenModel:
    """Run the prompt once and hold every pattern, divisor and ratio at its value.

    placed: dictionaries by layer (`circuits.replacement.placement`). Raises BadInput for blocks this decomposition does not know,
    OpenworkError where the pieces do not rebuild what the model computed.
    """
    from circuits.replacement.check import check_freeze
    from circuits.replacement.latents import put_latents

    with torch.no_grad():
        logits, kept = read_run(model, tokens, [s for s in sites_of(model) if s.kind in NEEDED])
        require_finite(logits)
        layers = [_layer(model, kept, i, i in (placed or {})) for i in range(model.cfg.n_layers)]
        final = read(kept, "ln_final.hook_out")
        frozen = FrozenModel(
            layers,
            read(kept, "hook_embed"),
            read(kept, "hook_pos_embed") if "hook_pos_embed" in kept else None,
            _norm(model, "ln_final", kept, "ln_final"),
            *unembedding(model),
            read(kept, f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"),
            final,
        )
        frozen.check.update(check_freeze(model, frozen, kept, wide(logits[0])))
        if placed:
            _refuse_scaled(model, placed)
            put_latents(frozen, kept, placed)
    return frozen


NEEDED = (
    *("embed", "pos_embed", "resid_pre", "resid_post", "attn_out", "pattern", "final_scale", "ln_final"),
    *("ln1_scale", "ln1_post_scale", "ln2_scale", "ln2_post_scale"),
    *("mlp_in", "mlp_pre", "mlp_pre_linear", "mlp_post", "mlp_out"),
)
"""Kinds of sites that freezing reads."""


def _refuse_scaled(model: "TransformerBridge", placed: Mapping[int, "Placed"]) -> None:
    factors = anatomy(model).factors
    for one in placed.values():
        if one.at == "mlp" and one.write.kind == "mlp_out" and factors.get(Site("mlp_write", one.layer), 1.0) != 1.0:
            raise BadInput(
                f"This model multiplies what its MLPs return ({one.write.short}) before it is written, so a dictionary of it "
                "cannot be traced; train one of mlp_write."
            )


def read(kept: Any, name: str) -> Tensor:
    """What a hook reported, without the batch axis."""
    if name not in kept:
        raise BadInput(f"This model has no '{name}'; its blocks are of a kind that cannot be traced yet.")
    return wide(kept[name][0])


def _norm(owner: Any, attribute: str, kept: Any, prefix: str) -> FrozenNorm | None:
    """The frozen norm `owner.attribute`, or None where the model has none."""
    module = getattr(owner, attribute, None)
    if module is None or f"{prefix}.hook_scale" not in kept:
        return None
    scale = read(kept, f"{prefix}.hook_scale")
    parts = norm_parts(module, scale)
    return FrozenNorm(parts.weight, parts.bias, scale, parts.centred)


def _layer(model: "TransformerBridge", kept: Any, index: int, has_dictionary: bool) -> FrozenLayer:
    block, prefix = model.blocks[index], f"blocks.{index}"
    norms = {n: _norm(block, n, kept, f"{prefix}.{n}") for n in ("ln1", "ln1_post", "ln2", "ln2_post")}
    if mlp_norm(model, index) == "ln1":
        norms["ln2"] = norms["ln1"]  # attention and MLP read one stream through one norm
    attn = _attention(model, index, read(kept, f"{prefix}.attn.hook_pattern"), norms["ln1"])
    stream = read(kept, f"{prefix}.hook_resid_pre")
    head_out = attn.mixed(stream if norms["ln1"] is None else norms["ln1"].forward(stream))
    beta = norms["ln2"].bias if norms["ln2"] is not None else torch.zeros_like(stream[0])
    mlp = _neurons(model, index, kept, beta, has_dictionary)
    parallel = bool(model.cfg.parallel_attn_mlp)
    mid = stream if parallel else stream + read(kept, f"{prefix}.hook_attn_out")
    parts = (norms["ln1"], attn, norms["ln1_post"], norms["ln2"], mlp, norms["ln2_post"])
    return FrozenLayer(*parts, parallel, head_out, stream, mid)


def _attention(model: "TransformerBridge", layer: int, pattern: Tensor, ln1: FrozenNorm | None) -> FrozenAttention:
    attn, (W_O, b_O) = model.blocks[layer].attn, heads_write(model, layer)
    if getattr(readable(attn, "W_V"), "ndim", 0) != 3:
        raise BadInput(f"Layer {layer}'s attention has no W_V of its own for each head, so it cannot be traced.")
    W_V = wide(attn.W_V)
    value = torch.zeros_like(W_V[:, 0]) if attn.b_V is None else wide(attn.b_V).reshape(W_V.shape[0], -1)
    if ln1 is not None:
        value = value + torch.einsum("d,hde->he", ln1.bias, W_V)
    group = W_O.shape[0] // W_V.shape[0]
    bias = b_O + torch.einsum("he,hed->d", value.repeat_interleave(group, 0), W_O)
    return FrozenAttention(pattern, W_V, W_O, bias)


def _neurons(model: "TransformerBridge", layer: int, kept: Any, beta: Tensor, has_dictionary: bool) -> Neurons | Any:
    prefix = f"blocks.{layer}"
    if f"{prefix}.mlp.hook_post" not in kept:
        if has_dictionary:
            return None  # a mixture of experts can stand behind a transcoder; `put_latents` sees to the rest
        spot(Site("mlp_post", layer), model)  # says why there are no neurons that could be nodes
    act, (W_out, b_out) = activation(model, layer), mlp_writes_through(model, layer)
    mlp: Any = model.blocks[layer].mlp
    W_in, zero = wide(mlp.W_in), torch.zeros_like(W_out[:, 0])
    b_in, b_gate = (zero if b is None else wide(b) for b in (getattr(mlp, "b_in", None), getattr(mlp, "b_gate", None)))
    pre, post = read(kept, f"{prefix}.mlp.hook_pre"), read(kept, f"{prefix}.mlp.hook_post")
    ratio = _ratio(act(pre), pre)
    W_gate = None if getattr(mlp, "W_gate", None) is None else wide(mlp.W_gate)
    if W_gate is None:
        constant = ratio * (b_in + beta @ W_in)
        return Neurons(W_in, ratio, None, None, constant, W_out, b_out, post)
    in_weight = 0.5 * act(pre)
    gate_weight = 0.5 * ratio * read(kept, f"{prefix}.mlp.hook_pre_linear")
    constant = in_weight * (b_in + beta @ W_in) + gate_weight * (b_gate + beta @ W_gate)
    return Neurons(W_in, in_weight, W_gate, gate_weight, constant, W_out, b_out, post)


def _ratio(activated: Tensor, z: Tensor) -> Tensor:
    """act(z) / z, with 1/2 where z is 0: the limit for SiLU and GELU, and without effect since it multiplies z."""
    safe = torch.where(z == 0, torch.ones_like(z), z)
    return torch.where(z == 0, torch.full_like(z, 0.5), activated / safe)
