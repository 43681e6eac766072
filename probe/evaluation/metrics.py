"""Pure metrics on tensors. Sums run in float64 and do not depend on how the data was split into batches.

fvu           fraction of variance unexplained: sum |y - recons|^2 / sum |y - mean(y)|^2, over tokens and dimensions
explained variance    1 - fvu; predicting the mean gives 0, identity gives 1
shrinkage     slope of the least-squares line of reconstructions on targets, both about their means: below 1 they are too small
norm_ratio    mean over tokens of |recons| / |y|
cosine        mean over tokens of the cosine between recons and y
relative_bias mean |recons|^2 / mean recons.y: 1 if no rescaling would help (Rajamanoharan et al. 2024)
l0            active latents per token
dead share    share of latents that were silent on every token seen
ce_recovered  (ce_ablated - ce_spliced) / (ce_ablated - ce_clean): 1 as good as untouched, 0 as bad as ablated
kl            sum_v p(v) (log p(v) - log q(v)), p the untouched model's next token and q the changed one's, in nats
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probe.errors import BadInput


class Likeness:
    """How reconstructions compare with targets in size and direction, streaming; each measure is defined above.

    Tokens whose target or reconstruction is exactly 0 have no direction: they count as cosine 0, and a target of 0 is left out
    of norm_ratio. Raises BadInput where nothing was seen.
    """

    def __init__(self) -> None:
        self.n = self.n_nonzero = 0
        self._origin: Tensor | None = None
        self._sums: list[Tensor] = []
        self._cross = self._squares = self._ratio = self._cosine = self._dot = self._norm = 0.0

    def update(self, targets: Float[Tensor, "row d"], recons: Float[Tensor, "row d"]) -> "Likeness":
        """Add tokens."""
        y, r = targets.detach().double(), recons.detach().double()
        if self._origin is None:  # about some token's value, so that a mean far from zero costs no precision
            self._origin, self._sums = y[0].clone(), [torch.zeros_like(y[0]), torch.zeros_like(y[0])]
        about, other = y - self._origin, r - self._origin
        self._sums[0] += about.sum(0)
        self._sums[1] += other.sum(0)
        self._squares += float(about.square().sum())
        self._cross += float((about * other).sum())
        self._add_norms(y.norm(dim=1), r.norm(dim=1), (y * r).sum(1))
        return self

    def _add_norms(self, y: Float[Tensor, " row"], r: Float[Tensor, " row"], dot: Float[Tensor, " row"]) -> None:
        self.n += len(y)
        self.n_nonzero += int((y > 0).sum())
        self._ratio += float((r / y)[y > 0].sum())
        self._cosine += float((dot / (y * r))[(y > 0) & (r > 0)].sum())
        self._dot += float(dot.sum())
        self._norm += float(r.square().sum())

    @property
    def value(self) -> dict[str, float]:
        """shrinkage, norm_ratio, cosine and relative_bias; NaN for one that is not defined here."""
        if not self.n:
            raise BadInput("No tokens were seen, so there is nothing to compare.")
        y, r = self._sums
        variance = self._squares - float(y @ y) / self.n
        return {
            "shrinkage": _ratio(self._cross - float(y @ r) / self.n, variance if variance > 0 else 0.0),
            "norm_ratio": _ratio(self._ratio, self.n_nonzero),
            "cosine": self._cosine / self.n,
            "relative_bias": _ratio(self._norm, self._dot),
        }


def _ratio(above: float, below: float) -> float:
    return above / below if below else float("nan")


@dataclass
class Firing:
    """How often each latent fired and how many fired per token, streaming."""

    counts: Int[Tensor, " d_dict"]
    n: int = 0
    active: int = field(default=0)

    @classmethod
    def of(cls, d_dict: int) -> "Firing":
        """Nothing seen yet."""
        return cls(torch.zeros(d_dict, dtype=torch.int64))

    def update(self, latents: Float[Tensor, "row d_dict"]) -> "Firing":
        """Add tokens, given dense latents."""
        on = latents != 0
        return self.add(on.sum(0), on.sum(-1))

    def add(self, per_latent: Int[Tensor, " d_dict"], per_token: Int[Tensor, " row"]) -> "Firing":
        """Add tokens, given counts."""
        self.counts += per_latent.to(self.counts)
        self.n += len(per_token)
        self.active += int(per_token.sum())
        return self

    @property
    def l0(self) -> float:
        """Mean active latents per token."""
        return self.active / max(self.n, 1)

    @property
    def density(self) -> Float[Tensor, " d_dict"]:
        """Share of tokens on which each latent is active."""
        return self.counts.double() / max(self.n, 1)

    @property
    def dead(self) -> Bool[Tensor, " d_dict"]:
        """Latents that never fired."""
        return self.counts == 0

    @property
    def dead_share(self) -> float:
        """Share of latents that never fired on the tokens seen; say how many tokens that were."""
        return float(self.dead.double().mean())

    def histogram(self, per_decade: int = 4, lowest: int = -7) -> dict[str, Any]:
        """How many latents have which density, in bins of equal width in log10 from 10^lowest to 1; rarer ones are in the first.

        Keys: `edges` (log10, one more than counts), `counts`, `dead` (never fired, in no bin), `tokens` (it was judged on).
        """
        edges = np.linspace(lowest, 0, -lowest * per_decade + 1)
        logs = np.log10(self.density[~self.dead].cpu().numpy()).clip(lowest, 0)
        counts = np.histogram(logs, edges)[0]
        return {"edges": edges.tolist(), "counts": counts.tolist(), "dead": int(self.dead.sum()), "tokens": self.n}


def ce_recovered(ce: float, ce_spliced: float, ce_ablated: float) -> float:
    """Share of the harm of an ablation that the spliced dictionary undoes. NaN where the ablation did no harm."""
    harm = ce_ablated - ce
    return (ce_ablated - ce_spliced) / harm if harm > 0 else float("nan")


def next_token_losses(
    logits: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
    lse: Float[Tensor, "batch pos"] | None = None,
) -> Float[Tensor, "batch pos_minus_1"]:
    """Cross-entropy in nats of each next token, in float32. lse: `log_normaliser(logits)`, if it is known."""
    following = tokens[:, 1:, None].to(logits.device)
    total = log_normaliser(logits[:, :-1]) if lse is None else lse[:, :-1]
    return total - logits[:, :-1].gather(2, following).squeeze(-1).float()


def kl_divergences(
    clean: Float[Tensor, "batch pos d_vocab"], changed: Float[Tensor, "batch pos d_vocab"]
) -> Float[Tensor, "batch pos"]:
    """KL divergence in nats from the clean prediction at each position to the changed one; not below 0 but by rounding."""
    return Predictions(clean).kl_to(changed)


class Predictions:
    """The predictions of one run, for others to be compared with; what depends on them alone is worked out once.

    With p the probabilities and z the logits, KL(p, q) = lse(z_q) - lse(z_p) - sum_v p_v (z_q - z_p)_v: a difference of logits
    that hardly differ, so little is lost to rounding, and one exponential less than from the definition.
    """

    def __init__(self, logits: Float[Tensor, "batch pos d_vocab"]):
        self.logits, self.lse = logits, log_normaliser(logits)
        self.probabilities = [(row.float() - lse[:, None]).exp_() for row, lse in zip(logits, self.lse, strict=True)]

    def kl_to(
        self, changed: Float[Tensor, "batch pos d_vocab"], lse: Float[Tensor, "batch pos"] | None = None
    ) -> Float[Tensor, "batch pos"]:
        """KL divergence in nats at each position; lse: the changed run's `log_normaliser`, if it is known."""
        lse = log_normaliser(changed) if lse is None else lse
        apart = [
            ((q.float() - z.float()).mul_(p)).sum(-1)
            for p, z, q in zip(self.probabilities, self.logits, changed, strict=True)
        ]  # by row: no second copy of all the logits
        return lse - self.lse - torch.stack(apart)


def log_normaliser(logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, "batch pos"]:
    """log of the sum of exponentials, in float32, by row."""
    return torch.stack([row.float().logsumexp(-1) for row in logits])
