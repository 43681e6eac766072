"""Which loaded model is this, while the process lives: the name it was asked for by, and a number of its weights' edition."""

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import torch
    from transformer_lens.model_bridge import TransformerBridge

_names: "WeakKeyDictionary[TransformerBridge, str]" = WeakKeyDictionary()


def model_name(model: "TransformerBridge") -> str:
    """The name the model was asked for by, or what its configuration says."""
    return _names.get(model) or str(getattr(model.cfg, "model_name", "") or "unnamed")


def set_name(model: "TransformerBridge", name: str) -> None:
    """Remember the name the model was asked for by (`smollm2-135m`), which its config does not know."""
    _names[model] = name


def edition(model: "torch.nn.Module") -> int:
    """A number that changes when a weight is replaced, or edited in place: torch counts the edits of each tensor."""
    weights = getattr(model, "original_model", model).state_dict(keep_vars=True).values()
    return hash(tuple((w.data_ptr(), w.dtype, w._version) for w in weights))
