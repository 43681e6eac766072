"""A task's pairs for one model: tokens of equal length, answers of one token, as runs need them.

pairs = task_pairs(model, "ioi", n=32)
pairs.metric(logits, rows)          right minus wrong, of each prompt
"""

from collections.abc import Iterable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from probe.artifacts.manifest import ModelStamp
from probe.doc import Doc
from probe.errors import BadInput, brief, warn
from probe.model.load import stamp
from probe.plain_values import Settings
from probe.show.record import Record
from probe.tasks.catalogue import TASKS, Task, TaskName, task_named
from probe.tasks.example import Example
from probe.tasks.example_file import read_examples
from probe.tasks.words import Words
from probe.text.prompts import encode_prompt
from probe.text.targets import token_id
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Measure = Literal["logit_diff", "prob_diff", "log_prob"]
METRICS: dict[str, str] = {
    "logit_diff": "mean logit of the right tokens minus that of the wrong ones",
    "prob_diff": "probability of the right tokens minus that of the wrong ones",
    "log_prob": "log of the probability of the right tokens together",
}
_TRIES = 40  # examples drawn for each that is wanted, at most
EVERY = 10**9
"""Pairs to ask for where all that a file holds are wanted."""


@dataclass(frozen=True, kw_only=True)
class Pairs(Record):
    """Clean and corrupted prompts of a task as a model reads them. examples: as text. clean, corrupted: token ids, equally many
    in a pair. right, wrong: ids of the answers. measure: which number is made of the logits. refused: of the examples drawn, how
    many did not fit this model, by why. seed: of the draws.

    >>> pairs = ow.task_pairs(model, "greater-than", n=2)
    >>> [len(ids) for ids in pairs.clean] == [len(ids) for ids in pairs.corrupted]
    True
    """

    task: str
    examples: list[Example]
    clean: list[list[int]]
    corrupted: list[list[int]]
    right: list[list[int]]
    wrong: list[list[int]]
    measure: str = "logit_diff"
    refused: dict[str, int]
    seed: int = 0
    model: ModelStamp

    def __len__(self) -> int:
        return len(self.clean)

    def __post_init__(self) -> None:
        if self.measure not in METRICS:
            raise BadInput(f"There is no metric {brief(self.measure)}; choose {', '.join(METRICS)}.")

    def rows(self) -> list[dict[str, Any]]:
        """One row a pair."""
        return [
            {"clean": e.clean, "corrupted": e.corrupted, "right": " ".join(e.right[:3]), "wrong": " ".join(e.wrong[:3])}
            for e in self.examples
        ]

    def groups(self, most: int) -> list[list[int]]:
        """Indices of pairs of equal length, at most `most` together, so that a batch needs no padding."""
        by_length: dict[int, list[int]] = {}
        for i, ids in enumerate(self.clean):
            by_length.setdefault(len(ids), []).append(i)
        return [some[at : at + most] for some in by_length.values() for at in range(0, len(some), most)]

    def some(self, rows: Iterable[int]) -> "Pairs":
        """These pairs alone."""
        chosen = list(rows)
        lists = ("examples", "clean", "corrupted", "right", "wrong")
        return Pairs(**{**self.__dict__, **{name: [getattr(self, name)[i] for i in chosen] for name in lists}})

    def metric(self, logits: Float[Tensor, "row d_vocab"], rows: list[int]) -> Float[Tensor, " row"]:
        """The number of each of these pairs, from its logits at the last position; float32 at least, differentiable."""
        x = logits if logits.dtype == torch.float64 else logits.float()
        if self.measure != "logit_diff":
            x = x.log_softmax(-1)
        return torch.stack([self._one(row, self.right[i], self.wrong[i]) for row, i in zip(x, rows, strict=True)])

    def _one(self, x: Float[Tensor, " d_vocab"], right: list[int], wrong: list[int]) -> Float[Tensor, ""]:
        if self.measure == "logit_diff":
            return x[right].mean() - (x[wrong].mean() if wrong else 0.0)
        if self.measure == "prob_diff":
            return x[right].exp().sum() - x[wrong].exp().sum()
        return x[right].logsumexp(-1)


