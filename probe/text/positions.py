"""Positions of a prompt as people name them: by the words that stand there, or by number.

    Eiffel Tower      the tokens that hold these words
    @3  @-1  @2:5     a position, the last, a range

Words are found in the bytes of the tokens, so a token belongs to them if it holds any part of them; a space alone is none.
"""

from typing import TYPE_CHECKING

from probe.errors import BadInput, brief
from probe.model.unit_names import position_of, require_position
from probe.text.display import token_bytes

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def positions_of(model: "TransformerBridge", ids: list[int], named: str) -> list[int]:
    """The positions that a text names among these tokens. BadInput where it names none, and for words that stand there twice."""
    if not isinstance(named, str) or not named.strip():
        raise BadInput(
            f"Positions are named by the words that stand there, or like @3, @-1, @2:5; {brief(named)} came."
        )
    if named.lstrip().startswith("@"):
        return _numbered(named.strip()[1:], named, len(ids))
    parts = token_bytes(model, ids)
    whole, words = b"".join(parts), named.strip().encode()
    first = whole.find(words)
    if first < 0:
        raise BadInput(
            f"{brief(named)} does not stand in the prompt. Write it as it stands there, or a position like @3."
        )
    if whole.find(words, first + 1) >= 0:
        raise BadInput(f"{brief(named)} stands in the prompt more than once. Say which by position, like @3 or @2:5.")
    found, at = [], 0
    for i, part in enumerate(parts):
        if at < first + len(words) and at + len(part) > first:
            found.append(i)
        at += len(part)
    return found


def _numbered(text: str, named: str, n: int) -> list[int]:
    at = position_of(text, named)
    if isinstance(at, slice):
        found = list(range(*at.indices(n)))
        if not found:
            raise BadInput(f"{brief(named)} names no position; the prompt has tokens 0 to {n - 1}.")
        return found
    assert at is not None
    require_position(at, n)
    return [at % n]
