"""Labelled text to probe on, made from the bundled corpus: what a passage is, and what a token is.

Passages are cut from the State of the Union addresses, each beginning with a sentence: one from the opening of an address, one
from its end, some from between, the first of which has a quotation where the address has one. Their labels come from the
corpus's own columns and from their place. Labels of tokens come from the characters around them. Every example knows its
address, so that train and test never share one.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Int

from probe.errors import BadInput
from probe.show.record import Record
from probe.text.bundled import bundled
from probe.text.display import token_bytes
from probe.text.documents import Document
from probe.text.tokens import TokenSet, tokenize

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

EDGE = 0.06  # share of an address that is its opening, and its closing
_SENTENCE = re.compile(r"(?<=[a-z][.?!] )(?=[A-Z])")


@dataclass(frozen=True)
class Passage:
    """A piece of an address. where: `opening`, `closing` or `middle`."""

    text: str
    address: int
    year: int
    party: str
    where: str


PASSAGE_TASKS: dict[str, tuple[str, Callable[[Passage], bool | None]]] = {
    "century": ("written in 1900 or later, against earlier", lambda p: p.year >= 1900),
    "antebellum": (
        "before 1861, against 1861 to 1899",
        lambda p: None if p.year >= 1900 else p.year < 1861,
    ),
    "modern": ("1950 or later, against 1900 to 1949", lambda p: None if p.year < 1900 else p.year >= 1950),
    "party": (
        "by a Democrat, against by a Republican",
        lambda p: {"Democratic": True, "Republican": False}.get(p.party),
    ),
    "opening": (
        "from the opening of an address, against its closing",
        lambda p: None if p.where == "middle" else p.where == "opening",
    ),
    "figures": ("holds a digit, against none", lambda p: any(c.isdigit() for c in p.text)),
}
"""Name -> (meaning, label; None leaves the passage out)."""

TOKEN_TASKS: dict[str, tuple[str, Callable[[str, str, str], bool | None]]] = {
    "digit": ("the token holds a digit, against none", lambda before, it, after: any(c.isdigit() for c in it)),
    "capital": (
        "a word within a sentence begins with a capital, against a small letter",
        lambda before, it, after: (
            it[1].isupper() if it[:1] == " " and it[1:2].isalpha() and before[-1:] not in ".?!" else None
        ),
    ),
    "in_word": (
        "the token continues a word, against begins one",
        lambda before, it, after: (
            True if it[:1].isalpha() and before[-1:].isalpha() else False if re.match(r" [a-z]", it) else None
        ),
    ),
    "after_comma": (
        "a word after a comma, against after a word",
        lambda before, it, after: (
            None
            if not re.match(r" [a-z]", it)
            else before[-1:] == ","
            if before[-1:] in ",abcdefghijklmnopqrstuvwxyz"
            else None
        ),
    ),
    "ends_sentence": (
        "a full stop follows, against a word",
        lambda before, it, after: (
            None
            if not it[-1:].islower()
            else True
            if re.match(r"\.( |$)", after)
            else False
            if re.match(r" [a-z]", after)
            else None
        ),
    ),
    "quoted": (
        "within quotation marks that the passage opened, against in a passage without any",
        lambda before, it, after: (
            None
            if not re.match(r" [a-z]", it)
            else True
            if _opened(before)
            else None
            if '"' in before + it + after
            else False
        ),
    ),
}
"""Name -> (meaning, label from the text before the token, of the token, and after it; None leaves the token out)."""


def _opened(before: str) -> bool:
    """Whether a quotation was opened and not closed yet."""
    return before.count('"') % 2 == 1 and re.search(r'(^|[ (—])"[^"]*$', before) is not None


@dataclass(frozen=True)
class Task:
    """Two classes of examples: `spans` index the labelled text's spans."""

    name: str
    meaning: str
    spans: Int[np.ndarray, " example"]
    labels: Bool[np.ndarray, " example"]


@dataclass(frozen=True)
class LabelledText(Record):
    """Passages as token rows, and spans of tokens in them (row, first and last position, both included) that are examples."""

    tokens: TokenSet
    row: Int[np.ndarray, " span"]
    first: Int[np.ndarray, " span"]
    last: Int[np.ndarray, " span"]
    address: Int[np.ndarray, " span"]
    tasks: list[Task]


