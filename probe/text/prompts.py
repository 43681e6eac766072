"""What a model is asked to read: text, token ids, or the messages of a chat. The one place where a prompt is read.

    "The capital of France is"                             text; BOS is put first where the model has one
    [1, 504, 3575], a tensor or array of them              token ids, taken as they are: nothing is added
    [{"role": "user", "content": "Hello"}]                 a chat, through the tokenizer's template, up to where the answer
                                                           begins; a last message of the assistant is that answer's beginning

What reads one prompt takes a batch of one too and refuses more with a sentence. What reads a batch (`capture`, `unit_values`)
takes a list of any of these, of whatever lengths: shorter ones are padded at their end (`probe.model.padding`).
"""

import numbers
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from probe.errors import BadInput
from probe.model.facts import bos_of
from probe.model.padding import require_padding
from probe.text.display import as_text, decoded, token_bytes, tokenizer_of
from probe.words import one_at_a_time

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Prompt = str | Sequence[int] | Sequence[Mapping[str, str]] | Tensor | np.ndarray
_CHARACTERS = 64  # of a token, on average, at the very most: runs of spaces
Prompts = Prompt | Sequence[Prompt]
WANTED = "Give text, a list or tensor of token ids, or chat messages like [{'role': 'user', 'content': 'Hello'}]."


class ReadPrompt(NamedTuple):
    """A prompt as text and as the token ids the model gets."""

    text: str
    ids: list[int]


def encode_prompt(model: "TransformerBridge", prompt: Prompt, prepend_bos: bool | None = None) -> list[int]:
    """Token ids of one prompt; for text BOS first where the model has one (not twice, if the text itself begins with it).

    Raises BadInput for an empty prompt, for one longer than the model's context, and for what is no prompt.

    >>> ow.encode_prompt(model, "The war")
    [1, 280, 408]
    """
    return read_prompt(model, prompt, prepend_bos).ids


def read_prompt(model: "TransformerBridge", prompt: Prompt, prepend_bos: bool | None = None) -> ReadPrompt:
    """Text and token ids of one prompt, however it was given. See `encode_prompt`."""
    one = _plain(prompt)
    if isinstance(one, list) and one and not _is_ids(one) and not _is_chat(one):
        if len(one) > 1 and all(isinstance(part, str | list) for part in one):
            raise BadInput(one_at_a_time(len(one)))
        one = one[0] if len(one) == 1 and isinstance(one[0], str | list) else one
    found = _read(model, one, prepend_bos)
    longest = getattr(model.cfg, "n_ctx", None)
    if longest and len(found.ids) > longest:
        raise BadInput(f"The prompt has {len(found.ids)} tokens and this model reads at most {longest}. Shorten it.")
    return found


class Batch(NamedTuple):
    """Prompts as the rows of one pass. lengths: how many tokens of each row are its own; padding stands behind them."""

    tokens: Int[Tensor, "batch pos"]
    lengths: list[int]


def read_batch(model: "TransformerBridge", prompts: Prompts) -> Batch:
    """One prompt or several, on the model's device; a matrix of ids as it is. BadInput where they differ in length and the model
    does not take them padded."""
    if isinstance(prompts, Tensor) and prompts.ndim == 2 and not prompts.is_floating_point() and prompts.numel():
        _in_vocabulary(model, *(int(i) for i in prompts.aminmax()))
        return Batch(prompts, [prompts.shape[1]] * len(prompts))
    given = _plain(prompts)
    single = not isinstance(given, list) or _is_ids(given) or _is_chat(given) or not given
    rows = [encode_prompt(model, one) for one in ([given] if single else given)]
    lengths = [len(row) for row in rows]
    require_padding(model, lengths)
    return Batch(torch.tensor(padded(rows, padding_of(model)), device=model.W_E.device), lengths)


def padded(rows: Sequence[Sequence[int]], filler: int) -> list[list[int]]:
    """Rows of one length, the shorter ones with the filler behind them."""
    longest = max(map(len, rows))
    return [[*row, *[filler] * (longest - len(row))] for row in rows]


def padding_of(model: "TransformerBridge") -> int:
    """The token that stands where there is none: the tokenizer's own, or another mark of its, or the first."""
    tokenizer = getattr(model, "tokenizer", None)
    known = (getattr(tokenizer, f"{name}_token_id", None) for name in ("pad", "eos", "bos"))
    return next((i for i in known if i is not None), 0)


def several(prompts: Any) -> list[Any]:
    """Prompts as a list: one alone (a text, a list of ids, a chat) is a list of one. What else stands among them stays."""
    if (
        isinstance(prompts, str)
        or getattr(prompts, "ndim", 2) == 1
        or not isinstance(prompts, Sequence | Tensor | np.ndarray)
    ):
        return [prompts]
    given = list(prompts)
    return [given] if given and (_is_ids(given) or _is_chat(given)) else given


