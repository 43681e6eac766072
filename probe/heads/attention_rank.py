"""The rank of attention maps by layer, beside what it costs to skip that layer.

    ARank_l = mean over heads of rank(tril(A) with its diagonal set to 0)

of one prompt's attention pattern A (Luo et al. 2024, gamma-MoD, whose authors take it as a sign that a layer's tokens are
redundant: where it is low, the layer is cheap to skip). Of T tokens the rank is at most T - 1. A singular value counts if it is
above `tolerance` times the map's largest; by default T times the precision of float32, as torch and NumPy count. Beside it stands
the effective rank, the exponential of the entropy of the singular values' shares (Roy & Vetterli 2007), which needs no tolerance.

    cost      attention: what a layer's attention writes is set to 0. block: the stream leaves the layer as it entered it. Each
              alone, all else running on. KL from the unchanged prediction and rise of the loss, nats, means over the prompt's
              tokens; change of the target's demeaned logit after the last token.
    control   Spearman's correlation over layers with a 95% interval from resampled layers, and what random orders of the layers
              give. Beside ARank stands depth alone (the earlier, the dearer), which any ranking of layers must beat.

The tolerance, the controls and the effective rank are ours.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.heads.attention_rank_record import AttentionRank
from probe.heads.margins import mean_of_known
from probe.heads.patterns import attending_layers
from probe.heads.skipping import SKIPPED, costs_of_skipping
from probe.interventions.forward import capture
from probe.methods import Doc, Layers, method
from probe.model.sites import Site
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.statistics import rank_correlation
from probe.text.prompts import Prompt, read_prompt
from probe.text.targets import Target, asked
from probe.text.tokens import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_TOO_FEW = 3  # tokens: of two, the map without its diagonal has rank 1 whatever the head does


@method(
    "attention-rank",
    group="heads",
    paper="γ-MoD: Mixture-of-Depth Adaptation for Multimodal Large Language Models (Luo et al. 2024)",
)
def attention_rank(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    tolerance: Annotated[
        float | None,
        Doc(
            "Share of the largest singular value that counts; none: tokens times the precision of float32.",
            least=0,
            most=1,
        ),
    ] = None,
    target: Annotated[
        Target | None, Doc("A token, or a difference, after the last token; by default the likeliest.")
    ] = None,
    layers: Annotated[Layers, Doc("Which layers.")] = None,
    seed: Annotated[int, Doc("Of resampled and random orders.", least=0)] = 0,
    progress: Progress = SILENT,
) -> AttentionRank:
    """The rank of each layer's attention maps (ARank), beside what it costs to skip its attention, or all of it.

    Definitions, units and what is ours: the docstring of `probe.heads.attention_rank`. Raises BadInput for a prompt of fewer than
    3 tokens, for a layer there is not, and for a model without attention whose writes can be skipped.

    >>> ranks = ow.attention_rank(model, "When Mary and John went to")
    >>> ranks.rank.shape  # layer, head; as many as there are tokens is all of it
    (4, 4)
    """
    text, ids = read_prompt(model, prompt)
    if len(ids) < _TOO_FEW:
        raise BadInput(f"The prompt has {len(ids)} tokens; a rank says something of at least {_TOO_FEW}.")
    chosen, there = attending_layers(model, len(ids), layers)
    wanted = None if target is None else asked(model, target)
    tokens = torch.tensor([ids], device=model.W_E.device)
    with progress.stage("rank", total=len(there), unit="layer") as step:
        rank, effective, tol = _ranks(model, tokens, chosen, there, tolerance, step)
    cost, asked_about = costs_of_skipping(model, tokens, chosen, wanted, progress)
    by = {"arank": mean_of_known(rank, 1), "effective": mean_of_known(effective, 1), "depth": -np.array(chosen, float)}
    made = AttentionRank(
        prompt=text,
        token_ids=ids,
        tokens=display_tokens(model, ids),
        target=asked_about,
        tolerance=tol,
        layers=chosen,
        rank=rank,
        effective=effective,
        cost=cost,
        correlations={
            f"{name} {what}": rank_correlation(values, cost[what]["KL"], seed)
            for what in SKIPPED
            for name, values in by.items()
        },
    )
    return came_from(made, model)


def map_ranks(
    pattern: Float[Tensor, "head q_pos k_pos"], tolerance: float
) -> tuple[Float[np.ndarray, " head"], Float[np.ndarray, " head"]]:
    """Rank and effective rank of each head's map below its diagonal. A map of zeros has rank 0 and effective rank 0."""
    values = torch.linalg.svdvals(pattern.double().tril(-1))  # head pos
    rank = (values > tolerance * values[:, :1]).sum(-1)
    share = values / values.sum(-1, keepdim=True).clamp_min(1e-300)
    effective = torch.where(values[:, 0] > 0, torch.special.entr(share).sum(-1).exp(), 0.0)
    return rank.double().cpu().numpy(), effective.cpu().numpy()


def _ranks(
    model: "TransformerBridge",
    tokens: Tensor,
    chosen: list[int],
    there: list[int],
    tolerance: float | None,
    step: Callable[[float], None],
) -> tuple[Float[np.ndarray, "layer head"], Float[np.ndarray, "layer head"], float]:
    held = capture(model, tokens, [Site("pattern", i) for i in there])
    tol = tokens.shape[1] * torch.finfo(torch.float32).eps if tolerance is None else tolerance
    found = {}
    for i in there:
        found[i] = map_ranks(held[Site("pattern", i).name][0], tol)
        step(1)
    heads = max(len(rank) for rank, _ in found.values())
    both = np.full((2, len(chosen), heads), np.nan)
    for row, layer in enumerate(chosen):
        if layer in found:
            both[0, row, : len(found[layer][0])], both[1, row, : len(found[layer][1])] = found[layer]
    return both[0], both[1], float(tol)
