"""The modules of transformers under a bridge, put together again without it: the same weights, none of the hooks.

A bridge puts a part with hooks in the place of every part of the model, and computes attention in its explicit form, so that all
of it can be read and changed. Text that is only drawn needs none of that. Here the modules are copied as objects around the
model's own weights and buffers (an edit in place is seen by both), and attention is `one_query`. Whether the copy predicts what
the model predicts, with keys and values kept, is looked at each time one is made: where hooks change the model, or a family
cannot be put together so, there is no copy, and the model itself has to run.
"""

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from probe.model.anatomy import probe_tokens
from probe.model.continuing.one_query import register
from probe.model.continuing.packed import pack, packed_bytes
from probe.model.continuing.room import cache_with_room
from probe.model.sites import layers_with

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_CLOSE = {torch.float64: 1e-8, torch.float32: 1e-4}
"""How far logits may differ, relative to the largest (or 1, if that is more): sums in another order."""
_CLOSE_HALF = 0.02


def without_bridge(model: "TransformerBridge") -> nn.Module | None:
    """A model of transformers with this model's weights, which takes `cache_with_room`; None where none is right."""
    if not _can_be(model):
        return None
    made = _copy(model)
    for attention in (register(), "sdpa", "eager"):
        try:
            made.set_attn_implementation(attention)
        except (ValueError, ImportError, AttributeError):
            continue
        if _agrees(made, model):
            if packed_bytes(made):
                pack(made)
            return made
    return None


def _can_be(model: "TransformerBridge") -> bool:
    """A decoder of transformers that attends in every layer, with no hook in force."""
    from transformers import PreTrainedModel

    free = not any(hook for point in model.hook_dict.values() for hook in point.fwd_hooks if not hook.is_permanent)
    attends = len(layers_with("pattern", model)) == int(model.cfg.n_layers)
    return free and attends and isinstance(model.original_model, PreTrainedModel)


def _copy(model: "TransformerBridge") -> Any:
    """The original model once more, weights and buffers shared, each part with hooks replaced by what it stands for."""
    shared = [
        *model.parameters(),
        *model.buffers(),
        *model.original_model.parameters(),
        *model.original_model.buffers(),
    ]
    known: dict[int, Any] = {id(part): part for part in [*shared, model.tokenizer]}
    made = copy.deepcopy(model.original_model, {**known, id(model): None})
    _unwrap(made, set())
    return made


def _unwrap(module: nn.Module, seen: set[int]) -> None:
    from transformer_lens.model_bridge.generalized_components.base import GeneralizedComponent

    if id(module) in seen:
        return
    seen.add(id(module))
    for name, child in [*module._modules.items()]:
        while isinstance(child, GeneralizedComponent):
            child = child.original_component
        module._modules[name] = child
        if child is not None:
            _unwrap(child, seen)


@torch.no_grad()
def _agrees(made: Any, model: "TransformerBridge") -> bool:
    """Whether the copy, a few tokens and then one by one, predicts what the model does in one pass."""
    ids = probe_tokens(model)
    try:
        wanted, kept = model(ids), cache_with_room(made, ids.shape[1])
        ends = [ids.shape[1] // 2, *range(ids.shape[1] // 2 + 1, ids.shape[1] + 1)]
        parts = [logits_of(made, ids[:, a:b], kept, b - a) for a, b in zip([0, *ends], ends, strict=False) if b > a]
        found = torch.cat(parts, 1)
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError, NotImplementedError):
        return False
    if found.shape != wanted.shape or not bool(wanted.isfinite().all()):
        return False
    most = _CLOSE.get(wanted.dtype, _CLOSE_HALF) * max(float(wanted.abs().max()), 1.0)
    return float((found - wanted).abs().max()) <= most


def logits_of(made: Any, ids: torch.Tensor, kept: Any, last: int = 1) -> torch.Tensor:
    """Logits of the `last` of these tokens, which follow those that `kept` holds."""
    from probe.model.key_value_cache import name_in

    given = {name_in(made) or "past_key_values": kept, "use_cache": True}
    return made(input_ids=ids, logits_to_keep=last, **given).logits[:, -last:]
