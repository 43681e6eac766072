"""Prompts by id. An address holds the id, never the text, because addresses end up in histories and logs."""

import hashlib
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from probe.artifacts.folder import home
from probe.artifacts.json import write_json
from probe.artifacts.untrusted import read_json, sealed, unsealed
from probe.errors import BadInput, Unavailable

MAX_CHARACTERS = 20_000
_LARGEST = 1 << 20  # bytes of a prompt's file
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Prompt:
    """A stored prompt; `model` is the one it was last opened with, `used` Unix seconds."""

    id: str
    text: str
    model: str
    used: float


def _folder() -> Path:
    return home() / "prompts"


def prompt_id(text: str) -> str:
    """The id of a text: the beginning of its SHA-256."""
    return hashlib.sha256(text.encode("utf8", "surrogatepass")).hexdigest()[:12]


def store(text: str, model: str) -> Prompt:
    """Keep a prompt and return it; BadInput when it is empty or far too long."""
    if not text.strip():
        raise BadInput("The prompt is empty; write some text for the model to read.")
    if len(text) > MAX_CHARACTERS:
        raise BadInput(
            f"The prompt has {len(text):,} characters; the dashboard reads up to {MAX_CHARACTERS:,}. Shorten it."
        )
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise BadInput("The prompt holds half of a character that takes two, which no tokenizer reads. Write it again.")
    prompt = Prompt(prompt_id(text), text, model, time.time())
    _folder().mkdir(parents=True, exist_ok=True)
    write_json(_folder() / f"{prompt.id}.json", sealed(asdict(prompt)))
    return prompt


def is_stored(identity: str) -> bool:
    """Is there a prompt of this id?"""
    return _ID.fullmatch(identity) is not None and (_folder() / f"{identity}.json").is_file()


def load(identity: str) -> Prompt:
    """The prompt with this id; BadInput when there is none here."""
    path = _folder() / f"{identity}.json"
    if not _ID.fullmatch(identity) or not path.is_file():
        raise BadInput(
            "No prompt with this address is stored here. Write it again on the home page; the same text gets the same address."
        )
    try:
        found = Prompt(**unsealed(read_json(path, _LARGEST)))
        if (
            not all(isinstance(t, str) for t in (found.id, found.text, found.model))
            or prompt_id(found.text) != identity
        ):
            raise TypeError("it is another text than its address says")
        return Prompt(identity, found.text, found.model, min(max(float(found.used), 0.0), 2e11))
    except (ValueError, TypeError, OverflowError, Unavailable) as error:
        raise BadInput("This prompt's file is damaged. Write the prompt again on the home page.") from error


def recent(limit: int = 12) -> list[Prompt]:
    """Prompts used last, newest first."""
    found = []
    for path in _folder().glob("*.json"):
        try:
            found.append(load(path.stem))
        except BadInput:
            continue
    return sorted(found, key=lambda p: p.used, reverse=True)[:limit]
