"""What is asked about a prediction: the logit of one token, or the difference of two. The one place where a token is named.

    " Mary"                      the one token of this text, with its space
    11698                        a token by its id
    Difference(" Mary", " John") the logit of the first minus that of the second

A text is a token if the tokenizer makes one of it, or if a token of the vocabulary has exactly this text: tokenizers that put a
space before every text (Llama's) make two tokens of " Mary", although " Mary" is a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.errors import BadInput, brief
from probe.text.display import alphabet, display_tokens, stand_ins, token_bytes, tokenizer_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class Difference:
    """The logit of one token minus that of another, given as text or ids.

    >>> ow.Difference(" the", " of")
    Difference(token=' the', other=' of')
    """

    token: str | int
    other: str | int

    def __post_init__(self) -> None:
        for one in (self.token, self.other):
            _require_token(one, "Each side of a Difference is a token, as text or id")


Target = str | int | Difference


@dataclass(frozen=True)
class Asked:
    """A target by ids: `id`, minus `other` where a difference was asked for. name: as people read it."""

    id: int
    other: int | None
    name: str


def asked(model: "TransformerBridge", target: Target) -> Asked:
    """A target's ids and name; BadInput for what is no token, and for a difference of one token with itself."""
    if not isinstance(target, Difference):
        one = token_id(model, target)
        return Asked(one, None, display_tokens(model, [one])[0])
    ids = [token_id(model, target.token), token_id(model, target.other)]
    if ids[0] == ids[1]:
        raise BadInput(f"The two tokens of the difference are the same, {target.token!r}; give two different ones.")
    return Asked(*ids, " − ".join(repr(t) for t in display_tokens(model, ids)))


def token_id(model: "TransformerBridge", target: Any) -> int:
    """The id of a token given as text or id; BadInput unless it is exactly one token."""
    _require_token(target, "A target is a token, as text or id, or a Difference")
    if not isinstance(target, str):
        if not 0 <= target < model.cfg.d_vocab:
            raise BadInput(f"There is no token {target}; this model's vocabulary has ids 0 to {model.cfg.d_vocab - 1}.")
        return int(target)
    if not target:
        raise BadInput("The name of a token is empty. Name one token, like ' Mary' with its space.")
    found = single(model, target)
    if found is None:
        raise BadInput(_several(model, target))
    return found


def _require_token(value: Any, wanted: str) -> None:
    """BadInput for what can be no token, whatever the model."""
    if not (isinstance(value, str) or is_id(value)):
        raise BadInput(f"{wanted}; {type(value).__name__} {brief(value)} came.")


def is_id(value: Any) -> bool:
    """Whether this is a whole number: Python's, or one of numpy or torch."""
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def single(model: "TransformerBridge", text: str) -> int | None:
    """The one token that a text is, or None."""
    pieces = _pieces(model, text)
    return pieces[0] if len(pieces) == 1 else _exact(model, text)


def one_target(target: Any, **synonyms: Any) -> Any:
    """A target that may be given under another name too; BadInput where two names were used."""
    used = [(name, value) for name, value in synonyms.items() if value is not None]
    if len(used) + (target is not None) > 1:
        raise BadInput(f"{' and '.join(n for n, _ in used)} and target name the same thing; give target alone.")
    return used[0][1] if used else target


def listed(targets: Any) -> list[Any]:
    """One target, or several, as a list."""
    if targets is None:
        return []
    return list(targets) if isinstance(targets, Sequence | set) and not isinstance(targets, str) else [targets]


def _pieces(model: "TransformerBridge", text: str) -> list[int]:
    try:
        return list(tokenizer_of(model)(text, add_special_tokens=False, verbose=False)["input_ids"])
    except (TypeError, UnicodeEncodeError) as error:  # a lone half of a surrogate pair
        raise BadInput("The name of a token holds a broken character that cannot be written as UTF-8.") from error


def _exact(model: "TransformerBridge", text: str) -> int | None:
    """The token whose text is exactly this, looked up as the vocabulary spells it."""
    tokenizer = tokenizer_of(model)
    kind, spelled = alphabet(tokenizer), text
    if kind == "bytes":
        written = {byte: char for char, byte in stand_ins().items()}
        spelled = "".join(written[b] for b in text.encode())
    elif kind == "metaspace":
        spelled = text.replace(" ", "▁")
    found = tokenizer.convert_tokens_to_ids(spelled)
    if not isinstance(found, int) or not 0 <= found < model.cfg.d_vocab:
        return None
    return found if token_bytes(model, [found]) == [text.encode()] else None


def _several(model: "TransformerBridge", text: str) -> str:
    """What a text is that is not one token, and which nearly equal one is."""
    pieces = display_tokens(model, _pieces(model, text))
    parts = ", ".join(repr(t) for t in pieces[:8]) + (", ..." if len(pieces) > 8 else "")
    near = [t for t in (text.strip(), " " + text.strip()) if t.strip() and t != text and single(model, t) is not None]
    said = {True: "with a space before it", False: "without the space"}
    advice = (
        f" {near[0]!r}, {said[near[0].startswith(' ')]}, is one."
        if near
        else " Name its first piece, or another token."
    )
    return f"{text[:60]!r} is {len(pieces)} tokens ({parts}), and one was wanted.{advice}"
