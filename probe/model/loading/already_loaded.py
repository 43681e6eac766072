"""A model that is loaded already: a transformers model or a `TransformerBridge`, taken as it is instead of read from a name."""

from typing import TYPE_CHECKING, Any

import torch

from probe.errors import BadInput
from probe.model.loading.pretrained import keep_marks, marks_of, read_tokenizer, told

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def bridge_of(
    model: Any, tokenizer: Any = None, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> "TransformerBridge":
    """The model itself, wrapped and not copied; by default where it is and in its own precision.

    tokenizer: by default the one beside what the model was read from. BadInput for what is no causal language model of
    transformers, and where there is no tokenizer.
    """
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel

    from probe.model.key_value_cache import hand_over

    if isinstance(model, TransformerBridge):
        return _as_it_is(model, tokenizer, device, dtype)
    if not isinstance(model, PreTrainedModel):
        raise BadInput(
            f"A model is an alias, a hub id, a folder, a .gguf file, a transformers model or a TransformerBridge; "
            f"{type(model).__name__} came."
        )
    if (bridge := model.__dict__.get(_BRIDGE)) is not None and tokenizer in (None, bridge.tokenizer):
        return _moved(bridge, device, dtype)
    name = type(model).__name__
    tokenizer = tokenizer or _beside(model)
    marks = marks_of(tokenizer)
    model = model.to(device=device or next(model.parameters()).device, dtype=dtype or model.dtype)  # type: ignore[call-arg]
    with told(name, "its parts"):
        bridge = TransformerBridge.boot_transformers(name, hf_model=model, tokenizer=tokenizer, dtype=model.dtype)
    keep_marks(bridge, marks)
    hand_over(bridge)
    model.__dict__[_BRIDGE] = bridge
    return bridge


_BRIDGE = "_openwork_bridge"
"""Where a transformers model keeps its bridge, beside its modules and not among them. Wrapping puts components in the places of
its blocks; a second bridge around those would find no hooks."""


def _moved(bridge: "TransformerBridge", device: torch.device | None, dtype: torch.dtype | None) -> "TransformerBridge":
    """The bridge there is, where and as its model is now."""
    weight = next(bridge.original_model.to(device=device, dtype=dtype).parameters())  # type: ignore[call-arg]
    bridge.cfg.device, bridge.cfg.dtype = str(weight.device), weight.dtype
    return bridge


def name_of(model: Any) -> str:
    """What a transformers model is called: where it was read from, or its class."""
    return str(getattr(model.config, "name_or_path", "") or type(model).__name__)


def _as_it_is(model: "TransformerBridge", tokenizer: Any, device: Any, dtype: Any) -> "TransformerBridge":
    if tokenizer is not None or device is not None or dtype is not None:
        raise BadInput(
            "A TransformerBridge is taken as it is: its tokenizer, device and dtype are its own. Hand over the model alone, or "
            "the transformers model it was made of."
        )
    return model


def _beside(model: Any) -> Any:
    """The tokenizer of the folder or cached hub id that a model was read from; nothing is fetched."""
    source = str(getattr(model.config, "name_or_path", "") or "")
    try:
        if source:
            return read_tokenizer(source, local_files_only=True)
    except (OSError, ValueError, KeyError):
        pass
    raise BadInput(
        f"This {type(model).__name__} came without a tokenizer, and there is none where it was read from"
        f"{f' ({source[:80]})' if source else ''}: load_model(model, tokenizer=tokenizer)."
    )
