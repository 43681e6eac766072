"""Keys replaced one at a time: what each then moves of what heads gather, along the gradient.

by scores    one key of a softmax changes, all others shrink or grow in proportion:
             A'_ij = sigmoid(s'_ij - log sum over j' != j of exp s_ij')
in turn      a pass for each key, where a model does not report its scores
"""

from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from circuits.node_attribution.passes import Gradients


@dataclass(frozen=True, eq=False)
class KeysAt:
    """Each key by itself. scores, moved: with this run's keys and with the other's, minus infinity where masked. v: values of
    every query head."""

    site: str
    scores: Float[Tensor, "batch head q_pos k_pos"]
    moved: Float[Tensor, "batch head q_pos k_pos"]
    v: Float[Tensor, "batch pos head d_head"]
    heads: int

    def score(self, at: Gradients) -> Float[Tensor, "batch unit pos"]:
        """Of every key head at every position."""
        worth = einsum(at[self.site], self.v, "b q head d, b k head d -> b head q k")
        found = one_replaced(self.scores, self.moved, worth).sum(-2)
        return found.unflatten(1, (-1, self.heads)).sum(2)


@dataclass(frozen=True, eq=False)
class KeysInTurn:
    """The same from a pass for each key. change: of what heads gather, with the key at `first` replaced, and so on."""

    site: str
    change: Float[Tensor, "batch key pos head d_head"]
    first: int
    heads: int

    def score(self, at: Gradients) -> Float[Tensor, "batch unit pos"]:
        """Of every key head at every position."""
        found = einsum(at[self.site], self.change, "b pos head d, b key pos head d -> b head key")
        return functional.pad(found.unflatten(1, (-1, self.heads)).sum(2), (self.first, 0))


def one_replaced(
    scores: Float[Tensor, "*row key"], moved: Float[Tensor, "*row key"], worth: Float[Tensor, "*row key"]
) -> Float[Tensor, "*row key"]:
    """For each key by itself: by how much the mean of `worth` under the softmax of `scores` changes when its score becomes
    `moved`. Scores of minus infinity are masked."""
    rest = _all_but_each(scores)
    share = torch.sigmoid(moved - rest)
    share = torch.where(torch.isneginf(rest), torch.ones_like(share), share)
    above, below = (_all_but_each(scores + part.log()) - rest for part in (worth.clamp(min=0), (-worth).clamp(min=0)))
    others = torch.where(torch.isneginf(rest), torch.zeros_like(rest), above.exp() - below.exp())
    found = share * worth + (1 - share) * others - (scores.softmax(-1) * worth).sum(-1, keepdim=True)
    return torch.where(torch.isneginf(scores), torch.zeros_like(found), found)


def _all_but_each(x: Float[Tensor, "*row key"]) -> Float[Tensor, "*row key"]:
    """Log of the sum of exponentials of all others: those before and those after, so that nothing is subtracted."""
    none = torch.full_like(x[..., :1], -torch.inf)
    before = torch.cat([none, x.logcumsumexp(-1)[..., :-1]], -1)
    after = torch.cat([none, x.flip(-1).logcumsumexp(-1)[..., :-1]], -1).flip(-1)
    return torch.logaddexp(before, after)
