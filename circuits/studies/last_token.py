"""Tasks that are answered by one token: prompts of equal length, what is read at their last position, and how well a model does.

The margin of a prompt is a difference of logits: the mean of the tokens that would be right minus the mean of those that would be
wrong. It is a direction of the final residual stream, so a graph explains it exactly. A pair of prompts that differ in one token
has a contrast; patching from the second into the first is scored by the share of the way from one contrast to the other.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.attribution.trace import Direction
from probe.errors import BadInput
from probe.identity import model_name
from probe.interventions.prefix import recorded, replayed
from probe.text.tokens import encode_prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class Scores:
    """A task's margin, probability of what is right, that minus what is wrong, and whether the likeliest token is right or wrong,
    prompt by prompt."""

    margin: Float[np.ndarray, " prompt"]
    probability: Float[np.ndarray, " prompt"]
    gap: Float[np.ndarray, " prompt"]
    right: Float[np.ndarray, " prompt"]
    wrong: Float[np.ndarray, " prompt"]

    def means(self) -> dict[str, float]:
        """Over prompts."""
        return {name: float(getattr(self, name).mean()) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Task:
    """prompts of equal length. more, fewer: the tokens of each whose mean logits the margin sets against each other. varied: the
    position of the token that decides."""

    name: str
    model: "TransformerBridge"
    prompts: list[str]
    more: list[list[int]]
    fewer: list[list[int]]
    varied: int

    def __post_init__(self) -> None:
        self.tokens  # noqa: B018  (what is refused is refused before any work)

    @cached_property
    def tokens(self) -> Int[Tensor, "batch pos"]:
        """All prompts as one batch. BadInput where they differ in length."""
        return batch(self.model, self.prompts)

    def first(self, n: int | None) -> "Task":
        """Its first n prompts."""
        return replace(self, prompts=self.prompts[:n], more=self.more[:n], fewer=self.fewer[:n])

    def direction(self, i: int) -> Direction:
        """The margin of prompt i as a root of its graph."""
        W = self.model.W_U.detach()
        return Direction(W[:, self.more[i]].mean(1) - W[:, self.fewer[i]].mean(1), name="margin")

    def logits(self) -> Float[Tensor, "batch d_vocab"]:
        """At the last position, of the model as it is changed right now."""
        with torch.no_grad():
            return self.model(self.tokens.to(self.model.cfg.device))[:, -1].float().cpu()

    def start_at(self, layer: int) -> AbstractContextManager[None]:
        """Within it runs of these prompts start at this layer: what lies below is computed once. Where the model reads more of it
        than the residual stream, they are whole."""
        if layer not in self._below:
            self._below[layer] = self._recorded(layer)
        return replayed(self.model, layer, self._below[layer])

    def _recorded(self, layer: int) -> dict[int, Any]:
        with recorded(self.model, layer) as kept:
            whole = self.logits()
        with replayed(self.model, layer, kept):
            return kept if torch.equal(self.logits(), whole) else {}

    @cached_property
    def _below(self) -> dict[int, dict[int, Any]]:
        return {}

    def scores(self, logits: Float[Tensor, "batch d_vocab"]) -> Scores:
        """How well these logits do."""
        best, odds = logits.argmax(-1).tolist(), logits.softmax(-1)
        pairs = list(zip(self.more, self.fewer, strict=True))
        return Scores(
            margin=np.array([float(row[m].mean() - row[f].mean()) for row, (m, f) in zip(logits, pairs, strict=True)]),
            probability=np.array([float(row[m].sum()) for row, (m, _) in zip(odds, pairs, strict=True)]),
            gap=np.array([float(row[m].sum() - row[f].sum()) for row, (m, f) in zip(odds, pairs, strict=True)]),
            right=np.array([float(b in m) for b, (m, _) in zip(best, pairs, strict=True)]),
            wrong=np.array([float(b in f) for b, (_, f) in zip(best, pairs, strict=True)]),
        )

    def shuffled(self, draw: np.random.Generator) -> "Task":
        """The same prompts with each other's answers."""
        order = draw.permutation(len(self.prompts))
        return replace(self, more=[self.more[i] for i in order], fewer=[self.fewer[i] for i in order])


@dataclass(frozen=True)
class Pairs:
    """Clean and corrupted prompts that differ in one token. high, low: the contrast's tokens of each pair."""

    name: str
    clean: Int[Tensor, "pair pos"]
    corrupted: Int[Tensor, "pair pos"]
    high: list[list[int]]
    low: list[list[int]]
    varied: int

    def first(self, n: int | None) -> "Pairs":
        """Its first n pairs."""
        return replace(self, clean=self.clean[:n], corrupted=self.corrupted[:n], high=self.high[:n], low=self.low[:n])

    def contrast(self, logits: Float[Tensor, "pair d_vocab"]) -> Float[Tensor, " pair"]:
        """Mean logit of `high` minus mean of `low`."""
        return torch.stack(
            [row[h].mean() - row[w].mean() for row, h, w in zip(logits, self.high, self.low, strict=True)]
        )


def batch(model: "TransformerBridge", prompts: Sequence[str]) -> Int[Tensor, "batch pos"]:
    """Prompts as token ids. BadInput where they differ in length."""
    ids = [encode_prompt(model, prompt) for prompt in prompts]
    if len(lengths := {len(one) for one in ids}) > 1:
        raise BadInput(
            f"The prompts have {min(lengths)} to {max(lengths)} tokens on {model_name(model)}; equally many were wanted, so its "
            "tokenizer does not fit this task."
        )
    return torch.tensor(ids)


def single(model: "TransformerBridge", text: str) -> int | None:
    """The id of a text that is one token; None for any other."""
    ids = model.tokenizer.encode(text, add_special_tokens=False)
    return ids[0] if len(ids) == 1 else None