def task_pairs(
    model: "TransformerBridge",
    task: TaskName = "ioi",
    n: int = 32,
    *,
    seed: int = 0,
    measure: Measure | None = None,
    **settings: Any,
) -> Pairs:
    """`n` pairs of a task for this model.

    task: a name (`ioi`, `greater-than`, ...), or a JSONL file of examples: `{"clean": ..., "corrupted": ..., "right": [" Mary"],
    "wrong": [" John"]}` a line. settings: the task's own, like `templates` and `corruption`. Examples that do not fit (prompts
    of unequal length, answers of several tokens) are drawn again and counted; of a file they are refused with the line. Raises
    BadInput where fewer than `n` fit.

    >>> pairs = ow.task_pairs(model, "greater-than", n=4)
    >>> len(pairs), pairs.examples[0].clean == pairs.examples[1].clean
    (4, False)
    """
    if n < 1:
        raise BadInput(f"n is {n}; at least one pair is needed.")
    if str(task).endswith(".jsonl"):
        return _from_file(model, Path(task), n, measure or "logit_diff")
    about = task_named(str(task))
    draw, words = Random(seed), Words(model)
    fitting = _Fitting(model)
    for _ in range(_TRIES * n):
        if len(fitting.clean) == n:
            break
        fitting.add(_drawn(about, draw, words, settings))
    if len(fitting.clean) < n:
        why = ", ".join(f"{count} {reason}" for reason, count in fitting.refused.items())
        raise BadInput(
            f"Of {about.name}, {counted(len(fitting.clean), 'pair')} of {n} could be made for this model: {why}. "
            "Ask for fewer, or give examples of your own (a JSONL file)."
        )
    return fitting.pairs(about.name, measure or about.measure, seed)


def _drawn(about: Task, draw: Random, words: Words, settings: dict[str, Any]) -> Example:
    """One example. BadInput for settings that the task does not have, or that no example can be drawn with."""
    known = list(signature(about.make).parameters)[2:]
    if unknown := settings.keys() - known:
        raise BadInput(f"{about.name} has no setting {brief(min(unknown))}; it has {', '.join(known)}.")
    try:
        return about.make(draw, words, **settings)
    except (ValueError, TypeError, LookupError) as error:
        if isinstance(error, BadInput) or not settings:
            raise
        told = ", ".join(f"{name}={brief(value)}" for name, value in settings.items())
        raise BadInput(f"No example of {about.name} can be drawn with {told}. Leave the setting out.") from error


@dataclass(frozen=True, eq=False)
class Drawn(Settings):
    """How a task's pairs are drawn and what is measured of them."""

    measure: Measure | None = None
    "What is made of the logits; by default the task's own metric."
    seed: Annotated[int, Doc(least=0, most=2_147_483_647)] = 0
    "Of the pairs that are drawn, and of what else is drawn."


def pairs_of(model: "TransformerBridge", task: TaskName, n: int, drawn: Drawn = Drawn()) -> Pairs:
    """A task's pairs, drawn, or as they were given."""
    return task if isinstance(task, Pairs) else task_pairs(model, task, n, seed=drawn.seed, measure=drawn.measure)


class _Fitting:
    """Examples that fit a model, as they come."""

    def __init__(self, model: "TransformerBridge"):
        self.model, self.examples, self.seen = model, [], set()
        self.clean, self.corrupted, self.right, self.wrong = [], [], [], []
        self.refused: dict[str, int] = {}

    def add(self, example: Example) -> str:
        """Take an example; returns why not, "" where it was taken."""
        why = self._add(example)
        if why:
            self.refused[why] = self.refused.get(why, 0) + 1
        return why

    def _add(self, example: Example) -> str:
        clean, corrupted = (encode_prompt(self.model, text) for text in (example.clean, example.corrupted))
        if len(clean) != len(corrupted):
            return "with prompts of unequal length"
        if clean == corrupted:
            return "with two prompts that are the same"
        if (tuple(clean), tuple(corrupted)) in self.seen:
            return "that came before"
        try:
            right, wrong = ([token_id(self.model, t) for t in side] for side in (example.right, example.wrong))
        except BadInput:
            return "with an answer of several tokens"
        if not right:
            return "with no right answer"
        if set(right) & set(wrong):
            return "whose right and wrong answers begin alike"
        self.seen.add((tuple(clean), tuple(corrupted)))
        self.examples.append(example)
        for held, value in zip(
            (self.clean, self.corrupted, self.right, self.wrong), (clean, corrupted, right, wrong), strict=True
        ):
            held.append(value)
        return ""

    def pairs(self, task: str, measure: str, seed: int) -> Pairs:
        """What was taken."""
        return Pairs(
            task=task,
            examples=self.examples,
            clean=self.clean,
            corrupted=self.corrupted,
            right=self.right,
            wrong=self.wrong,
            measure=measure,
            refused=self.refused,
            seed=seed,
            model=stamp(self.model),
        )


def _from_file(model: "TransformerBridge", path: Path, n: int, measure: str) -> Pairs:
    """Pairs of a JSONL file: its first `n`."""
    if not path.is_file():
        raise BadInput(
            f"There is no file {path}; a task is one of these or a JSONL file of examples: {', '.join(TASKS)}."
        )
    fitting = _Fitting(model)
    for number, example in read_examples(path):
        if why := fitting.add(example):
            raise BadInput(f"{path}, line {number}: an example {why}. Mend it or take it out.")
        if len(fitting.clean) == n:
            break
    if not fitting.clean:
        raise BadInput(f"{path} holds no examples.")
    if len(fitting.clean) < n < EVERY:
        warn(f"{path} holds {counted(len(fitting.clean), 'example')}, and {n:,} were asked for; all of them are used.")
    return fitting.pairs(path.stem, measure, 0)
