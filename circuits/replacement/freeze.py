"""Freeze a prompt: run it once and hold every pattern, divisor and ratio at its value (`circuits.replacement.frozen`).

    norm        y = (x - mean) / scale * weight + bias             scale held: linear in x
    attention   out = sum over keys of pattern[q, k] x[k] W_V W_O   pattern held: linear in x
    neurons     a = act(z) = (act(z) / z) z                         ratio held: linear in z

A freeze that silently does not hold yields a graph that looks entirely reasonable, so this ends with
`circuits.replacement.check`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from einops import einsum
from jaxtyping import Int
from torch import Tensor

from circuits.replacement.check import check_freeze
from circuits.replacement.frozen import FrozenLayer, FrozenModel, read
from circuits.replacement.latents import put_latents
from circuits.replacement.linear import FrozenAttention, FrozenNorm
from circuits.replacement.units import Neurons, held_weights
from probe.errors import BadInput
from probe.interventions.forward import read_run, require_finite
from probe.model.anatomy import anatomy, readable, spot
from probe.model.norms import norm_parts
from probe.model.sites import Site, sites_of
from probe.model.writes import activation, heads_write, mlp_norm, mlp_writes_through, unembedding, wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.replacement.placement import Placed


def freeze(
    model: "TransformerBridge", tokens: Int[Tensor, "1 pos"], placed: Mapping[int, "Placed"] | None = None
) -> FrozenModel:
    """Run the prompt once and hold every pattern, divisor and ratio at its value.

    placed: dictionaries by layer (`circuits.replacement.placement`). Raises BadInput for blocks this decomposition does not know,
    OpenworkError where the pieces do not rebuild what the model computed.
    """
    with torch.no_grad():
        logits, kept = read_run(model, tokens, [s for s in sites_of(model) if s.kind in NEEDED])
        require_finite(logits)
        layers = [_layer(model, kept, i, i in (placed or {})) for i in range(model.cfg.n_layers)]
        W_U, b_U = unembedding(model)
        frozen = FrozenModel(
            layers=layers,
            embed=read(kept, "hook_embed"),
            pos_embed=read(kept, "hook_pos_embed") if "hook_pos_embed" in kept else None,
            ln_final=_norm(model, "ln_final", kept, "ln_final"),
            W_U=W_U,
            b_U=b_U,
            stream=read(kept, f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"),
            final=read(kept, "ln_final.hook_out"),
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
    return FrozenLayer(**norms, attn=attn, mlp=mlp, parallel=parallel, head_out=head_out, stream=stream, stream_mid=mid)


def _attention(model: "TransformerBridge", layer: int, pattern: Tensor, ln1: FrozenNorm | None) -> FrozenAttention:
    attn, (W_O, b_O) = model.blocks[layer].attn, heads_write(model, layer)
    if getattr(readable(attn, "W_V"), "ndim", 0) != 3:
        raise BadInput(f"Layer {layer}'s attention has no W_V of its own for each head, so it cannot be traced.")
    W_V = wide(attn.W_V)  # kv_head d_model d_head
    # What every head reads whatever the input: b_V, and the norm's bias through W_V. Rows of a pattern sum to 1, so after mixing
    # it is the same vector at every query, and through W_O it joins b_O in one bias of the layer.
    value = torch.zeros_like(W_V[:, 0]) if attn.b_V is None else wide(attn.b_V).reshape(W_V.shape[0], -1)
    if ln1 is not None:
        value = value + einsum(ln1.bias, W_V, "d_model, head d_model d_head -> head d_head")
    group = W_O.shape[0] // W_V.shape[0]
    bias = b_O + einsum(value.repeat_interleave(group, 0), W_O, "head d_head, head d_head d_model -> d_model")
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
    W_gate = None if getattr(mlp, "W_gate", None) is None else wide(mlp.W_gate)
    linear = None if W_gate is None else read(kept, f"{prefix}.mlp.hook_pre_linear")
    in_weight, gate_weight = held_weights(act, pre, linear)  # pos d_mlp
    # what a neuron holds though nothing is read: biases through the held ratio
    constant = in_weight * (b_in + beta @ W_in)
    if W_gate is not None and gate_weight is not None:
        constant = constant + gate_weight * (b_gate + beta @ W_gate)
    return Neurons(
        W_in=W_in,
        in_weight=in_weight,
        W_gate=W_gate,
        gate_weight=gate_weight,
        constant=constant,
        W_out=W_out,
        b_out=b_out,
        activation=post,
    )
