"""Attention that is forbidden: the pattern is 0 there, and the rest of each query is divided by what remains.

That equals a score of minus infinity. What a query gives to no token (the sinks of GPT-OSS) remains too.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def without_attention(
    pattern: Float[Tensor, "*batch q_pos k_pos"], blocked: Bool[Tensor, "*#batch q_pos k_pos"]
) -> Float[Tensor, "*batch q_pos k_pos"]:
    """The pattern with these keys out of reach of these queries. Queries that lose nothing stay as they are."""
    changed = pattern.masked_fill(blocked, 0.0)
    # what a query gives to no token, where a model has sinks; a sum that is 1 but for rounding is 1
    none = 1 - pattern.sum(-1, keepdim=True)
    none = torch.where(none > 8 * torch.finfo(pattern.dtype).eps, none, 0.0)
    left = changed.sum(-1, keepdim=True) + none
    return torch.where(blocked.any(-1, keepdim=True), changed / left.clamp_min(1e-30), pattern)
