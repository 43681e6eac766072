"""The marks that begin and end a text: those of a tokenizer, not those that it is lent."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def marks_of(tokenizer: Any) -> dict[str, str | None]:
    """What a tokenizer begins and ends a text with."""
    return {name: getattr(tokenizer, name, None) for name in ("bos_token", "eos_token")}


def keep_marks(model: "TransformerBridge", own: dict[str, str | None]) -> None:
    """Take back the marks that transformer-lens lends a tokenizer without them.

    It makes EOS the BOS of a tokenizer that has none, so that every prompt would begin with an end of text, which such a model
    has seen between texts only, and adds an EOS of its own where there is none, which has no row in the embedding.
    """
    for name in (name for name, token in own.items() if token is None):
        setattr(model.tokenizer, name, None)
    if own["eos_token"] is None and (model.tokenizer.pad_token_id or 0) >= model.cfg.d_vocab:
        model.tokenizer.pad_token = None
    if own["bos_token"] is None:
        model.cfg.default_prepend_bos = model.cfg.tokenizer_prepends_bos = False
