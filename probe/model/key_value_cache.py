"""Logits token by token, with keys and values kept between tokens, so that a new token costs one token.

transformers keeps them in a cache which it hands to every attention layer, and has changed the keyword it comes under.
transformer-lens looks for it under `past_key_values`: under another name the layers keep nothing, and every new token is
predicted as if it were the first. So the cache is handed over under the name that is looked for, whatever it came as, and after
every step its length is compared with the text's: a cache that forgets raises, because what is generated still looks like text.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from probe.errors import OpenworkError
from probe.model.anatomy import probe_tokens, spot
from probe.model.sites import layers_with, resid_pre

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_NAME = "past_key_values"
_ready: "WeakSet[TransformerBridge]" = WeakSet()


def hand_over(model: "TransformerBridge") -> None:
    """See to it that model and attention layers get the cache under the name that each knows, and that layers keep nothing else;
    once per model."""
    from transformer_lens.model_bridge.generalized_components.attention import AttentionBridge

    if model in _ready:
        return
    bridges = [module for module in model.modules() if isinstance(module, AttentionBridge)]
    for module in bridges:
        module.register_forward_pre_hook(_renaming(_NAME), with_kwargs=True)
        module.register_forward_hook(_let_go)
    for theirs in (model.original_model, *(module.original_component for module in bridges)):
        if theirs is not None and (name := name_in(theirs)) is not None:
            theirs.register_forward_pre_hook(_renaming(name), with_kwargs=True)
    _ready.add(model)


def name_in(theirs: nn.Module) -> str | None:
    """What a module of transformers calls the cache."""
    known = inspect.signature(theirs.forward).parameters
    return next((name for name in (_NAME, "cache", "layer_past") if name in known), None)


def _renaming(name: str) -> Callable:
    """A hook that hands a cache over as `name`, whatever keyword it came under."""

    def rename(module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]] | None:
        from transformers.cache_utils import Cache

        others = [key for key, value in kwargs.items() if key != name and isinstance(value, Cache)]
        if not others or kwargs.get(name) is not None:
            return None
        return args, {**{k: v for k, v in kwargs.items() if k not in others}, name: kwargs[others[0]]}

    return rename


def _let_go(module: Any, args: Any, output: Any) -> None:
    """Some layers hold on to their pattern, which nobody reads, until the next pass: gigabytes in a long batch."""
    module._pattern = None


def keeps_nothing(model: "TransformerBridge") -> dict[str, bool]:
    """What to call a model with for a pass that is not continued: without it transformers keeps every layer's keys and values.
    Nothing where layers of other kinds choose by it how they compute."""
    theirs = model.original_model
    known = inspect.signature(theirs.forward).parameters if theirs is not None else {}
    plain = "use_cache" in known and len(layers_with("pattern", model)) == int(model.cfg.n_layers)
    return {"use_cache": False} if plain else {}


class NextToken:
    """The logits after the last token of a text that grows by one token a call.

    cached: keep keys and values where the model can. Raises OpenworkError where they were to be kept and were not.
    """

    def __init__(self, model: "TransformerBridge", cached: bool = True):
        self.model, self.cached, self.kept = model, cached, None
        spot(resid_pre(0), model)  # a sentence where a model does not run
        if cached:
            hand_over(model)
            self.cached = keeps_right(model)

    @torch.no_grad()
    def __call__(self, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch d_vocab"]:
        """ids: the whole text so far; from the second call on, one token longer than before."""
        ids = ids.to(self.model.cfg.device)
        if not self.cached:
            return self.model(ids)[:, -1]
        if self.kept is None:
            logits, self.kept = self.model(ids, return_type="logits_and_cache", use_cache=True)
            self.cached = bool(
                _lengths(self.kept)
            )  # toys keep nothing; a state of fixed size tells no length, so none is kept
        else:
            logits, self.kept = self.model(ids[:, -1:], return_type="logits_and_cache", **{_NAME: self.kept})
        if self.cached:
            _require_kept(self.kept, ids.shape[1])
        return logits[:, -1]

    def keep(self, rows: Int[Tensor, " row"]) -> bool:
        """Go on with these rows alone; False where what the model keeps cannot be parted, and all have to go on."""
        if self.kept is not None and self.cached:
            plain = len(layers_with("pattern", self.model)) == int(self.model.cfg.n_layers)
            if not plain or not hasattr(self.kept, "batch_select_indices"):
                return False
            self.kept.batch_select_indices(rows.to(self.model.cfg.device))
        return True


_right: "WeakKeyDictionary[TransformerBridge, bool]" = WeakKeyDictionary()


@torch.no_grad()
def keeps_right(model: "TransformerBridge") -> bool:
    """Whether a token after a kept text is predicted as in the whole text; looked at once, in models that keep states of other
    kinds beside keys and values, whose layers may not all take them up again."""
    if model not in _right:
        _right[model] = len(layers_with("pattern", model)) == int(model.cfg.n_layers) or _is_right(model)
    return _right[model]


def _is_right(model: "TransformerBridge") -> bool:
    ids = probe_tokens(model)[:1]
    whole = model(ids)[:, -1]
    try:
        _, kept = model(ids[:, :-1], return_type="logits_and_cache", use_cache=True)
        logits, _ = model(ids[:, -1:], return_type="logits_and_cache", **{_NAME: kept})
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError):
        return False
    near = whole.isfinite().all() and torch.allclose(
        logits[:, -1], whole, rtol=1e-2, atol=1e-3 * float(whole.abs().max())
    )
    return bool(near)


def _require_kept(kept: Any, n: int) -> None:
    """Refuse a cache whose attention layers do not all hold the n tokens read so far."""
    held = set(_lengths(kept))
    if held != {n}:
        raise OpenworkError(
            f"After {n} tokens the model's cache of keys and values holds {sorted(held)}, so the next token would "
            "be predicted from a part of the text. The installed transformers and transformer-lens do not fit each other: "
            "`openwork doctor` says which versions were tested."
        )


def _lengths(kept: Any) -> list[int]:
    """How many tokens each attention layer's keys have seen. Layers that keep a state instead of tokens have no length."""
    layers = [layer for layer in getattr(kept, "layers", []) if hasattr(layer, "get_seq_length")]
    return [int(layer.get_seq_length()) for layer in layers]
