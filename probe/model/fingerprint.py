"""Which model is this? A hash of its weights and one of its tokenizer.

Weights are hashed as bfloat16, by name and shape, each storage once (tied and aliased tensors do not count twice), so a
model loaded in float32 and the same model loaded in bfloat16 are one model, and a model whose weights were processed
(folded norms, centred writing weights) or edited is another.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from probe.artifacts.manifest import ModelStamp
from probe.identity import edition, model_name

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_AT_ONCE = 1 << 24
"Numbers hashed at once."
_stamps: "WeakKeyDictionary[TransformerBridge, tuple[int, ModelStamp]]" = WeakKeyDictionary()


def stamp(model: "TransformerBridge") -> ModelStamp:
    """Name and fingerprints of a loaded model, about half a second per billion bytes; kept until a weight is edited.

    >>> ow.stamp(model).name
    'toy'
    """
    now = edition(model)
    kept = _stamps.get(model)
    if kept is None or kept[0] != now or kept[1].name != model_name(model):
        kept = now, ModelStamp(model_name(model), weights_fingerprint(model), tokenizer_fingerprint(model.tokenizer))
        _stamps[model] = kept
    return kept[1]


def stamp_of(model: "ModelStamp | TransformerBridge | None") -> ModelStamp | None:
    """A loaded model's stamp; a stamp as it is."""
    return model if model is None or isinstance(model, ModelStamp) else stamp(model)


def weights_fingerprint(model: torch.nn.Module) -> str:
    """32 hex digits over every weight of the model."""
    digest, seen = hashlib.blake2b(digest_size=16), set()
    state = getattr(model, "original_model", model).state_dict()
    for name in sorted(state, key=_plain):
        tensor = state[name]
        key = (tensor.data_ptr(), tensor.shape)
        if key in seen or not tensor.is_floating_point():
            continue
        seen.add(key)
        digest.update(f"{tuple(tensor.shape)}".encode())
        for part in _parts(tensor.detach()):
            digest.update(part.to("cpu", torch.bfloat16).contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _parts(tensor: torch.Tensor) -> Sequence[torch.Tensor]:
    """Rows that together are the tensor, few enough at a time that no copy of it is ever whole: a vocabulary is wide."""
    rows = max(1, _AT_ONCE * len(tensor) // tensor.numel()) if tensor.ndim and tensor.numel() else 1
    return tensor.split(rows) if tensor.ndim else (tensor,)


def _plain(name: str) -> str:
    # The bridge wraps modules; the wrapped and the unwrapped name must sort alike.
    return name.replace("_original_component.", "")


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """32 hex digits over vocabulary, merges and special tokens; `none` without a tokenizer."""
    if tokenizer is None:
        return "none"
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    special = json.dumps({k: str(v) for k, v in sorted(tokenizer.special_tokens_map.items())})
    return hashlib.blake2b(f"{text}{special}".encode(), digest_size=16).hexdigest()
