"""The texts of a model's tokens, made once by the worker that has it loaded and kept; looking in them needs no model."""

from app.library import models, recent_records
from probe.progress import SILENT, Progress
from probe.text.finding import found_tokens


def load_vocabulary(model: str, progress: Progress = SILENT) -> list[str]:
    """Every token's text, by id."""
    if (known := recent_records.known("vocabulary", model, "")) is not None:
        return known
    from probe.text.tokens import display_tokens

    bridge = models.model_named(model, progress)
    return recent_records.remember("vocabulary", model, "", display_tokens(bridge, range(int(bridge.cfg.d_vocab))))


def found(model: str, text: str) -> list[tuple[int, str]] | None:
    """Ids and texts of the tokens that a text names; None while the vocabulary is not in memory."""
    words = recent_records.known("vocabulary", model, "")
    return None if words is None else found_tokens(words, text)
