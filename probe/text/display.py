"""What a token stands for, byte for byte, and how it is shown.

A token is a run of bytes, not of characters: byte-level vocabularies cut an emoji or an umlaut in two. `decode` on a
single id then gives a replacement character, which is wrong and hides which bytes they were. Here each vocabulary is
undone exactly: GPT-2's table of printable stand-ins for bytes, SentencePiece's `▁` and `<0x0A>`, and special tokens
as they are written. Bytes that are no text by themselves are shown in hex: `⟨e2 80⟩`.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from probe.errors import BadInput

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def tokenizer_of(model: "TransformerBridge") -> Any:
    """The model's tokenizer; BadInput if it has none."""
    if getattr(model, "tokenizer", None) is None:
        raise BadInput("This model has no tokenizer, so text means nothing to it; give token ids.")
    return model.tokenizer


@cache
def stand_ins() -> dict[str, int]:
    """GPT-2's printable character for each byte: itself where it is printable, else U+0100 and up, in order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in printable]
    return {**{chr(b): b for b in printable}, **{chr(256 + i): b for i, b in enumerate(others)}}


def alphabet(tokenizer: Any) -> str:
    """How a vocabulary writes bytes: "bytes" (GPT-2's), "metaspace" (SentencePiece's `▁`) or "plain"."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:  # tokenizers written in Python
        return (
            "bytes"
            if hasattr(tokenizer, "byte_decoder")
            else "metaspace"
            if hasattr(tokenizer, "sp_model")
            else "plain"
        )
    parts = json.dumps(
        [json.loads(p.__getstate__()) for p in (backend.decoder, backend.pre_tokenizer) if p is not None]
    )
    if '"ByteLevel"' in parts:
        return "bytes"
    return "metaspace" if '"Metaspace"' in parts or '"ByteFallback"' in parts or "\\u2581" in parts else "plain"


def token_bytes(model: "TransformerBridge", ids: Iterable[int]) -> list[bytes]:
    """The bytes each token adds to a text. Joined, they are the encoded text (SentencePiece may add a first space)."""
    tokenizer = tokenizer_of(model)
    known, wanted = _spelling(tokenizer), [int(i) for i in ids]
    table = {
        i: known.added[i] if i in known.added else _bytes(_piece(tokenizer, i, known.size), known.kind)
        for i in set(wanted)
    }
    return [table[i] for i in wanted]


@dataclass(frozen=True)
class _Spelling:
    """How many tokens a vocabulary has, how it writes bytes, and the bytes of those that were added to it."""

    size: int
    kind: str
    added: dict[int, bytes]


_spellings: "WeakKeyDictionary[Any, _Spelling]" = WeakKeyDictionary()


def _spelling(tokenizer: Any) -> _Spelling:
    """Made once for a tokenizer and again when tokens are added: a large vocabulary takes a tenth of a second to list."""
    size, kept = len(tokenizer), _spellings.get(tokenizer)
    if kept is None or kept.size != size:
        kind = alphabet(tokenizer)
        added = {i: _added(token, kind) for i, token in tokenizer.added_tokens_decoder.items()}
        kept = _spellings[tokenizer] = _Spelling(size, kind, added)
    return kept


def _added(token: Any, kind: str) -> bytes:
    """Marks stand as they are written; other text that was added to a SentencePiece vocabulary (runs of spaces) is spelled as
    the rest of it is."""
    plain = token.content if token.special or kind != "metaspace" else token.content.replace("▁", " ")
    return plain.encode()


def _piece(tokenizer: Any, token: int, size: int) -> str:
    """A token as the vocabulary spells it; ids that pad the vocabulary have no spelling."""
    spelled = tokenizer.convert_ids_to_tokens(token) if 0 <= token < size else None
    return spelled if spelled is not None else f"⟨id {token}⟩"


def _bytes(piece: str, kind: str) -> bytes:
    if kind == "bytes" and all(c in stand_ins() for c in piece):
        return bytes(stand_ins()[c] for c in piece)
    if kind == "metaspace":
        match = _BYTE.fullmatch(piece)
        return bytes([int(match[1], 16)]) if match else piece.replace("▁", " ").encode()
    return piece.encode()


def as_text(raw: bytes) -> str:
    """UTF-8 where it is UTF-8, hex where it is not: b" \\xf0\\x9f" is " ⟨f0 9f⟩"."""
    text, rest = "", raw
    while rest:
        try:
            return text + rest.decode()
        except UnicodeDecodeError as error:
            broken = error.end
            while broken < len(rest) and not _starts(rest[broken:]):
                broken += 1
            text += rest[: error.start].decode() + "⟨" + rest[error.start : broken].hex(" ") + "⟩"
            rest = rest[broken:]
    return text


def _starts(raw: bytes) -> bool:
    """Whether a whole character stands at the front."""
    try:
        raw[:4].decode()
    except UnicodeDecodeError as error:
        return error.start > 0
    return True


def decoded(model: "TransformerBridge", ids: list[int]) -> str:
    """The text that ids are together, as the tokenizer writes it; the ids themselves where there is none."""
    tokenizer = getattr(model, "tokenizer", None)
    return " ".join(map(str, ids)) if tokenizer is None else str(tokenizer.decode(ids))


def display_tokens(model: "TransformerBridge", ids: Iterable[int]) -> list[str]:
    """Each token's own text, exactly; bytes that are no text alone in hex; the ids of a model without a tokenizer. Use it
    wherever a token is shown."""
    if getattr(model, "tokenizer", None) is None:
        return [str(int(i)) for i in ids]
    return [as_text(raw) for raw in token_bytes(model, ids)]


def mark_ids(tokenizer: Any) -> set[int]:
    """Ids of tokens that mark a place and are no text: beginning, end, padding, turns of a chat. The unknown token is none of
    them, unless it is one of these too: it stands for text."""
    special: set[Any] = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    unknown = {tokenizer.unk_token_id} - {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    return (special | set(tokenizer.all_special_ids)) - unknown


def end_tokens(model: "TransformerBridge") -> set[int]:
    """Tokens after which a text is over: the tokenizer's marks, and all that the model's own settings name (often several)."""
    ends: set[Any] = set(getattr(model.tokenizer, "all_special_ids", ()))
    original = getattr(model, "original_model", None)
    for settings in (getattr(original, "generation_config", None), getattr(original, "config", None)):
        named = getattr(settings, "eos_token_id", None)
        ends |= set(named if isinstance(named, list | tuple) else [named]) - {None}
    return ends
