"""Run the layers below a change once. Whatever is changed at layer 20, layers 0 to 19 compute what they computed before.

    with recorded(model, 20) as kept:
        clean = model(tokens)
    with replayed(model, 20, kept), intervene(model, [...]):
        changed = model(tokens)                # embedding, then straight to layer 20

The blocks below the layer hand on what the last of them returned in the recorded pass, in the same form, so the rest of the model
cannot tell. transformer-lens's own `start_at_layer` runs those blocks and discards their output. Nothing at sites below the
layer fires in a replayed pass. Some models read more than the residual stream from lower layers; `is_exact` finds out.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor

from probe.model.sites import Site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def first_layer(sites: list[Site], model: "TransformerBridge") -> int:
    """The lowest layer that a change at these sites can touch; n_layers where only what follows the blocks is changed."""
    return min(max(0, min(site.depth[0], model.cfg.n_layers)) for site in sites)


@contextmanager
def recorded(model: "TransformerBridge", *layers: int) -> Iterator[dict[int, Any]]:
    """Keep, by layer, what enters it: the output of the block below. Layer 0 needs nothing."""
    kept: dict[int, Any] = {}

    def keeper(layer: int) -> Callable:
        return lambda module, args, output: kept.__setitem__(layer, output)

    with ExitStack() as stack:
        for layer in {n for n in layers if n > 0}:
            handle = model.blocks[layer - 1].register_forward_hook(keeper(layer))
            stack.callback(handle.remove)
        yield kept


@contextmanager
def replayed(model: "TransformerBridge", layer: int, kept: dict[int, Any]) -> Iterator[None]:
    """Let the blocks below `layer` return what was recorded instead of computing it."""
    skipped = [model.blocks[i] for i in range(layer)] if layer in kept else []
    try:
        for block in skipped:
            vars(block)["forward"] = lambda *args, **kwargs: kept[
                layer
            ]  # plain assignment would reach the block it wraps
        yield
    finally:
        for block in skipped:
            vars(block).pop("forward", None)  # the class's own again


@torch.no_grad()
def is_exact(model: "TransformerBridge", layer: int, tokens: Int[Tensor, "batch pos"]) -> bool:
    """Whether a replayed pass gives the very logits of a whole one on these tokens."""
    with recorded(model, layer) as kept:
        whole = model(tokens)
    with replayed(model, layer, kept):
        return torch.equal(model(tokens), whole)


@contextmanager
def started_at(model: "TransformerBridge", layer: int, tokens: Int[Tensor, "batch pos"]) -> Iterator[None]:
    """Within it runs of these very tokens start at this layer: what lies below is computed once. Where the model reads more of
    it than the residual stream, they are whole."""
    with torch.no_grad(), recorded(model, layer) as kept:
        whole = model(tokens)
    with torch.no_grad(), replayed(model, layer, kept):
        exact = torch.equal(model(tokens), whole)
    with replayed(model, layer, kept if exact else {}):
        yield
