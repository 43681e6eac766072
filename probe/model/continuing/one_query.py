"""Attention of one new token a row to the keys and values that are kept, as two batched products a layer.

Heads that share keys and values ask them together, so that these are read once and not repeated. torch's fused kernel for CPUs is
made for many queries; for one it takes 2.3 times as long (1.2 against 0.5 ms a layer: 64 rows of 128 tokens, a Zen 5 core).
"""

from typing import Any

import torch
from torch import Tensor

NAME = "openwork_one_query"
"""What transformers knows it by."""


def register() -> str:
    """Make it known to transformers; where there is more than one query, or a mask, its `sdpa` answers."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if NAME not in ALL_ATTENTION_FUNCTIONS.valid_keys():
        ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
        ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
    return NAME


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **settings: Any
) -> tuple[Tensor, None]:
    """What transformers calls in place of a kernel: [row, head, pos, d_head] to [row, pos, head, d_head]."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    plain = attention_mask is None and not any(settings.get(name) is not None for name in ("softcap", "position_bias"))
    if query.shape[2] != 1 or not plain or query.device.type != "cpu":
        return sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    scale = settings.get("scaling") or query.shape[-1] ** -0.5
    return one_query(query[:, :, 0] * scale, key, value)[:, None], None


def one_query(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """[row, head, d_head] of scaled queries with keys and values [row, fewer heads, pos, d_head]."""
    rows, heads, d_head = query.shape
    shared, pos, d_value = key.shape[1], key.shape[2], value.shape[3]
    asked = query.reshape(rows * shared, heads // shared, d_head)
    pattern = torch.bmm(asked, key.reshape(rows * shared, pos, d_head).transpose(1, 2)).softmax(-1)
    return torch.bmm(pattern, value.reshape(rows * shared, pos, d_value)).reshape(rows, heads, d_value)
