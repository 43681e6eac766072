"""Prompts of unequal length in one pass: each row is padded at its end, and is as if it were alone.

In a decoder no token sees a later one, and positions (learned, rotary, by distance) count from the first token. So what stands
behind a prompt changes nothing in it: padding at the end needs no mask and no other positions, where padding at the start needs
both, and layers without attention (states, convolutions) would take the padding up all the same. What a pass holds at the padding
is of nobody, and becomes NaN (`without_padding`).

That a model keeps this is an identity, looked at once: a row with something behind it gives what it gives alone. Models that
see both ways, or share something among the rows of a batch, do not keep it and are refused.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.model.anatomy import probe_tokens
from probe.model.examination.tolerances import same

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_BY_LENGTH = ("dynamic", "longrope")
"""Kinds of rotary positions whose angles follow the length of the whole pass."""
_stands_alone: "WeakKeyDictionary[TransformerBridge, bool]" = WeakKeyDictionary()
_lengths: "ContextVar[list[int] | None]" = ContextVar("lengths", default=None)


def require_padding(model: "TransformerBridge", lengths: Sequence[int]) -> None:
    """BadInput unless prompts of these lengths may share a pass."""
    if len(set(lengths)) < 2:
        return
    if model not in _stands_alone:
        _stands_alone[model] = stands_alone(model)
    told = ", ".join(map(str, lengths[:8]))
    if not _stands_alone[model]:
        raise BadInput(
            f"The prompts have {told} tokens, and in this model what stands behind a prompt changes what is read of it (it sees "
            "both ways, or its rows share something), so they cannot be padded to one length. Read them one by one."
        )
    most = _turns_at(model)
    if most is not None and min(lengths) <= most < max(lengths):
        raise BadInput(
            f"The prompts have {told} tokens, and this model turns its positions otherwise in a pass of more than {most}. Read "
            "those that are longer apart from those that are not."
        )


@torch.no_grad()
def stands_alone(model: "TransformerBridge") -> bool:
    """Whether a row of a batch gives, at its own tokens, what it gives alone, whatever stands behind it."""
    row, other = probe_tokens(model)
    n, size = max(1, len(row) // 2), max(int(model.cfg.d_vocab), 1)
    with _undisturbed(model):
        alone, beside = model(row[None, :n]), model(other[None])
        for filler in (0, (int(row[-1]) + 1) % size):
            padded = row.clone()
            padded[n:] = filler
            found = model(torch.stack([padded, other]))
            if not (same(found[:1, :n], alone) and same(found[1:], beside)):
                return False
    return True


@contextmanager
def _undisturbed(model: "TransformerBridge") -> Iterator[None]:
    """The model as it is, without the changes that are in force just now; hooks that belong to it stay."""
    held = [(point, point._forward_hooks) for point in model.hook_dict.values() if point.fwd_hooks]
    try:
        for point, hooks in held:
            passing = {handle.hook.id for handle in point.fwd_hooks if not handle.is_permanent}
            point._forward_hooks = OrderedDict((key, one) for key, one in hooks.items() if key not in passing)
        yield
    finally:
        for point, hooks in held:
            point._forward_hooks = hooks


def _turns_at(model: "TransformerBridge") -> int | None:
    """The length of a pass beyond which a model's positions change; None where it has no such."""
    config: Any = getattr(model.original_model, "config", None)
    rotary = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kind = rotary.get("rope_type", rotary.get("type")) if isinstance(rotary, dict) else None
    if kind not in _BY_LENGTH:
        return None
    known = (rotary, config.__dict__)
    names = ("original_max_position_embeddings", "max_position_embeddings")
    return next((int(held[name]) for name in names for held in known if held.get(name)), None)


def without_padding(value: Float[Tensor, "batch ..."], lengths: Sequence[int], axis: int) -> Float[Tensor, "batch ..."]:
    """The same with NaN behind each row's own length along an axis of positions."""
    if len(set(lengths)) < 2:
        return value
    shape = [1] * value.ndim
    shape[0], shape[axis] = len(lengths), value.shape[axis]
    behind = torch.arange(value.shape[axis], device=value.device) >= torch.tensor(lengths, device=value.device)[:, None]
    return value.expand(len(lengths), *value.shape[1:]).masked_fill(behind.view(shape), float("nan"))


@contextmanager
def of_lengths(lengths: Sequence[int]) -> Iterator[None]:
    """While a padded batch runs: how long each row's prompt is, for changes at positions that count from its end."""
    before = _lengths.set(list(lengths) if len(set(lengths)) > 1 else None)
    try:
        yield
    finally:
        _lengths.reset(before)


def lengths_now() -> list[int] | None:
    """The lengths of the rows that run, where they are padded."""
    return _lengths.get()
