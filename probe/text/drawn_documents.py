"""The documents that settings make a model draw: what they begin with, their batches, and the memory that a batch takes."""

import hashlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from probe.doc import Doc
from probe.errors import BadInput
from probe.model.continuing.packed import packed_bytes
from probe.model.continuing.texts import Texts
from probe.model.fingerprint import stamp
from probe.plain_values import Settings
from probe.progress import Step
from probe.text.display import tokenizer_of
from probe.text.document_starts import begins_with, first_tokens
from probe.text.sampling import draw

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.methods import CorpusName

_SLACK = 64 << 20
"Bytes of buffers that no formula counts."


@dataclass(frozen=True)
class SampleConfig(Settings):
    """How text is drawn from a model."""

    length: Annotated[int, Doc(least=1)] = 256
    "Tokens drawn for a document, at most."
    temperature: Annotated[float, Doc(above=0)] = 1.0
    "What logits are divided by before a token is drawn; 1 is the model's own distribution."
    seed: Annotated[int, Doc(least=0)] = 0
    "Of the draws; each document has its own."
    batch: Annotated[int, Doc(least=1)] = 128
    "Documents drawn side by side; how many changes none of them."
    top_p: Annotated[float, Doc(above=0, most=1)] = 1.0
    "Draw only from the likeliest tokens that have this much of the probability together; 1 is from all."
    start: "CorpusName | None" = None
    "A text source whose documents begin the drawn ones, like sotu or a .jsonl file of prompts; by default BOS alone does."
    start_tokens: Annotated[int, Doc(least=1)] = 16
    "How many tokens of a document of that source; a shorter one is taken whole."


@dataclass(frozen=True)
class Drawn:
    """Documents to be drawn. mark: what begins each text. given: of each the tokens that come behind it and are not drawn.
    settings: all that decides them, as it is stored."""

    model: "TransformerBridge"
    config: SampleConfig
    mark: list[int]
    given: list[list[int]]
    settings: dict[str, Any]

    @staticmethod
    def of(model: "TransformerBridge", n_documents: int, config: SampleConfig) -> "Drawn":
        """BadInput for what cannot be."""
        _look_at(n_documents, config)
        mark, source = begins_with(model), config.start
        given = [[]] * n_documents
        if source is not None:
            given = first_tokens(model, source, n_documents, config.start_tokens, config.seed)
        most, longest = len(mark) + max(map(len, given)), getattr(model.cfg, "n_ctx", None)
        if longest and config.length + most > longest:
            first = "their first one" if source is None else f"the {most} they begin with"
            raise BadInput(
                f"Documents of {config.length} tokens and {first} do not fit: this model reads at most {longest}."
            )
        return Drawn(model, config, mark, given, _settings(model, n_documents, config, given))

    @property
    def batches(self) -> list[range]:
        """The documents of each batch."""
        n, size = len(self.given), self.config.batch
        return [range(first, min(first + size, n)) for first in range(0, n, size)]

    @property
    def tokens(self) -> int:
        """How many are drawn, at most."""
        return len(self.given) * self.config.length

    def rows(self, texts: Texts, batch: range, step: Step) -> list[dict[str, Any]]:
        """The documents of one batch as rows."""
        c, rows, tokenizer = self.config, [], tokenizer_of(self.model)
        starts = [self.mark + self.given[i] for i in batch]
        drawn = draw(texts, batch, c.length, c.temperature, c.seed, top_p=c.top_p, starts=starts, step=step)
        for index, (ids, nats) in zip(batch, drawn, strict=True):
            ids = self.given[index] + ids
            text = tokenizer.decode(ids, clean_up_tokenization_spaces=False).rstrip("\ufffd")  # a character cut in half
            rows.append({"id": f"{index:08d}", "text": text, "tokens": ids, "nats": float(sum(nats))})
        return rows

    def memory_bytes(self) -> int:
        """What it takes beside the model: packed weights, and for each row keys and values of a whole text, logits, and what a
        token is chosen by."""
        c, rows = self.model.cfg, min(self.config.batch, len(self.given))
        length = len(self.mark) + max(map(len, self.given)) + self.config.length
        wide = max(self.model.W_E.element_size(), 4)
        heads = int(getattr(c, "n_key_value_heads", None) or c.n_heads)
        kept = 2 * c.n_layers * heads * c.d_head * self.model.W_E.element_size() * length
        packed = packed_bytes(self.model.original_model)
        return _SLACK + packed + rows * (3 * kept // 2 + 4 * wide * c.d_vocab)  # half as much again while rows move up

    def seconds(self, steps: int = 4) -> float:
        """All of it, by the speed of a few tokens of one batch, drawn and forgotten."""
        texts, size, steps = Texts(self.model), self.batches[0], min(steps, self.config.length)
        starts = [self.mark] * len(size)
        list(draw(texts, size, 1, starts=starts))  # the first pass also pays for what is set up once
        start = time.perf_counter()
        list(draw(texts, size, steps, starts=starts))
        return (time.perf_counter() - start) / steps * self.config.length * len(self.batches)


def _look_at(n_documents: int, c: SampleConfig) -> None:
    """BadInput for numbers that cannot be."""
    if min(n_documents, c.length, c.batch, c.start_tokens) < 1 or not 0 < c.temperature < math.inf or c.seed < 0:
        raise BadInput(
            f"A sample needs at least one document, one token and a batch of one, a temperature above 0 and a seed of 0 or more; "
            f"got {n_documents} documents of {c.length} tokens, batch {c.batch}, temperature {c.temperature}, seed {c.seed}."
        )
    if not 0 < c.top_p <= 1:
        raise BadInput(
            f"top_p is a share of the probability, above 0 and at most 1; {c.top_p} came. 1 draws from all tokens."
        )


def _settings(model: "TransformerBridge", n_documents: int, c: SampleConfig, given: list[list[int]]) -> dict[str, Any]:
    """All that decides a sample, as it is stored; what was not asked for stands nowhere, as in samples of before."""
    asked = {} if c.top_p == 1 else {"top_p": c.top_p}
    if c.start is not None:
        digest = hashlib.blake2b(repr(given).encode(), digest_size=16).hexdigest()
        asked |= {"start": c.start, "start_tokens": c.start_tokens, "started_with": digest}
    mark = stamp(model)
    fixed = {"documents": n_documents, "length": c.length, "temperature": c.temperature, "seed": c.seed}
    return {**fixed, "batch": c.batch, "weights": mark.weights, "tokenizer": mark.tokenizer, **asked}