def passages(per_address: int = 4, characters: int = 400, seed: int = 0) -> Iterator[Passage]:
    """Passages of the bundled corpus: opening, closing, and the rest between; the same for the same seed."""
    import pyarrow.parquet as pq

    rng = random.Random(seed)
    rows = pq.read_table(bundled("sotu.parquet")).to_pylist()
    for index, row in enumerate(rows):
        text = row["text"]
        starts = [m.start() for m in _SENTENCE.finditer(text) if m.start() < len(text) - characters]
        for number, where in enumerate(["opening", "closing", *["middle"] * (per_address - 2)]):
            fit = [s for s in starts if _place(s, len(text)) == where]
            quoting = [s for s in fit if '"' in text[s : s + characters // 4]] if number == 2 else []
            if fit := quoting or fit:
                start = rng.choice(fit)
                yield Passage(text[start : start + characters], index, row["year"], row["party"], where)


def _place(start: int, length: int) -> str:
    return "opening" if start < EDGE * length else "closing" if start > (1 - EDGE) * length else "middle"


def labelled_text(
    model: "TransformerBridge", *, context: int = 48, per_class: int = 200, per_address: int = 4, seed: int = 0
) -> LabelledText:
    """Tasks on passages of `context` tokens: up to `per_class` tokens of each class, and every passage."""
    found = list(passages(per_address, 8 * context, seed))
    whole = tokenize(model, [Document(str(i), p.text) for i, p in enumerate(found)], context=context)
    rows = np.unique(whole.doc.numpy(), return_index=True)[1]  # a passage longer than a row goes on in others
    tokens = TokenSet(whole.tokens[rows], whole.doc[rows], whole.documents, whole.special[rows])
    text = ~tokens.special.numpy()
    spans = [(r, int(text[r].argmax()), len(text[r]) - 1 - int(text[r][::-1].argmax())) for r in range(len(rows))]
    tasks = []
    for name, (meaning, label) in PASSAGE_TASKS.items():
        answers = [label(p) for p in found]
        kept = [i for i, a in enumerate(answers) if a is not None]
        tasks.append(Task(name, meaning, np.array(kept), np.array([answers[i] for i in kept], bool)))
    tasks += list(_token_tasks(model, tokens, spans, per_class, np.random.default_rng(seed)))
    _check_classes(tasks)
    row, first, last = (np.array(column) for column in zip(*spans, strict=True))
    return LabelledText(tokens, row, first, last, np.array([found[r].address for r in row]), tasks)


def _check_classes(tasks: list[Task]) -> None:
    """BadInput for a task without examples of both classes: a score on it would mean nothing."""
    for task in tasks:
        if len(np.unique(task.labels)) < 2:
            raise BadInput(
                f"The task '{task.name}' ({task.meaning}) has {len(task.labels)} examples, which are not of two classes. Read "
                "longer passages; if that does not help, this model's tokenizer cuts text in a way that the task does not fit."
            )


def _token_tasks(
    model: "TransformerBridge", tokens: TokenSet, spans: list[tuple[int, int, int]], per_class: int, rng: Any
) -> Iterator[Task]:
    """Tasks on single tokens; their spans are added to `spans`."""
    places = {name: {True: [], False: []} for name in TOKEN_TASKS}
    for row, first, last in list(spans):
        pieces = _pieces(model, tokens.tokens[row, first : last + 1].tolist())
        for at in range(1, len(pieces) - 1):
            around = "".join(pieces[:at]), pieces[at], "".join(pieces[at + 1 :])
            for name, (_, label) in TOKEN_TASKS.items():
                if (answer := label(*around)) is not None:
                    places[name][answer].append((row, first + at, first + at))
    for name, (meaning, _) in TOKEN_TASKS.items():
        chosen = [(p, label) for label in (True, False) for p in _some(places[name][label], per_class, rng)]
        index = np.arange(len(spans), len(spans) + len(chosen))
        spans += [p for p, _ in chosen]
        yield Task(name, meaning, index, np.array([label for _, label in chosen], bool))


def _some(items: list[Any], n: int, rng: Any) -> list[Any]:
    return [items[i] for i in rng.permutation(len(items))[:n]]


def _pieces(model: "TransformerBridge", ids: list[int]) -> list[str]:
    """The text of each token, with the space that it begins with: `decode` of a lone token drops that in some vocabularies."""
    return [raw.decode(errors="replace") for raw in token_bytes(model, ids)]


def words() -> list[str]:
    """The bundled list of common words, in alphabetical order."""
    return bundled("words.txt").read_text(encoding="utf8").split()