def _plain(prompt: Any) -> Any:
    """Tensors, arrays and tuples as lists; everything else as it is."""
    if isinstance(prompt, Tensor | np.ndarray):
        if prompt.ndim not in (1, 2) or not _whole(prompt):
            raise BadInput(
                f"The prompt is a tensor of shape {tuple(prompt.shape)} and type {prompt.dtype}; token ids were wanted: whole "
                "numbers, as [pos] or [batch, pos]."
            )
        return prompt.tolist()
    if isinstance(prompt, Sequence) and not isinstance(prompt, str | bytes):
        return [_plain(part) for part in prompt]
    return prompt.item() if isinstance(prompt, np.integer) else prompt


def _whole(given: Tensor | np.ndarray) -> bool:
    if isinstance(given, Tensor):
        return not (given.is_floating_point() or given.is_complex() or given.dtype == torch.bool)
    return np.issubdtype(given.dtype, np.integer)


def _is_ids(given: list[Any]) -> bool:
    """Whether this is meant as token ids; mixed with something else it is still meant so, and refused as such."""
    return any(isinstance(i, numbers.Number) for i in given)


def _is_chat(given: list[Any]) -> bool:
    return any(isinstance(message, Mapping) for message in given)


def _read(model: "TransformerBridge", one: Any, prepend_bos: bool | None) -> ReadPrompt:
    if isinstance(one, str):
        return _text(model, one, prepend_bos)
    if isinstance(one, list) and _is_chat(one):
        text = _chat(model, one)
        return ReadPrompt(text, _tokens(model, text))  # the template says itself where a text begins
    if isinstance(one, list) and (not one or _is_ids(one)):
        return _ids(model, one)
    raise BadInput(f"A prompt was wanted, and {_shown(one)} came. {WANTED}")


def _require_readable(model: "TransformerBridge", text: str) -> None:
    """BadInput for what no tokenizer reads, and for what is too long by far to be worth the trying."""
    longest = getattr(model.cfg, "n_ctx", None) or 2**20
    if len(text) > _CHARACTERS * longest:
        raise BadInput(
            f"The prompt has {len(text):,} characters and this model reads at most {longest} tokens. Shorten it."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput("The prompt holds half of a character that takes two, which no tokenizer reads.") from error


def _text(model: "TransformerBridge", text: str, prepend_bos: bool | None) -> ReadPrompt:
    if not text:
        raise BadInput("The prompt is empty. Write some text, for instance: The capital of France is")
    _require_readable(model, text)
    ids, bos = _tokens(model, text), bos_of(model, prepend_bos)
    return ReadPrompt(text, [bos, *ids] if bos is not None and ids[:1] != [bos] else ids)


def _tokens(model: "TransformerBridge", text: str) -> list[int]:
    tokenizer = tokenizer_of(model)
    try:
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    except (TypeError, UnicodeEncodeError) as error:  # a lone half of a surrogate pair
        raise BadInput("The prompt holds a broken character that cannot be written as UTF-8; remove it.") from error


def _ids(model: "TransformerBridge", ids: list[Any]) -> ReadPrompt:
    if not ids:
        raise BadInput("The prompt is empty: a list without token ids. " + WANTED)
    for one in ids:
        if not isinstance(one, int) or isinstance(one, bool):
            raise BadInput(f"Among the token ids is {_shown(one)}; whole numbers were wanted. {WANTED}")
    _in_vocabulary(model, min(ids), max(ids))
    if getattr(model, "tokenizer", None) is None:
        return ReadPrompt(decoded(model, ids), ids)
    bos = bos_of(model)
    return ReadPrompt(as_text(b"".join(token_bytes(model, ids[1:] if ids[0] == bos else ids))), ids)


def _in_vocabulary(model: "TransformerBridge", smallest: int, largest: int) -> None:
    size = int(getattr(model.cfg, "d_vocab", 0) or largest + 1)
    if not 0 <= smallest <= largest < size:
        wrong = smallest if smallest < 0 else largest
        raise BadInput(f"There is no token {wrong}; this model's vocabulary has ids 0 to {size - 1}.")


def _chat(model: "TransformerBridge", messages: list[Any]) -> str:
    """The messages as the tokenizer's template writes them."""
    for one in messages:
        if not isinstance(one, Mapping) or not all(isinstance(one.get(k), str) for k in ("role", "content")):
            raise BadInput(
                f"A chat message is {{'role': ..., 'content': ...}}, both text; {_shown(one)} came. "
                "Roles are usually system, user and assistant."
            )
    tokenizer = tokenizer_of(model)
    if not getattr(tokenizer, "chat_template", None):
        raise BadInput("This model's tokenizer has no chat template, so it reads no messages. Give the prompt as text.")
    begun = messages[-1]["role"] == "assistant"
    try:
        return tokenizer.apply_chat_template(
            [dict(m) for m in messages],
            tokenize=False,
            add_generation_prompt=not begun,
            continue_final_message=begun,
        )
    except Exception as error:  # a template is a program of the model's, which raises what it likes
        raise BadInput(
            f"The model's chat template refuses these messages: {str(error).splitlines()[0][:200]}"
        ) from error


def _shown(value: Any) -> str:
    """A value in an error message: its type, and the beginning of how it is written."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
