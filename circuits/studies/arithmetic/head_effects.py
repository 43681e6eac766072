"""What single heads do to a task: path patching to the logits, estimated for all of them at once and measured for a few.

Path patching (Wang et al. 2023) puts a head's values z of the corrupted prompt into the clean one, all other heads frozen at the
clean prompt's and the MLPs free, and looks at the metric. Estimated:

    effect of a head = (z of the corrupted prompt - z of the clean one) . d metric / d z, other heads' z held

which one backward pass gives for all heads: behind each z the graph is cut, so the gradient runs through the stream and the MLPs
alone. Effects are shares of the way: 1 is what the corrupted prompt does. The paper patches head by head; the estimate is ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.interventions.places import head
from probe.interventions.running import intervene
from probe.interventions.values import Freeze, Patch
from probe.model.anatomy import spot
from probe.model.sites import Site
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Heads = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class HeadEffects:
    """Both runs of a task's pairs, which are of one length."""

    model: "TransformerBridge"
    pairs: Pairs

    @cached_property
    def clean(self) -> Int[Tensor, "pair pos"]:
        return torch.tensor(self.pairs.clean, device=self.model.W_E.device)

    @cached_property
    def z(self) -> tuple[list[Float[Tensor, "pair pos head d_head"]], list[Float[Tensor, "pair pos head d_head"]]]:
        """Of every layer in the clean and in the corrupted prompts."""
        sites = [Site("z", i) for i in range(self.model.cfg.n_layers)]
        runs = [capture(self.model, tokens, sites) for tokens in (self.clean, self.corrupted)]
        clean, corrupted = ([run[site.name] for site in sites] for run in runs)
        return clean, corrupted

    @cached_property
    def corrupted(self) -> Int[Tensor, "pair pos"]:
        return torch.tensor(self.pairs.corrupted, device=self.model.W_E.device)

    def metric(self, logits: Float[Tensor, "pair d_vocab"]) -> Float[Tensor, " pair"]:
        return self.pairs.metric(logits, list(range(len(self.pairs))))

    @torch.no_grad()
    def measured(
        self, tokens: Int[Tensor, "pair pos"], changes: Sequence[Patch | Freeze] = ()
    ) -> Float[Tensor, " pair"]:
        """The metric of a run."""
        with intervene(self.model, changes):
            return self.metric(self.model(tokens)[:, -1])

    @cached_property
    def ends(self) -> tuple[Float[Tensor, " pair"], float]:
        """The clean metric of each pair, and how far the corrupted prompts are from it on average."""
        clean, corrupted = self.measured(self.clean), self.measured(self.corrupted)
        way = float((corrupted - clean).mean())
        if abs(way) < 1e-6 * float(clean.abs().max()) or way == 0:
            raise BadInput(
                f"The corrupted prompts of {self.pairs.task} change nothing, so no share of their effect can be told."
            )
        return clean, way

    def share(self, changes: Sequence[Patch | Freeze]) -> Float[np.ndarray, " pair"]:
        """Share of the way that changes go; its mean is the share of the mean way."""
        clean, way = self.ends
        return ((self.measured(self.clean, changes) - clean) / way).double().cpu().numpy()

    def patched(self, heads: Heads) -> Float[np.ndarray, " pair"]:
        """Several heads of the corrupted prompt together, at all positions, everything behind them free."""
        return self.share(self._patches(heads)) if heads else np.zeros(len(self.pairs))

    def _patches(self, heads: Heads) -> list[Patch]:
        return [Patch(head(layer, i), self.z[1][layer][:, :, i]) for layer, i in heads]

    def path(self, one: tuple[int, int]) -> Float[np.ndarray, " pair"]:
        """Path patching of one head to the logits: all other heads frozen, MLPs free."""
        frozen = [Freeze(Site("z", i), self.z[0][i]) for i in range(one[0] + 1, int(self.model.cfg.n_layers))]
        return self.share([*self._patches([one]), *frozen])

    @cached_property
    def estimated(self) -> Float[np.ndarray, "layer head"]:
        """Path patching of every head by its gradient, as a share of the way, mean over pairs."""
        gradients = self._gradients()
        effects = [((c - z) * g).sum((1, 3)).mean(0) for z, c, g in zip(*self.z, gradients, strict=True)]
        return torch.stack(effects).double().cpu().numpy() / self.ends[1]

    def _gradients(self) -> list[Float[Tensor, "pair pos head d_head"]]:
        leaves: dict[int, Tensor] = {}

        def cut(layer: int) -> tuple[str, Callable]:
            at = spot(Site("z", layer), self.model)

            def leaf(value: Tensor, hook: object) -> Tensor:
                leaves[layer] = at.read(value.detach(), len(self.clean)).clone().requires_grad_()
                return at.put(leaves[layer], value)

            return at.hook, leaf

        n = int(self.model.cfg.n_layers)
        with torch.enable_grad(), self.model.hooks(fwd_hooks=[cut(i) for i in range(n)]):
            total = self.metric(self.model(self.clean)[:, -1]).sum()
        return list(torch.autograd.grad(total, [leaves[i] for i in range(n)]))


def strongest(effects: Float[np.ndarray, "layer head"], n: int) -> list[tuple[int, int]]:
    """The n heads that carry most of the way, the strongest first."""
    return [
        (int(i) // effects.shape[1], int(i) % effects.shape[1])
        for i in np.argsort(-effects.flatten(), kind="stable")[:n]
    ]


def one_in_twenty(model: "TransformerBridge") -> int:
    """How many heads are 5% of all, at least one."""
    return max(1, int(0.05 * model.cfg.n_layers * model.cfg.n_heads))
