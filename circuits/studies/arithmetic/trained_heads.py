"""A few heads trained and nothing else: what they ask for and what they write.

Every chosen head gets two matrices of its own, added to the model's in hooks, so that no weight of the model is touched:

    queries += (what attention reads) dW_Q        what attention writes += z dW_O

Keys and values stay as they are, since heads may share them. Trained are dW_Q and dW_O, from zero, by AdamW on the
log-probability of the right answers. Learning rate, steps and the choice of matrices are ours; the paper's were not found.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from circuits.studies.arithmetic.head_effects import Heads
from probe.errors import BadInput
from probe.evaluation.metrics import next_token_losses
from probe.interventions.prefix import recorded, replayed
from probe.model.anatomy import spot
from probe.model.sites import Site, hook_name
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

RATE, EPOCHS, BATCH = 1e-3, 3, 16


@dataclass(frozen=True)
class HeadWeights:
    """What is added to the query and output matrices of some heads. heads: by layer; query, output: by layer, in their order."""

    model: "TransformerBridge"
    heads: dict[int, list[int]]
    query: dict[int, Float[Tensor, "head d_model d_head"]]
    output: dict[int, Float[Tensor, "head d_head d_model"]]

    @classmethod
    def zeros(cls, model: "TransformerBridge", heads: Heads) -> "HeadWeights":
        """Nothing yet. BadInput where attention's output is normalised before it is written."""
        by_layer: dict[int, list[int]] = {}
        for layer, i in sorted(heads):
            by_layer.setdefault(layer, []).append(i)
        query, output = {}, {}
        for layer, some in by_layer.items():
            if hook_name(Site("ln1_post_scale", layer), model) is not None:
                raise BadInput(
                    "This model normalises what attention returns before it is written, so single heads' output matrices "
                    "cannot be "
                    "trained from outside. Take a model without norms after attention."
                )
            d, d_head = spot(Site("attn_in", layer), model).width, spot(Site("z", layer), model).sizes["d_head"]
            d_query = spot(Site("q", layer), model).sizes["d_head"]
            query[layer] = torch.zeros(len(some), d, d_query, requires_grad=True)
            output[layer] = torch.zeros(len(some), d_head, d, requires_grad=True)
        return cls(model, by_layer, query, output)

    @property
    def first(self) -> int:
        """The lowest layer that has one."""
        return min(self.heads)

    def parameters(self) -> list[Tensor]:
        """All that is trained."""
        return [*self.query.values(), *self.output.values()]

    @contextmanager
    def added(self, rows: int) -> Iterator[None]:
        """Runs of batches of so many rows have the heads changed."""
        hooks = [hook for layer in self.heads for hook in self._hooks(layer, rows)]
        with self.model.hooks(fwd_hooks=hooks):
            yield

    def _hooks(self, layer: int, rows: int) -> list[tuple[str, Callable]]:
        held: dict[str, Tensor] = {}
        some, read, q, z, out = (
            self.heads[layer],
            *(spot(Site(k, layer), self.model) for k in ("attn_in", "q", "z", "attn_out")),
        )

        def keep(name: str, at: "object") -> Callable:
            return lambda value, hook: held.__setitem__(name, at.read(value, rows))  # type: ignore[attr-defined]

        def asked(value: Tensor, hook: object) -> Tensor:
            added = einsum(held["read"].float(), self.query[layer], "b pos d, head d d_head -> b pos head d_head")
            return q.change(value, rows, lambda v: v.index_add(2, torch.tensor(some), added.to(v)))

        def written(value: Tensor, hook: object) -> Tensor:
            mixed = held["z"][:, :, some].float()
            added = einsum(mixed, self.output[layer], "b pos head d_head, head d_head d -> b pos d")
            return out.change(value, rows, lambda v: v + added.to(v))

        return [(read.hook, keep("read", read)), (q.hook, asked), (z.hook, keep("z", z)), (out.hook, written)]


