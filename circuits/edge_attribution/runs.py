"""Circuits run on a task's pairs: the model with all other edges carrying something else, compared with the whole model.

compared = Comparison(model, components(model), pairs, "kl", "resample")
compared.far(kept)           how far each circuit's prediction is from the whole model's, mean over pairs
compared.values(kept)        the task's metric of each circuit on each pair
"""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from circuits.edge_attribution.components import Components
from probe.memory import require
from probe.tasks.pairs import METRICS, Pairs
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Divergence = Literal["kl", "metric"]
Ablation = Literal["resample", "zero"]
_ROWS_BYTES = 1 << 29
"""Bytes of what senders write in the rows of one pass."""


class Comparison:
    """A task's pairs, ready for circuits to be run on them. What removed edges carry is kept: `resample`, the corrupted run's."""

    def __init__(
        self,
        model: "TransformerBridge",
        made: Components,
        pairs: Pairs,
        divergence: Divergence = "kl",
        ablation: Ablation = "resample",
    ):
        self.model, self.made, self.pairs, self.divergence, self.ablation = model, made, pairs, divergence, ablation
        each = 4 * len(made.layout.senders) * max(map(len, pairs.clean)) * int(model.cfg.d_model)
        require(each * len(pairs) + 4 * _ROWS_BYTES, f"Circuits on {counted(len(pairs), 'pair')}", model.W_E.device)
        self.groups = pairs.groups(max(1, _ROWS_BYTES // each))
        self._clean = [self._ids(pairs.clean, some) for some in self.groups]
        self._other = [self._writes(some) for some in self.groups]
        nothing = np.zeros((1, *made.layout.edges.shape), bool)
        logits = [self._run(g, nothing)[0] for g in range(len(self.groups))]  # pair d_vocab
        self._whole = [x.log_softmax(-1) for x in logits]
        self._metric = [self.pairs.metric(x, some) for x, some in zip(logits, self.groups, strict=True)]

    @property
    def convention(self) -> dict[str, Any]:
        """What its numbers mean."""
        told = METRICS[self.pairs.measure]
        worse = "mean KL of the whole model's prediction from the circuit's, nats"
        return {
            "D": worse if self.divergence == "kl" else f"fall of the mean {told}",
            "metric": told,
            "pairs": len(self.pairs),
        }

    def far(self, kept: Bool[np.ndarray, "circuit sender receiver"]) -> Float[np.ndarray, " circuit"]:
        """How far each circuit is from the whole model, mean over pairs."""
        total = np.zeros(len(kept))
        for logits, g, rows in self._runs(kept):
            whole = self._whole[g]
            if self.divergence == "kl":
                far = (whole.exp() * (whole - logits.log_softmax(-1))).sum(-1).sum(-1)
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

    def _measured(self, logits: Float[Tensor, "circuit pair d_vocab"], g: int) -> Float[Tensor, "circuit pair"]:
        return torch.stack([self.pairs.metric(one, self.groups[g]) for one in logits])

    def _runs(self, kept: Bool[np.ndarray, "circuit sender receiver"]) -> Any:
        """Logits of every circuit on every group of pairs, so many circuits at once as memory lets."""
        removed = self.made.layout.edges & ~kept
        for g, other in enumerate(self._other):
            each = max(1, other.numel() * other.element_size())
            size = max(1, _ROWS_BYTES // each)
            for at in range(0, len(kept), size):
                rows = np.arange(at, min(at + size, len(kept)))
                yield self._run(g, removed[rows]), g, rows

    def _run(
        self, g: int, removed: Bool[np.ndarray, "circuit sender receiver"]
    ) -> Float[Tensor, "circuit pair d_vocab"]:
        tokens, other = self._clean[g], self._other[g]
        n, size = len(removed), len(tokens)
        mask = torch.tensor(removed, device=tokens.device).repeat_interleave(size, 0)
        found = self.made.run(self.model, tokens.repeat(n, 1), mask, other.repeat(n, 1, 1, 1))
        return found[:, -1].view(n, size, -1)

    def _ids(self, ids: list[list[int]], some: list[int]) -> Tensor:
        return torch.tensor([ids[i] for i in some], device=self.model.W_E.device)

    def _writes(self, some: list[int]) -> Float[Tensor, "pair sender pos d_model"]:
        found = self.made.writes(self.model, self._ids(self.pairs.corrupted, some))
        return torch.zeros_like(found) if self.ablation == "zero" else found
