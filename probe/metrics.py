"""Pure metrics on tensors. Sums run in float64 and do not depend on how the data was split into batches.

fvu           fraction of variance unexplained: sum |y - recons|^2 / sum |y - mean(y)|^2, over tokens and dimensions
l0            active latents per token
dead share    share of latents that were silent on every token seen
ce_recovered  (ce_ablated - ce_spliced) / (ce_ablated - ce_clean): 1 as good as untouched, 0 as bad as ablated
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probe.errors import BadInput


class FVU:
    """Streaming fraction of variance unexplained, about the mean of the targets that were seen.

    Predicting that mean gives 1, predicting the targets gives 0. Targets are centred on the first batch's mean before they are
    squared, so a mean far from zero costs no precision.
    """

    def __init__(self) -> None:
        self.n, self.error = 0, 0.0
        self._origin: Tensor | None = None
        self._sum: Tensor | None = None
        self._squares = 0.0

    def update(self, targets: Float[Tensor, "row d"], recons: Float[Tensor, "row d"]) -> "FVU":
        """Add tokens."""
        wanted = targets.detach().double()
        if self._origin is None:
            self._origin, self._sum = wanted.mean(0), torch.zeros_like(wanted[0])
        about = wanted - self._origin
        self.n += len(wanted)
        self.error += float((wanted - recons.detach().double()).square().sum())
        self._sum += about.sum(0)
        self._squares += float(about.square().sum())
        return self

    @property
    def variance(self) -> float:
        """Sum of squares of the targets about their mean."""
        if self._sum is None:
            raise BadInput("No tokens were seen, so there is no variance to explain.")
        return self._squares - float(self._sum.square().sum()) / self.n

    @property
    def value(self) -> float:
        """The fraction; BadInput if the targets did not vary."""
        if not self.variance > 0:
            raise BadInput("The targets are constant, so there is no variance to explain.")
        return self.error / self.variance


def fvu(targets: Float[Tensor, "row d"], recons: Float[Tensor, "row d"]) -> float:
    """Fraction of variance unexplained of one batch."""
    return FVU().update(targets, recons).value


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


def ce_recovered(ce: float, ce_spliced: float, ce_ablated: float) -> float:
    """Share of the harm of an ablation that the spliced dictionary undoes. NaN where the ablation did no harm."""
    harm = ce_ablated - ce
    return (ce_ablated - ce_spliced) / harm if harm > 0 else float("nan")


def next_token_losses(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos_minus_1"]:
    """Cross-entropy in nats of each next token, in float32."""
    following = tokens[:, 1:, None].to(logits.device)
    total = torch.stack(
        [row.float().logsumexp(-1) for row in logits[:, :-1]]
    )  # by row: no second copy of all the logits
    return total - logits[:, :-1].gather(2, following).squeeze(-1).float()


def mean_and_error(sums: Float[np.ndarray, " group"], counts: Float[np.ndarray, " group"]) -> tuple[float, float]:
    """Mean per item over groups of items (documents), and its standard error from the spread between groups.

    The ratio estimator: items of one document are not independent, documents nearly are. NaN error for fewer than 2 groups.
    """
    total = counts.sum()
    mean = float(sums.sum() / total)
    if len(sums) < 2:
        return mean, float("nan")
    spread = ((sums - mean * counts) ** 2).sum() * len(sums) / (len(sums) - 1)
    return mean, float(np.sqrt(spread) / total)
