"""The matrices through which parts of a model write to its stream and its logits, as stream and logits get them.

Some models multiply on the way: Granite what attention and MLP return, Cohere and Granite their logits. The number is found by
`probe.model.anatomy` and is part of the matrices here, so that sums over writes are the model's own. Where attention and MLP
read one stream through one norm (GPT-J, Phi, Falcon, Cohere), `mlp_norm` says so.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.model.anatomy import anatomy, spot
from probe.model.norms import NormParts, norm_parts
from probe.model.sites import Site, hook_name

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def wide(x: Tensor) -> Tensor:
    """At least float32: sums over thousands of writes are not made in half precision."""
    return x.detach() if x.dtype in (torch.float32, torch.float64) else x.detach().float()


def heads_write(
    model: "TransformerBridge", layer: int
) -> tuple[Float[Tensor, "head d_head d_model"], Float[Tensor, " d_model"]]:
    """W_O by head, and the bias that attention adds. BadInput where a layer's heads do not write through one matrix each."""
    at, attn = spot(Site("z", layer), model), model.blocks[layer].attn
    W = wide(attn.W_O).reshape(at.sizes["head"], at.sizes["d_head"], -1)
    b = getattr(attn, "b_O", None)
    factor = anatomy(model).factors.get(Site("attn_out", layer), 1.0)
    bias = torch.zeros_like(W[0, 0]) if b is None else wide(b)
    return (W, bias) if factor == 1.0 else (W * factor, bias * factor)


def mlp_writes_through(
    model: "TransformerBridge", layer: int
) -> tuple[Float[Tensor, "d_mlp d_model"], Float[Tensor, " d_model"]]:
    """W_out, and the bias that the MLP adds. BadInput where a layer has no neurons (a mixture of experts), or the stream is
    normalised after every write, so that none arrives as it was written (BERT)."""
    for kind in ("mlp_post", "mlp_write"):
        spot(
            Site(kind, layer), model
        )  # says why there are no neurons, or where the stream is no sum of what they write
    mlp = model.blocks[layer].mlp
    W, b = wide(mlp.W_out), getattr(mlp, "b_out", None)
    factor = anatomy(model).factors.get(Site("mlp_write", layer), 1.0)
    bias = torch.zeros_like(W[0]) if b is None else wide(b)
    return (W, bias) if factor == 1.0 else (W * factor, bias * factor)


def unembedding(model: "TransformerBridge") -> tuple[Float[Tensor, "d_model d_vocab"], Float[Tensor, " d_vocab"]]:
    """W_U and b_U. BadInput where logits are no linear map of what the final norm returns."""
    found = anatomy(model)
    if not found.linear_readout:
        raise BadInput(
            "This model reads its logits through more than a final norm and one matrix, so nothing can be said about which "
            "part of the stream adds to which logit."
        )
    W, b = wide(model.W_U), getattr(model, "b_U", None)
    bias = torch.zeros_like(W[0]) if b is None else wide(b)
    return (W, bias) if found.logit_factor == 1.0 else (W * found.logit_factor, bias * found.logit_factor)


def mlp_norm(model: "TransformerBridge", layer: int) -> str | None:
    """The name of the norm before a layer's MLP: `ln2`; `ln1` where attention and MLP share it; None where there is none."""
    if hook_name(Site("ln2_scale", layer), model) is not None:
        return "ln2"
    return "ln1" if layer in anatomy(model).shared_norm else None


def norm_of(model: "TransformerBridge", name: str, layer: int | None, like: Tensor) -> NormParts | None:
    """The parts of a norm of a layer, or of `ln_final`; None where there is no such norm. BadInput for one of an unknown kind."""
    owner = model if layer is None else model.blocks[layer]
    module = getattr(owner, name, None)
    if module is None or isinstance(getattr(module, "original_component", None), torch.nn.Identity):
        return None
    if hook_name(Site("final_scale" if layer is None else f"{name}_scale", layer), model) is None:
        raise BadInput(
            f"{'The final norm' if layer is None else f'{name} of layer {layer}'} does not report what it divides by, so what "
            "passes through it cannot be taken apart."
        )
    return norm_parts(module, like)


def activation(model: "TransformerBridge", layer: int) -> Callable[[Tensor], Tensor]:
    """The nonlinearity of a layer's neurons. BadInput for one that does not act on each neuron alone, or is not known."""
    from transformers.activations import ACT2FN

    name = anatomy(model).act_fn.get(layer)
    if name is None:
        raise BadInput(
            f"The nonlinearity of layer {layer}'s MLP ('{model.cfg.act_fn}') does not act on each neuron alone, or is unknown, "
            "so its neurons cannot be held one by one."
        )
    found: Any = ACT2FN[name]
    return found
