"""A model that is a tokenizer and nothing else."""

from types import SimpleNamespace


def holder(tokenizer, **cfg) -> SimpleNamespace:
    """A model as far as tokens are concerned."""
    return SimpleNamespace(
        tokenizer=tokenizer, cfg=SimpleNamespace(**{"n_ctx": 64, "default_prepend_bos": True, **cfg})
    )
