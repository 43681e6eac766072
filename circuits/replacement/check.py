"""Does the frozen model hold? Rebuild every attention output, MLP and residual stream of the real forward pass from its pieces.

A freeze that silently does not hold yields a graph that looks entirely reasonable; here it raises.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from circuits.replacement.frozen import FrozenModel, read
from circuits.replacement.linear import FrozenNorm
from circuits.replacement.units import Neurons
from probe.errors import OpenworkError
from probe.model.anatomy import anatomy
from probe.model.sites import Site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def check_freeze(model: "TransformerBridge", frozen: FrozenModel, kept: Any, logits: Tensor) -> dict[str, float]:
    """Largest relative difference between the model's own tensors and those rebuilt; OpenworkError where it is too large."""
    worst: dict[str, float] = {}
    start = frozen.embed + (0 if frozen.pos_embed is None else frozen.pos_embed)
    _compare(worst, "embeddings", start, read(kept, "blocks.0.hook_resid_pre"))
    for i in range(len(frozen.layers)):
        factor = anatomy(model).factors.get(Site("mlp_write", i), 1.0)
        _check_layer(worst, frozen, kept, i, factor)
    cap = float(model.cfg.output_logits_soft_cap or -1.0)
    for rows in torch.arange(frozen.length, device=logits.device).split(64):  # a vocabulary is wide
        raw = frozen.final[rows] @ frozen.W_U + frozen.b_U
        _compare(worst, "logits", cap * torch.tanh(raw / cap) if cap > 0 else raw, logits[rows])
    # Many models take norms and softmax in float32 whatever their weights, so float64 is not much stricter here.
    tolerance = {torch.float64: 1e-5, torch.float32: 1e-3}.get(model.W_U.dtype, 5e-2)
    broken = {k: v for k, v in worst.items() if not v <= tolerance}
    if broken:
        told = ", ".join(f"{k} differ by {v:.1e}" for k, v in broken.items())
        raise OpenworkError(
            f"The frozen model does not rebuild what this model computed ({told} of their largest value; {tolerance:g} is "
            "allowed). Its blocks do something this decomposition does not know, so no graph was made."
        )
    return worst


def _check_layer(worst: dict[str, float], frozen: FrozenModel, kept: Any, index: int, factor: float) -> None:
    """factor: what the model multiplies the MLP's output with before it is written."""
    layer, prefix = frozen.layers[index], f"blocks.{index}"
    x, pre = read(kept, f"{prefix}.mlp.hook_in"), read(kept, f"{prefix}.hook_resid_pre")
    attn_out, mlp_out = read(kept, f"{prefix}.hook_attn_out"), factor * read(kept, f"{prefix}.mlp.hook_out")
    seen = layer.ln1.forward(pre) if layer.ln1 else pre
    _compare(worst, "attention", _posted(layer.ln1_post, layer.attn.forward(seen) + layer.attn.bias), attn_out)
    mid = pre if layer.parallel else pre + attn_out
    _compare(worst, "MLP input", layer.ln2.forward(mid) + layer.ln2.bias if layer.ln2 else mid, x)
    if isinstance(layer.mlp, Neurons):
        _compare(worst, "MLP neurons", _neuron_sum(layer.mlp, x, layer.ln2), layer.mlp.activation)
        _compare(worst, "MLP output", layer.mlp.activation @ layer.mlp.W_out + layer.mlp.b_out, mlp_out)
    after = pre + attn_out + _posted(layer.ln2_post, mlp_out)
    _compare(worst, "residual stream", after, read(kept, f"{prefix}.hook_resid_post"))


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
    # NaN compares as neither smaller nor larger, so it would pass for small.
    worst[name] = max(worst.get(name, 0.0), gap.nan_to_num(nan=torch.inf).max().item())
