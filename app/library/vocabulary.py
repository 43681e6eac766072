"""Tokens of a model's vocabulary found by text or id, with their variants: with and without a space before, either case.

The texts are made once for each model, by the worker that has it loaded, and kept in memory; looking in them needs no model.
"""

from app.library import memory, models
from probe.progress import SILENT, Progress

_MOST = 12


def load_vocabulary(model: str, progress: Progress = SILENT) -> list[str]:
    """Every token's text, by id."""
    if (known := memory.known("vocabulary", model, "")) is not None:
        return known
    from probe.text.tokens import display_tokens

    bridge = models.model_named(model, progress)
    return memory.remember("vocabulary", model, "", display_tokens(bridge, range(int(bridge.cfg.d_vocab))))


def found(model: str, text: str) -> list[tuple[int, str]] | None:
    """Ids and texts: the id itself, the exact text with and without a space before it, then tokens that begin with it.

    None while the vocabulary is not in memory.
    """
    words = memory.known("vocabulary", model, "")
    if words is None:
        return None
    if not text.strip():
        return []
    bare = text.strip().lower()
    number = int(bare) if bare.isdecimal() and len(bare) < 10 else -1
    hits = [(number, words[number])] if 0 <= number < len(words) else []
    exact = [(i, w) for i, w in enumerate(words) if w.strip().lower() == bare]
    exact.sort(key=lambda pair: (pair[1] != text, pair[1].strip() != text.strip(), len(pair[1])))
    begins = [(i, w) for i, w in enumerate(words) if w.strip().lower().startswith(bare) and w.strip().lower() != bare]
    begins.sort(key=lambda pair: len(pair[1]))
    return list(dict.fromkeys([*hits, *exact, *begins]))[:_MOST]
