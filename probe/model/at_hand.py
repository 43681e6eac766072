"""A model given by its name, its folder or as transformers holds it, where a loaded one is asked for.

    logit_lens("smollm2-135m", "The capital of France is")      an alias, a folder, a .gguf file, a hub id that was fetched before
    logit_lens(hf_model, "The capital of France is")            a transformers model: wrapped, not copied, so its edits count

Loaded once and kept for the next call: the last two, or one where two would be large. What is named must be on this machine; only
`load_model` fetches. A folder that was written to since is read again.
"""

import os
import sys
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.errors import BadInput, brief
from probe.model.aliases import ALIASES
from probe.model.load import load_model

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

KEPT = 2
LARGE = 4 << 30
"""Bytes of weights that more than one kept model may have together."""
_kept: "OrderedDict[tuple[Any, ...], TransformerBridge]" = OrderedDict()


def at_hand(model: Any) -> "TransformerBridge":
    """The loaded model. BadInput for a name of nothing on this machine."""
    if not isinstance(model, str | os.PathLike):
        return load_model(model)  # which wraps a transformers model once
    key = _key(model)
    if key not in _kept:
        _kept[key] = load_model(Path(model) if isinstance(model, os.PathLike) else model)
        sys.stderr.write(f"Loaded {model}, kept for the next calls by this name; load_model() gives it to you.\n")
    _kept.move_to_end(key)
    while len(_kept) > 1 and (len(_kept) > KEPT or sum(map(weight_bytes, _kept.values())) > LARGE):
        _kept.popitem(last=False)
    return _kept[key]


def _key(model: "str | os.PathLike[str]") -> tuple[Any, ...]:
    """The name, and of what lies on disk when it was written."""
    name = os.fspath(model)
    path = Path(name).expanduser()
    if name not in ALIASES and path.exists():
        files = [path, *path.iterdir()] if path.is_dir() else [path]
        return str(path.resolve()), max(one.stat().st_mtime_ns for one in files)
    if name not in ALIASES and not _fetched(name):
        raise BadInput(f"no model on this machine is called {brief(model)}")
    return (name,)


def _fetched(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    try:
        return isinstance(try_to_load_from_cache(name, "config.json"), str)
    except ValueError:  # no hub id can look so
        return False


def weight_bytes(model: "TransformerBridge") -> int:
    """What a copy of the weights takes."""
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())
