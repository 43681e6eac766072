"""What each sender adds to the stream in one run: the input, every head, every MLP. Together they are the stream.

A head writes z W_O, through the norm after attention where there is one, at that norm's own divisor. What attention adds whatever
it reads (its output bias) belongs to no head; it is the same in every run, unless such a norm divides it, which is refused.
"""

from typing import TYPE_CHECKING

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from circuits.edge_attribution.layout import Layout
from probe.errors import BadInput
from probe.model.sites import Site, hook_name
from probe.model.writes import heads_write, norm_of, wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Held = dict[str, Tensor]
"""Tensors of a run by their site's name."""


def sites_read(model: "TransformerBridge", layout: Layout) -> list[Site]:
    """The sites from which `writes` are made."""
    found = [Site("resid_pre", 0), *([Site("embed"), Site("pos_embed")] if layout.apart else [])]
    for layer in range(layout.n_layers):
        found += [Site("z", layer), Site("mlp_write", layer)]
        if hook_name(Site("ln1_post_scale", layer), model) is not None:
            found.append(Site("ln1_post_scale", layer))
    return found


class Writers:
    """How the heads of a model write, layer by layer; read once."""

    def __init__(self, model: "TransformerBridge", layout: Layout):
        self.layout, self._W, self._post = layout, [], []
        for layer in range(layout.n_layers):
            W, b = heads_write(model, layer)
            post = norm_of(model, "ln1_post", layer, W)
            if post is not None:
                if bool(b.any()) or post.centred:
                    raise BadInput(
                        f"Attention of layer {layer} adds a bias before a norm, so part of what it writes belongs to no head and "
                        "changes from run to run. Edges between components cannot be told apart in this model."
                    )
                W = post.scaled(W)
            self._W.append(W)
            self._post.append(post is not None)

    def inputs(self, held: Held) -> Float[Tensor, "batch input pos d_model"]:
        """What is there before the first layer; of tokens and positions apart the rest (a norm, a scale) goes with the tokens."""
        stream = wide(held[Site("resid_pre", 0).name])
        if not self.layout.apart:
            return stream[:, None]
        positions = wide(held[Site("pos_embed").name]).expand_as(stream)
        return torch.stack([stream - positions, positions], 1)

    def heads(self, layer: int, held: Held) -> Float[Tensor, "batch head pos d_model"]:
        """What a layer's heads write."""
        z = wide(held[Site("z", layer).name])
        written = einsum(z, self._W[layer], "b pos head d_head, head d_head d_model -> b head pos d_model")
        return written / wide(held[Site("ln1_post_scale", layer).name])[:, None] if self._post[layer] else written

    def all(self, held: Held) -> Float[Tensor, "batch sender pos d_model"]:
        """What every sender writes."""
        first = wide(held[Site("resid_pre", 0).name])
        out = first.new_zeros(len(first), len(self.layout.senders), *first.shape[1:])
        self._add(out, held, 1)
        return out

    def take_off(self, written: Float[Tensor, "batch sender pos d_model"], held: Held) -> None:
        """Subtract what every sender writes in a run, in place: two runs' writes at once would be twice the memory."""
        self._add(written, held, -1)

    def _add(self, out: Tensor, held: Held, sign: int) -> None:
        out[:, : len(self.layout.inputs)].add_(self.inputs(held), alpha=sign)
        for layer in range(self.layout.n_layers):
            out[:, self.layout.heads_of(layer)].add_(self.heads(layer, held), alpha=sign)
            out[:, self.layout.mlp_of(layer)].add_(wide(held[Site("mlp_write", layer).name]), alpha=sign)
