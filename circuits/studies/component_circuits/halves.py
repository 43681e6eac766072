"""A task's pairs in two halves: components and circuits are found on one, claims are measured on the other.

Pairs of the commonest lengths are taken, so that a pass runs many at once. Where the model does not do the task nothing is looked
for: all pairs that were drawn are asked first (`probe.tasks.chance`).
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.edge_attribution.runs import ids_of as tokens
from circuits.studies.claim import Measured
from circuits.studies.study import Bench
from probe.tasks.chance import require_done
from probe.tasks.pairs import Pairs, task_pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

N = 16
"""Pairs of each half, where the study does not ask for more or for fewer."""
ROWS = 64
"""Prompts in one pass."""
_SPARE = 3


@dataclass(frozen=True)
class Halves:
    """found: the pairs that components are found on. tested: those that claims are measured on."""

    found: Pairs
    tested: Pairs

    @classmethod
    def of(cls, bench: Bench, task: str, n: int = N, **settings: Any) -> "Halves":
        """Both halves, of `n` pairs each at most. BadInput where the model cannot be asked the task, or does it no better than
        chance."""
        n = bench.scale.prompts or n
        drawn = task_pairs(bench.model, task, 2 * _SPARE * n, seed=bench.scale.seed, **settings)
        right = leads(bench.model, drawn) > 0
        bench.step(len(drawn) / n)
        require_done(bench.model, task, right)
        return cls.split(drawn, n)

    @classmethod
    def split(cls, drawn: Pairs, n: int) -> "Halves":
        """n pairs each, of the commonest lengths among those drawn."""
        often = Counter(map(len, drawn.clean))
        common = sorted(sorted(range(len(drawn)), key=lambda i: -often[len(drawn.clean[i])])[: 2 * n])
        return cls(drawn.some(common[:n]), drawn.some(common[n:]))


@torch.no_grad()
def last_logits(model: "TransformerBridge", pairs: Pairs, ids: list[list[int]]) -> Float[Tensor, "pair d_vocab"]:
    """Logits at the last position, of the clean prompts of some pairs or of others as long (`ids`)."""
    found: dict[int, Tensor] = {}
    for some in pairs.groups(ROWS):
        with model.hooks(fwd_hooks=[("unembed.hook_in", lambda value, hook: value[:, -1:])]):
            found |= dict(zip(some, model(tokens(model, ids, some))[:, -1].float().cpu(), strict=True))
    return torch.stack([found[i] for i in range(len(pairs))])


def leads(model: "TransformerBridge", pairs: Pairs) -> Float[np.ndarray, " pair"]:
    """The right answers' lead in each clean prompt, in logits."""
    beside = replace(pairs, measure="logit_diff")
    logits = last_logits(model, pairs, pairs.clean)
    return beside.metric(logits, list(range(len(pairs)))).double().cpu().numpy()


def measured_on(
    pairs: Pairs, values: Float[np.ndarray, " pair"], draws: Float[np.ndarray, " set"], seed: int
) -> Measured:
    """A claim's number from that of each pair, beside its control sets."""
    return Measured.of(values, draws, over="pairs", seed=seed)