@dataclass(frozen=True)
class Lesson:
    """What heads are trained on and what they are looked at with. pairs to train and to test; text: unrelated, rows of tokens."""

    train: Pairs
    test: Pairs
    text: Int[Tensor, "row pos"]

    def batches(self) -> list[list[int]]:
        """Rows of the training pairs, a batch each."""
        n = len(self.train)
        return [list(range(at, min(at + BATCH, n))) for at in range(0, n, BATCH)]


class Trainer:
    """Trains sets of heads on one lesson; what lies below the lowest layer that any of them has is computed once."""

    def __init__(self, model: "TransformerBridge", lesson: Lesson, first: int):
        self.model, self.lesson, self.first = model, lesson, first
        self.batches = [(self._ids(lesson.train, rows), rows) for rows in lesson.batches()]
        self.below = [self._recorded(ids) for ids, _ in self.batches]

    def _ids(self, pairs: Pairs, rows: Sequence[int]) -> Int[Tensor, "row pos"]:
        return torch.tensor([pairs.clean[i] for i in rows], device=self.model.W_E.device)

    @torch.no_grad()
    def _recorded(self, ids: Int[Tensor, "row pos"]) -> dict:
        with recorded(self.model, self.first) as kept:
            whole = self.model(ids)
        with replayed(self.model, self.first, kept):
            return kept if torch.equal(self.model(ids), whole) else {}

    def train(self, heads: Heads) -> HeadWeights:
        """A set of heads, trained."""
        weights = HeadWeights.zeros(self.model, heads)
        optimizer = torch.optim.AdamW(weights.parameters(), lr=RATE, weight_decay=0.0)
        for _ in range(EPOCHS):
            for (ids, rows), below in zip(self.batches, self.below, strict=True):
                with torch.enable_grad(), replayed(self.model, self.first, below), weights.added(len(rows)):
                    loss = -right_log_probability(self.lesson.train, self.model(ids)[:, -1], rows).mean()
                gradients = torch.autograd.grad(loss, weights.parameters())  # the model's own weights get none
                for one, gradient in zip(weights.parameters(), gradients, strict=True):
                    one.grad = gradient
                optimizer.step()
        return weights

    @torch.no_grad()
    def looked_at(self, weights: HeadWeights | None) -> "Marks":
        """How well the model does with heads changed; None: as it is."""
        test, rows = self.lesson.test, list(range(len(self.lesson.test)))
        logits = self._run(self._ids(test, rows), weights)[:, -1]
        losses = next_token_losses(self._run(self.lesson.text, weights), self.lesson.text)
        right = torch.tensor([one[0] for one in test.right])
        return Marks(
            right_log_probability(test, logits, rows).double().cpu().numpy(),
            (logits.argmax(-1).cpu() == right).double().numpy(),
            float(losses.mean()),
        )

    def _run(self, ids: Int[Tensor, "row pos"], weights: HeadWeights | None) -> Float[Tensor, "row pos d_vocab"]:
        if weights is None:
            return self.model(ids)
        with weights.added(len(ids)):
            return self.model(ids)


@dataclass(frozen=True)
class Marks:
    """log_probability: of the right answer, pair by pair. right: 1 where it is the likeliest token. text: loss on unrelated
    text."""

    log_probability: Float[np.ndarray, " pair"]
    right: Float[np.ndarray, " pair"]
    text: float

    def row(self) -> dict[str, float]:
        """Its means."""
        return {
            "probability right": float(np.exp(self.log_probability).mean()),
            "likeliest right": float(self.right.mean()),
            "perplexity of other text": float(np.exp(self.text)),
        }


def right_log_probability(
    pairs: Pairs, logits: Float[Tensor, "row d_vocab"], rows: Sequence[int]
) -> Float[Tensor, " row"]:
    """Of the right answers of these pairs."""
    odds = logits.float().log_softmax(-1)
    return torch.stack([one[pairs.right[i]].logsumexp(-1) for one, i in zip(odds, rows, strict=True)])
