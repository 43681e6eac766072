"""Which model is this? A hash of its weights and one of its tokenizer.

Weights are hashed as bfloat16, by name and shape, each storage once (tied and aliased tensors do not count twice), so a
model loaded in float32 and the same model loaded in bfloat16 are one model, and a model whose weights were processed
(folded norms, centred writing weights) or edited is another.
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from probe.artifact import ModelStamp

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_stamps: "WeakKeyDictionary[TransformerBridge, ModelStamp]" = WeakKeyDictionary()


def stamp(model: "TransformerBridge") -> ModelStamp:
    """Name and fingerprints of a loaded model; computed once per object, about half a second per billion bytes."""
    if model not in _stamps:
        _stamps[model] = ModelStamp(
            str(getattr(model.cfg, "model_name", "") or "unnamed"),
            weights_fingerprint(model),
            tokenizer_fingerprint(model.tokenizer),
        )
    return _stamps[model]


def set_name(model: "TransformerBridge", name: str) -> None:
    """Remember the name the model was asked for by (`smollm2-135m`), which its config does not know."""
    old = stamp(model)
    _stamps[model] = ModelStamp(name, old.weights, old.tokenizer)


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
        digest.update(tensor.detach().to("cpu", torch.bfloat16).contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
