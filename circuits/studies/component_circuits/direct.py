"""What a write at the last position adds to a logit, the final norm's divisor held: batches of `probe.lens.direct`.

The direction is of one token's logit minus the mean logit, so a difference of two tokens' shares is the share of the difference.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.lens.direct import readers
from probe.model.sites import Site, hook_name
from probe.model.writes import wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

SCALE = Site("final_scale")


def scale_site(model: "TransformerBridge") -> list[Site]:
    """Where the final norm's divisor is read; nothing for a model without that norm."""
    return [SCALE] if hook_name(SCALE, model) is not None else []


def toward(
    model: "TransformerBridge", held: Mapping[str, Tensor], ids: Int[Tensor, " pair"]
) -> Float[Tensor, "pair d_model"]:
    """For each prompt of a batch, the direction whose dot product with a write at its last position is its share of a logit."""
    scale = {SCALE.name: held[SCALE.name][:, -1][None]} if scale_site(model) else {}
    return readers(model, scale, ids)


def toward_each(model: "TransformerBridge", ids: Int[Tensor, " token"]) -> Float[Tensor, "token d_model"]:
    """The same of each of several tokens, where the divisor is 1."""
    ones = torch.ones(1, len(ids), 1, device=ids.device, dtype=wide(model.W_E).dtype)
    return readers(model, {SCALE.name: ones} if scale_site(model) else {}, ids)


def divisor(model: "TransformerBridge", held: Mapping[str, Tensor], n: int) -> Float[Tensor, "pair 1"]:
    """The final norm's divisor at the last position of n prompts; 1 without that norm."""
    return wide(held[SCALE.name])[:, -1] if scale_site(model) else torch.ones(n, 1, device=model.W_E.device)
