"""Facts of two relations as one model is asked them: the capital of a country, and the language spoken there.

Every topic is one token and is asked about once, in prompts of equal length; the corrupted prompt asks about the next topic.
Half of the topics are looked at, the other half is what claims are tried on.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from circuits.studies.last_token import Pairs, batch
from probe.interventions.forward import capture
from probe.interventions.prefix import started_at
from probe.lens.direct import readers
from probe.model.sites import Site, hook_name
from probe.tasks.chance import require_done
from probe.tasks.facts import TEMPLATES
from probe.tasks.words import Words, enough, pairs_listed
from probe.text.targets import token_id

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

RELATION, OTHER = ("capitals", "is"), ("languages", "official")
"""The relation that is studied and another one of the same topics: the list of facts, and the template they are asked in."""
FEWEST = 12


@dataclass(frozen=True)
class Facts:
    """clean, corrupted: prompts about a topic and about the next one. right, wrong: their answers. topic: the topic's own token.
    at: its position, the same in all."""

    name: str
    model: "TransformerBridge"
    clean: Int[Tensor, "fact pos"]
    corrupted: Int[Tensor, "fact pos"]
    right: list[int]
    wrong: list[int]
    topic: list[int]
    at: int

    def __len__(self) -> int:
        return len(self.right)

    def some(self, rows: Sequence[int]) -> "Facts":
        """These facts alone."""
        lists = ([side[i] for i in rows] for side in (self.right, self.wrong, self.topic))
        return Facts(self.name, self.model, self.clean[list(rows)], self.corrupted[list(rows)], *lists, self.at)

    def halves(self, most: int | None = None) -> tuple["Facts", "Facts"]:
        """Those that are looked at, and those that claims are tried on; at most so many of each."""
        n = len(self) // 2
        return self.some(range(n)[:most]), self.some(range(n, len(self))[:most])

    def pairs(self) -> Pairs:
        """For patching: the contrast is the right answer's logit minus the next topic's."""
        sides = ([[i] for i in side] for side in (self.right, self.wrong))
        return Pairs(self.name, self.clean, self.corrupted, *sides, varied=self.at)

    def logits(self) -> Float[Tensor, "fact d_vocab"]:
        """After the clean prompts, of the model as it is changed right now."""
        with torch.no_grad():
            return self.model(self.clean.to(self.model.W_E.device))[:, -1].float().cpu()

    def of_right(self, logits: Float[Tensor, "fact d_vocab"]) -> Float[np.ndarray, " fact"]:
        """The column of each fact's answer."""
        return logits[range(len(self)), self.right].double().numpy()

    def likeliest(self, logits: Float[Tensor, "fact d_vocab"]) -> Float[np.ndarray, " fact"]:
        """1 where the answer is the likeliest token."""
        return (logits.argmax(-1) == torch.tensor(self.right)).double().numpy()

    def best_of_answers(self, logits: Float[Tensor, "fact d_vocab"]) -> Bool[np.ndarray, " fact"]:
        """Whether the answer is likelier than those of all other facts."""
        return (logits[:, self.right].argmax(-1) == torch.arange(len(self))).numpy()

    def toward(self, answers: Sequence[int]) -> Float[Tensor, "fact d_model"]:
        """For each fact the direction whose dot product with a write at the last position is what that adds to an answer's logit,
        less the mean logit; the final norm's divisor held."""
        return readers(self.model, self._divisors, torch.tensor(list(answers)))

    @cached_property
    def _divisors(self) -> dict[str, Tensor]:
        """Of the final norm at the last position, a fact in the place of a position; none where the model has no such norm."""
        site = Site("final_scale")
        if hook_name(site, self.model) is None:
            return {}
        return {site.name: capture(self.model, self.clean, [site])[site.name][None, :, -1]}

    def from_layer(self, layer: int) -> AbstractContextManager[None]:
        """Within it runs of the clean prompts start at this layer, where that changes nothing."""
        return started_at(self.model, layer, self.clean)


def facts_of(model: "TransformerBridge", relation: str, template: str, topics: Sequence[str] | None = None) -> Facts:
    """A relation's facts whose topic and answer are one token each. topics: which, in this order; by default all. BadInput where
    they are too few, or the model does not know them."""
    words = Words(model)
    known = {
        topic: answer
        for topic, answer in pairs_listed(relation)
        if (topics is None or topic in topics) and words.one_token(f" {topic}") and words.one_token(f" {answer}")
    }
    asked = enough(list(known) if topics is None else [t for t in topics if t in known], relation, FEWEST)
    clean = batch(model, [TEMPLATES[relation][template].format(subject=topic) for topic in asked])
    right = [token_id(model, f" {known[topic]}") for topic in asked]
    found = Facts(
        relation,
        model,
        clean,
        clean.roll(-1, 0),
        right,
        right[1:] + right[:1],
        [token_id(model, f" {topic}") for topic in asked],
        int((clean[0] != clean[1]).nonzero()[0]),
    )
    require_done(model, relation, found.best_of_answers(found.logits()), chance=1 / len(asked))
    return found


def studied(model: "TransformerBridge") -> Facts:
    """The facts of the relation that is studied."""
    return facts_of(model, *RELATION)


def of_both(model: "TransformerBridge") -> tuple[Facts, Facts]:
    """Facts of both relations about the same topics, in the same order."""
    words = Words(model)
    both = [
        {
            topic
            for topic, answer in pairs_listed(name)
            if words.one_token(f" {answer}") and words.one_token(f" {topic}")
        }
        for name, _ in (RELATION, OTHER)
    ]
    topics = [topic for topic, _ in pairs_listed(RELATION[0]) if topic in both[0] & both[1]]
    one, other = (facts_of(model, *asked, topics) for asked in (RELATION, OTHER))
    return one, other
