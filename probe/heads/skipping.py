"""What it costs to skip a layer: its attention, or all of it, each alone on one prompt, all else running on.

    attention   what the layer's attention writes is set to 0
    block       the stream leaves the layer as it entered it

    KL          from the unchanged prediction, nats, mean over the prompt's tokens
    loss        its rise, nats, mean over the tokens that have a next one
    logit       change of the target's demeaned logit (of a difference: of that) after the last token

A layer is not made up for by others as in pruning with training afterwards: this is the cost on the spot, the baseline of what
claims to know which layers are redundant (as ARank, Luo et al. 2024).
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.interventions.forward import capture, require_finite
from probe.interventions.running import intervene
from probe.interventions.values import Freeze, Zero
from probe.model.sites import Site, layers_with, resid_post, resid_pre
from probe.progress import Progress
from probe.text.targets import Asked
from probe.text.tokens import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

SKIPPED = ("attention", "block")
COSTS = ("KL", "loss", "logit")


def costs_of_skipping(
    model: "TransformerBridge", tokens: Tensor, chosen: list[int], wanted: Asked | None, progress: Progress
) -> tuple[dict[str, dict[str, Float[np.ndarray, " layer"]]], str]:
    """What each skip does, and the name of the token whose logit is asked about."""
    writes = set(layers_with("attn_out", model))
    cost = {what: {name: np.full(len(chosen), np.nan) for name in COSTS} for what in SKIPPED}
    with progress.stage("skip", total=1 + 2 * len(chosen), unit="run") as step:
        entering = capture(model, tokens, [resid_pre(i) for i in chosen])
        before = _logits(model, tokens, [])
        if wanted is None:
            best = int(before[-1].argmax())
            wanted = Asked(best, None, display_tokens(model, [best])[0])
        step(1)
        for row, layer in enumerate(chosen):
            skips: dict[str, Any] = {"block": Freeze(resid_post(layer), entering[resid_pre(layer).name])}
            if layer in writes:
                skips["attention"] = Zero(Site("attn_out", layer))
            for what, skip in skips.items():
                moved = _moved(before, _logits(model, tokens, [skip]), tokens[0], wanted)
                for name, value in zip(COSTS, moved, strict=True):
                    cost[what][name][row] = value
            step(2)
    return cost, wanted.name


@torch.no_grad()
def _logits(model: "TransformerBridge", tokens: Tensor, changes: list[Any]) -> Float[Tensor, "pos d_vocab"]:
    with intervene(model, changes):
        return require_finite(model(tokens)[0]).float()


def _moved(
    before: Float[Tensor, "pos d_vocab"], after: Float[Tensor, "pos d_vocab"], ids: Tensor, wanted: Asked
) -> tuple[float, float, float]:
    """KL, rise of the loss, change of what is asked about; the first two are means over positions."""
    old, new = before.log_softmax(-1), after.log_softmax(-1)
    kl = (old.exp() * (old - new)).sum(-1).clamp_min(0).mean()
    loss = (old - new)[:-1].gather(-1, ids[1:, None]).mean()
    change = after[-1] - before[-1]
    logit = change[wanted.id] - (change.mean() if wanted.other is None else change[wanted.other])
    return float(kl), float(loss), float(logit)
