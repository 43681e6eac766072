"""Circuits run on a task's pairs: the model with all other edges carrying something else, compared with the whole model.

compared = Comparison(model, components(model), pairs, "kl", "resample")
compared.far(kept)           how far each circuit's prediction is from the whole model's, mean over pairs
compared.values(kept)        the task's metric of each circuit on each pair
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from circuits.edge_attribution.components import Components
from probe.interventions.ablations import ABLATIONS, Ablation, Values, least, replaced, require_ablation
from probe.memory import require
from probe.tasks.pairs import METRICS, Pairs
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Divergence = Literal["kl", "metric"]
ROWS_BYTES = 1 << 29
"""Bytes of what senders write in the rows of one pass."""


class Comparison:
    """A task's pairs, ready for circuits to be run on them. What removed edges carry is kept. reference: pairs that means and
    constants are taken over; by default these."""

    def __init__(
        self,
        model: "TransformerBridge",
        made: Components,
        pairs: Pairs,
        divergence: Divergence = "kl",
        ablation: Ablation = "resample",
        reference: Pairs | None = None,
    ):
        require_ablation(ablation)
        self.model, self.made, self.pairs, self.divergence, self.ablation = model, made, pairs, divergence, ablation
        each = bytes_of_pair(model, made, pairs)
        require(bytes_of_circuits(model, made, pairs), f"Circuits on {counted(len(pairs), 'pair')}", model.W_E.device)
        self.groups = pairs.groups(max(1, ROWS_BYTES // each))
        self._clean = [ids_of(model, pairs.clean, some) for some in self.groups]
        known = reference if reference is not None else pairs
        corrupted = [made.writes(model, ids_of(model, pairs.corrupted, some)) for some in self.groups]
        self._other = replaced(ablation, corrupted, lambda: _clean_writes(model, made, known))
        nothing = np.zeros((1, *made.layout.edges.shape), bool)
        logits = [self._run(g, nothing)[0] for g in range(len(self.groups))]  # pair d_vocab
        self._whole = [x.log_softmax(-1) for x in logits]
        self._metric = [self.pairs.metric(x, some) for x, some in zip(logits, self.groups, strict=True)]
        self._known = self
        if ablation == "optimal" and reference is not None:
            self._known = Comparison(model, made, reference, "kl", "mean")

    @property
    def convention(self) -> dict[str, Any]:
        """What its numbers mean."""
        told = METRICS[self.pairs.measure]
        worse = "mean KL of the whole model's prediction from the circuit's, nats"
        return {
            "D": worse if self.divergence == "kl" else f"fall of the mean {told}",
            "metric": told,
            "pairs": len(self.pairs),
            "removed carries": ABLATIONS[self.ablation],
        }

    def far(self, kept: Bool[np.ndarray, "circuit sender receiver"]) -> Float[np.ndarray, " circuit"]:
        """How far each circuit is from the whole model, mean over pairs."""
        total = np.zeros(len(kept))
        for logits, g, rows in self._runs(kept):
            if self.divergence == "kl":
                far = self._kl(logits, g).sum(-1)
            else:
                far = (self._metric[g] - self._measured(logits, g)).sum(-1)
            total[rows] += far.double().cpu().numpy()
        return total / len(self.pairs)

    def values(self, kept: Bool[np.ndarray, "circuit sender receiver"]) -> Float[np.ndarray, "circuit pair"]:
        """The task's metric of each circuit on each pair."""
        found = np.zeros((len(kept), len(self.pairs)))
        for logits, g, rows in self._runs(kept):
            found[np.ix_(rows, self.groups[g])] = self._measured(logits, g).double().cpu().numpy()
        return found

    def _kl(self, logits: Float[Tensor, "circuit pair d_vocab"], g: int) -> Float[Tensor, "circuit pair"]:
        whole = self._whole[g]
        return (whole.exp() * (whole - logits.log_softmax(-1))).sum(-1)

    def _measured(self, logits: Float[Tensor, "circuit pair d_vocab"], g: int) -> Float[Tensor, "circuit pair"]:
        return torch.stack([self.pairs.metric(one, self.groups[g]) for one in logits])

    def _runs(self, kept: Bool[np.ndarray, "circuit sender receiver"]) -> Any:
        """Logits of every circuit on every group of pairs, so many circuits at once as memory lets."""
        removed = self.made.layout.edges & ~kept
        if self.ablation == "optimal":
            yield from self._optimal_runs(removed)
            return
        for g, other in enumerate(self._other):
            each = max(1, other.numel() * other.element_size())
            size = max(1, ROWS_BYTES // each)
            for at in range(0, len(kept), size):
                rows = np.arange(at, min(at + size, len(kept)))
                yield self._run(g, removed[rows]), g, rows

    def _optimal_runs(self, removed: Bool[np.ndarray, "circuit sender receiver"]) -> Any:
        """The same with constants of each circuit's own."""
        for row, one in enumerate(removed):
            constant = self._known.constants(one[None]) if one.any() else self._other[0][:1, :, :1]
            for g, other in enumerate(self._other):
                yield self._run(g, one[None], constant.expand_as(other)), g, np.array([row])

    def constants(self, removed: Bool[np.ndarray, "1 sender receiver"]) -> Values:
        """What the senders of removed edges carry so that the prediction stays nearest to the whole model's on these pairs."""

        def loss(constant: Values) -> Float[Tensor, ""]:
            each = [
                self._kl(self._run(g, removed, constant.expand_as(other), grad=True), g).sum()
                for g, other in enumerate(self._other)
            ]
            return torch.stack(each).sum() / len(self.pairs)

        return least(self._other[0][:1, :, :1].clone(), loss)

    def _run(
        self,
        g: int,
        removed: Bool[np.ndarray, "circuit sender receiver"],
        other: Values | None = None,
        grad: bool = False,
    ) -> Float[Tensor, "circuit pair d_vocab"]:
        tokens, other = self._clean[g], self._other[g] if other is None else other
        n, size = len(removed), len(tokens)
        mask = torch.tensor(removed, device=tokens.device).repeat_interleave(size, 0)
        found = self.made.run(self.model, tokens.repeat(n, 1), mask, other.repeat(n, 1, 1, 1), grad=grad)
        return found[:, -1].view(n, size, -1)


def ids_of(model: "TransformerBridge", ids: list[list[int]], some: list[int]) -> Int[Tensor, "prompt pos"]:
    """Some of the prompts, which are equally long."""
    return torch.tensor([ids[i] for i in some], device=model.W_E.device)


def bytes_of_pair(model: "TransformerBridge", made: Components, pairs: Pairs) -> int:
    """What the senders of a model write on one pair, at most."""
    return 4 * len(made.layout.senders) * max(map(len, pairs.clean)) * int(model.cfg.d_model)


def bytes_of_circuits(model: "TransformerBridge", made: Components, pairs: Pairs, together: int = 8) -> int:
    """What running so many circuits at once on these pairs holds: what every sender writes in the other run, and of the rows of a
    pass that again, what is written now, and what that is mixed to."""
    each = bytes_of_pair(model, made, pairs)
    group = each * max(map(len, pairs.groups(max(1, ROWS_BYTES // each))))
    return each * len(pairs) + 4 * max(group, min(ROWS_BYTES, together * group)) + (64 << 20)


def _clean_writes(model: "TransformerBridge", made: Components, pairs: Pairs) -> Iterator[Values]:
    """What every sender writes on the clean prompts, so many at once as memory lets."""
    for some in pairs.groups(max(1, ROWS_BYTES // bytes_of_pair(model, made, pairs))):
        yield made.writes(model, ids_of(model, pairs.clean, some))
