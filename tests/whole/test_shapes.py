"""The shape checks of the other tests are really on."""

import pytest
from jaxtyping import TypeCheckError
from shapes import mentions_shape

from probe.evaluation.metrics import next_token_losses


def test_a_wrong_shape_or_dtype_is_refused(toy):
    tokens = toy.to_tokens("Hello there")
    logits = toy(tokens)
    assert next_token_losses(logits, tokens).ndim == 2
    for wrong in (tokens[0], tokens.float()):
        with pytest.raises(TypeCheckError, match="parameter 'tokens'"):
            next_token_losses(logits, wrong)


def test_only_annotations_with_shapes_are_checked():
    from jaxtyping import Float
    from torch import Tensor

    array = Float[Tensor, "batch pos"]
    assert mentions_shape(array)
    assert mentions_shape(array | None)
    assert mentions_shape(dict[str, list[array]])
    assert not mentions_shape(dict[str, Tensor] | None)
