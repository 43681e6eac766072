"""Keys and values kept between tokens change nothing; a cache that forgets raises, whatever came between."""

from contextlib import suppress

import pytest
import torch
from tiny import CONFIGS, tiny
from transformer_lens.model_bridge.generalized_components.attention import AttentionBridge
from transformers import DynamicCache

from probe.errors import OpenworkError
from probe.interventions.generation import generate_with
from probe.model.key_value_cache import NextToken, hand_over

IDS = torch.tensor([[1, 5, 9, 14, 3], [1, 8, 8, 30, 41]])


def largest_gap(model, ids, n: int = 10) -> float:
    """The largest difference of log-probabilities over n tokens, each the likeliest by the whole text run again."""
    kept, anew, gap = NextToken(model), NextToken(model, cached=False), 0.0
    for _ in range(n):
        found, wanted = kept(ids).log_softmax(-1), anew(ids).log_softmax(-1)
        gap = max(gap, float((found - wanted).abs().max()))
        ids = torch.cat([ids, wanted.argmax(-1)[:, None]], 1)
    assert kept.cached
    return gap


@pytest.mark.parametrize("name", CONFIGS)
def test_cached_equals_uncached(name: str) -> None:
    assert largest_gap(tiny(name), IDS) < 1e-6


@pytest.mark.model
def test_the_default_model_goes_on_as_it_would_without_a_cache(default_model) -> None:
    ids = default_model.to_tokens("The capital of France is")
    assert largest_gap(default_model, ids) < 1e-3
    assert generate_with(default_model, "The capital of France is", [], 10).clean.text.startswith(
        " Paris.\n\nThe capital of"
    )
    own = default_model.generate(ids, max_new_tokens=4, do_sample=False, verbose=False, return_type="tokens")
    assert own[0, ids.shape[1] :].tolist() == generate_with(default_model, "The capital of France is", [], 4).clean.ids


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("layers", [slice(None), slice(1, 2)])
def test_a_cache_that_forgets_raises(name: str, layers: slice) -> None:
    model = tiny(name)
    hand_over(model)

    def lose(module, args, kwargs):
        return args, {k: v for k, v in kwargs.items() if not isinstance(v, DynamicCache)}

    attention = [m for m in model.modules() if isinstance(m, AttentionBridge)][layers]
    handles = [m.register_forward_pre_hook(lose, with_kwargs=True) for m in attention]
    try:
        with pytest.raises(OpenworkError, match=r"After 5 tokens .* cache .* holds \[0"):
            NextToken(model)(IDS)
    finally:
        for handle in handles:
            handle.remove()
    assert largest_gap(model, IDS) < 1e-6


def test_the_cache_is_found_under_any_keyword() -> None:
    model = tiny("llama")
    hand_over(model)
    attention = next(m for m in model.modules() if isinstance(m, AttentionBridge))
    seen = {}

    def note(module, args, kwargs):
        seen.update(kwargs)

    handle = attention.register_forward_pre_hook(note, with_kwargs=True)
    try:
        with suppress(Exception):  # the layer lacks all else it needs: what it was handed is what matters
            attention(a_new_name=DynamicCache())
    finally:
        handle.remove()
    assert isinstance(seen.get("past_key_values"), DynamicCache) and "a_new_name" not in seen
