"""Which of four things a model does when it completes a fact, by the tests of PrISM (Saynova et al. 2024).

The model is asked every fact in eight paraphrases; what it says is its likeliest next token.

    says something      the token has 3 characters or more and begins some answer of the relation
    correct             it begins this subject's answer
    consistent          in how many of the eight paraphrases it says the same
    cue                 the token and the subject begin with the same letters (4, or all of the token's); or the prompt
                        alone calls for it, with the subject replaced; or the name alone does, without the relation

    exact recall        consistent in more than 5, correct, no cue, a popular subject
    guesswork           consistent in fewer than 2, not popular; whether it is correct is not asked
    heuristics          an invented subject, and a cue
    language modelling  the first words of a sentence of the shipped text, at most 10, and the next token the model says

Ours: the lists, the paraphrases, the prompts for cues, that heuristics need a cue, and what stands for popularity
(`paraphrases`).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from circuits.studies.prism.paraphrases import BY_NAME, NAMELESS, TEMPLATES, Fact, golds
from probe.text.display import display_tokens
from probe.text.documents import corpus
from probe.text.prompts import encode_prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

EXACT, HEURISTICS, GUESSWORK, MODELLING = SCENARIOS = ("exact recall", "heuristics", "guesswork", "language modelling")
LETTERS, CONSISTENT, INCONSISTENT, WORDS = 3, 5, 2, 10
_BATCH, _SENTENCES = 64, 40

Says = Callable[[Sequence[str]], list[str]]
"""What a model says after each prompt: the text of its likeliest next token, without spaces around it."""


@dataclass(frozen=True)
class Completion:
    """A prompt of one scenario. subject: the words that are drowned in noise. said: what the model says. why: the tests'
    outcome."""

    scenario: str
    prompt: str
    subject: str
    said: str
    why: dict[str, Any]

    def row(self) -> dict[str, Any]:
        """As a line of a table."""
        return {"scenario": self.scenario, "prompt": self.prompt, "said": self.said, **self.why}


def sayer(model: "TransformerBridge") -> Says:
    """What a model says, many prompts at once."""

    @torch.no_grad()
    def says(prompts: Sequence[str]) -> list[str]:
        ids, by_length = [encode_prompt(model, prompt) for prompt in prompts], {}
        for i, one in enumerate(ids):
            by_length.setdefault(len(one), []).append(i)
        best = [0] * len(ids)
        for some in by_length.values():
            for at in range(0, len(some), _BATCH):
                rows = some[at : at + _BATCH]
                with model.hooks(fwd_hooks=[("unembed.hook_in", lambda value, hook: value[:, -1:])]):
                    logits = model(torch.tensor([ids[i] for i in rows], device=model.W_E.device))[:, -1]
                for i, token in zip(rows, logits.argmax(-1).tolist(), strict=True):
                    best[i] = token
        return [text.strip() for text in display_tokens(model, best)]

    return says


def begins(said: str, answers: set[str]) -> bool:
    """Whether what was said begins one of these answers."""
    return len(said) >= LETTERS and any(answer.startswith(said) for answer in answers)


def alike(said: str, subject: str) -> bool:
    """Whether a word and a subject begin with the same letters."""
    n = min(4, len(said))
    return n >= LETTERS and said[:n].lower() == subject[:n].lower()


@dataclass(frozen=True)
class Asked:
    """One fact in all its paraphrases, with what the model says there; what it says of the name alone, and to the prompts
    alone."""

    fact: Fact
    said: list[str]
    by_name: str
    nameless: list[str]

    def completions(self) -> Iterator[Completion]:
        """The paraphrases that belong to a scenario."""
        answers, counts = golds(self.fact.relation), Counter(self.said)
        for template, said, nameless in zip(TEMPLATES[self.fact.relation], self.said, self.nameless, strict=True):
            if not begins(said, answers):
                continue
            cues = {"letters": alike(said, self.fact.subject), "prompt": said == nameless, "name": said == self.by_name}
            why = {
                "consistent": counts[said],
                "correct": not self.fact.invented and begins(said, {self.fact.answer}),
                "mentions": self.fact.mentions,
                "cue": " ".join(name for name, there in cues.items() if there),
            }
            if scenario := scenario_of(self.fact, why):
                yield Completion(scenario, template.format(self.fact.subject), self.fact.subject, said, why)


def scenario_of(fact: Fact, why: dict[str, Any]) -> str:
    """By the tests; "" where it belongs to none."""
    if fact.invented:
        return HEURISTICS if why["cue"] else ""
    if why["consistent"] > CONSISTENT and why["correct"] and not why["cue"] and fact.popular:
        return EXACT
    if why["consistent"] < INCONSISTENT and not fact.popular:
        return GUESSWORK
    return ""


def asked_of(says: Says, facts: Sequence[Fact]) -> list[Asked]:
    """Every fact asked."""
    nameless = {relation: says([t.format(NAMELESS) for t in some]) for relation, some in TEMPLATES.items()}
    names = list(dict.fromkeys(fact.subject for fact in facts))
    by_name = dict(zip(names, says([BY_NAME.format(name) for name in names]), strict=True))
    said = iter(says([t.format(fact.subject) for fact in facts for t in TEMPLATES[fact.relation]]))
    return [
        Asked(f, [next(said) for _ in TEMPLATES[f.relation]], by_name[f.subject], nameless[f.relation]) for f in facts
    ]


def sentences(says: Says) -> list[Completion]:
    """Beginnings of sentences of the shipped text, and what the model says next; the longest word before the last stands for a
    subject."""
    texts = []
    for document in corpus("sotu", seed=2):
        parts = re.split(r"(?<=[.])\s+", document.text, maxsplit=2)
        words = (parts[1:2] or parts)[0].split()[:WORDS]
        if len(words) >= WORDS // 2 and len(set(words)) == len(words) and not words[-1].endswith("."):
            texts.append(words)
        if len(texts) == _SENTENCES:
            break
    said = says([" ".join(words) for words in texts])
    return [
        Completion(MODELLING, " ".join(words), max(words[:-1], key=len), word, {})
        for words, word in zip(texts, said, strict=True)
        if len(word) >= LETTERS
    ]


def sorted_out(says: Says, facts: Sequence[Fact], seed: int) -> dict[str, list[Completion]]:
    """Completions by scenario: of each fact at most one, in random order."""
    draw = np.random.default_rng(seed)
    found: dict[str, list[Completion]] = {name: [] for name in SCENARIOS}
    for one in asked_of(says, facts):
        some = list(one.completions())
        if some:
            chosen = some[draw.integers(len(some))]
            found[chosen.scenario].append(chosen)
    found[MODELLING] = sentences(says)
    return {name: [some[i] for i in draw.permutation(len(some))] for name, some in found.items()}
