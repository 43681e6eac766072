"""The words of a feature table: the cache's tokens, its documents, and every token of the vocabulary as it is shown."""

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int

from probe.text.display import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache

Columns = dict[str, np.ndarray]
"Arrays by name."


class Text:
    """What `text_columns` made, memory-mapped."""

    def __init__(self, columns: Columns):
        self._columns = columns
        self.tokens: Int[np.ndarray, "row pos"] = columns["tokens"]
        self.doc: Int[np.ndarray, " row"] = columns["doc"]
        self.special: Bool[np.ndarray, "row pos"] = columns["special"]

    @cached_property
    def vocabulary(self) -> list[str]:
        """Every token as it is shown."""
        offsets, blob = self._columns["vocabulary_offsets"].tolist(), self._columns["vocabulary"].tobytes()
        return [blob[a:b].decode() for a, b in pairwise(offsets)]

    @cached_property
    def folded(self) -> list[str]:
        """Every token without its case, for searching."""
        return [token.casefold() for token in self.vocabulary]

    def token(self, token: int) -> str:
        """One token as it is shown; empty for no token (-1)."""
        return self._unpacked("vocabulary", token) if token >= 0 else ""

    def document(self, row: int) -> str:
        """The name of the document a row was cut from."""
        return self._unpacked("documents", int(self.doc[row]))

    def _unpacked(self, name: str, index: int) -> str:
        start, end = self._columns[f"{name}_offsets"][index : index + 2]
        return self._columns[name][start:end].tobytes().decode()


def text_columns(model: "TransformerBridge", cache: "Cache") -> Columns:
    """The cache's tokens and where its documents are, and every token of the vocabulary as it is shown."""
    tokens = cache.tokens()
    blob, offsets = _packed(vocabulary(model))
    documents, document_offsets = _packed(tokens.documents)
    return {
        "tokens": tokens.tokens.numpy().astype(np.int32),
        "doc": tokens.doc.numpy().astype(np.int32),
        "special": tokens.special.numpy(),
        "vocabulary": blob,
        "vocabulary_offsets": offsets,
        "documents": documents,
        "documents_offsets": document_offsets,
    }


def vocabulary(model: "TransformerBridge") -> list[str]:
    """Every token's text, or its number where the model has no tokenizer."""
    ids = range(model.W_U.shape[1])
    return display_tokens(model, ids) if getattr(model, "tokenizer", None) is not None else [f"⟨id {i}⟩" for i in ids]


def _packed(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Texts end to end as bytes, and where each begins."""
    raw = [t.encode() for t in texts]
    joined = np.frombuffer(b"".join(raw) or b"\0", np.uint8).copy()
    return joined, np.r_[0, np.cumsum([len(r) for r in raw])].astype(np.int64)
