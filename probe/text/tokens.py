"""Text to token batches: each document cut into rows (`document_rows.py`), each beginning as the model expects.

A row belongs to one document, so that no activation is computed across the border of two texts and a held-out split by
document is a clean one. Beginning-of-text, end-of-text, padding and other marks are `special`, and so is the first position,
whatever stands there; their activations are unlike all others (the first position of a transformer is a sink for attention)
and training leaves them out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from probe.doc import Doc
from probe.errors import BadInput
from probe.model.facts import bos_of
from probe.show.record import Record
from probe.text.display import as_text, display_tokens, mark_ids, token_bytes, tokenizer_of
from probe.text.document_rows import document_rows
from probe.text.documents import Document
from probe.text.prompts import Prompts, encode_prompt, padding_of, read_batch

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

__all__ = ["TokenSet", "as_text", "bos_of", "display_tokens", "encode_prompt", "token_bytes", "tokenize"]

_BATCH = 500_000  # characters handed to the tokenizer at once, which encodes documents side by side


@dataclass(frozen=True)
class TokenSet(Record):
    """Windows of text as token ids.

    doc: for each row the index of its document in `documents`, which holds ids. special: positions that hold no text.
    """

    tokens: Int[Tensor, "row pos"]
    doc: Int[Tensor, " row"]
    documents: list[str]
    special: Bool[Tensor, "row pos"]

    def __len__(self) -> int:
        return self.tokens.shape[0]

    @property
    def context(self) -> int:
        """Tokens in a row."""
        return self.tokens.shape[1]

    @property
    def n_text(self) -> int:
        """Tokens that are text, special ones left out."""
        return int((~self.special).sum())


def tokenize(
    model: "TransformerBridge",
    documents: Iterable[Document | str],
    *,
    context: Annotated[int, Doc("Tokens a row, BOS included.", least=2)] = 128,
    max_tokens: Annotated[int | None, Doc("Token positions to read.", least=1)] = None,
    prepend_bos: bool | None = None,
) -> TokenSet:
    """Cut documents into rows of `context` tokens, each beginning with BOS.

    The tail of a document is padded, or left out if it is shorter than 8 tokens and not all there is of the document.
    max_tokens: stop at that many positions (rows times context); documents after that are never read.
    prepend_bos: None follows the model's own convention. Raises BadInput if the context does not fit the model or
    there is no text.

    >>> tokens = ow.tokenize(model, ["One two three four five six seven."] * 4, context=8)
    >>> tokens.tokens.shape
    torch.Size([4, 8])
    """
    _check_context(model, context, max_tokens)
    bos, pad = bos_of(model, prepend_bos), padding_of(model)
    rows, doc, names, lengths = [], [], [], []
    full = max_tokens // context if max_tokens else None
    for name, ids in _encoded(tokenizer_of(model), documents):
        if ids:
            names.append(name)
        for body in document_rows(ids, context, bos):
            rows.append(body + [pad] * (context - len(body)))
            doc.append(len(names) - 1)
            lengths.append(len(body))
            if len(rows) == full:
                return _token_set(model, rows, doc, names, lengths)
    if not rows:
        raise BadInput("There is no text to tokenize: no document, or only empty ones.")
    return _token_set(model, rows, doc, names, lengths)


def prompt_rows(model: "TransformerBridge", prompts: Prompts) -> TokenSet:
    """Prompts as the rows of one token set, each whole and a document of its own, padded at its end: what `harvest` and
    `LiveActivations` read.

    >>> rows = ow.prompt_rows(model, ["Mary went to", "When Mary and John went to"])
    >>> rows.tokens.shape, rows.n_text
    (torch.Size([2, 8]), 11)
    """
    tokens, lengths = read_batch(model, prompts)
    return _token_set(model, tokens.tolist(), list(range(len(lengths))), list(map(str, range(len(lengths)))), lengths)


def _check_context(model: "TransformerBridge", context: int, max_tokens: int | None) -> None:
    longest = getattr(model.cfg, "n_ctx", None) or context
    if not 2 <= context <= longest:
        raise BadInput(f"A context of {context} tokens does not fit: this model reads 2 to {longest}.")
    if max_tokens is not None and max_tokens < context:
        raise BadInput(
            f"{max_tokens} tokens are less than one row of {context}; ask for more, or for a shorter context."
        )


def _encoded(tokenizer: Any, documents: Iterable[Document | str]) -> Iterator[tuple[str, list[int]]]:
    """(document id, token ids without special tokens), many documents a call."""
    for batch in _batches(documents):
        encoded = tokenizer(
            [d.text for d in batch], add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        yield from zip([d.id for d in batch], encoded["input_ids"], strict=True)


def _batches(documents: Iterable[Document | str]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    for index, document in enumerate(documents):
        batch.append(Document(str(index), document) if isinstance(document, str) else document)
        if sum(len(d.text) for d in batch) >= _BATCH or len(batch) == 256:
            yield batch
            batch = []
    if batch:
        yield batch


def _token_set(
    model: "TransformerBridge", rows: list, doc: list[int], names: list[str], lengths: list[int]
) -> TokenSet:
    """Tensors, with padding, the tokenizer's own marks and the first position noted as special."""
    tokens = torch.tensor(rows, dtype=torch.int64)
    special = torch.isin(tokens, torch.tensor(sorted(mark_ids(tokenizer_of(model))), dtype=torch.int64))
    special[:, 0] = True  # where no mark begins a row, its first token is the sink
    special |= torch.arange(tokens.shape[1]) >= torch.tensor(lengths)[:, None]
    return TokenSet(tokens, torch.tensor(doc, dtype=torch.int32), names, special)
