"""The map of all neurons to the whole vocabulary, by weights alone: which tokens each promotes and suppresses, and which its
input and gate read (after Davies 2025, who decodes neurons through the final projection; Geva et al. 2021 for what is written).

    out        rows of W_out, as the stream gets them (a post-norm's weight, a multiplier), times the final norm's weight (centred
               where the norm centres; its divisor, one number a token, is left out), times W_U: logits a unit of activation
    in, gate   columns of W_in and W_gate, read from W_E: each token's embedding through the norm before the MLP (weight and the
               token's own divisor; no position, no attention, nothing of earlier layers): the neuron's input for that token
               alone. `reads="unembedding"` decodes them as the paper does: times W_U, no norm.

Scores are centred over the vocabulary, so a norm's bias is gone. How concentrated they are is told by their excess kurtosis
(0 for a normal distribution), variance, and top mass: the share of the sum of squares that the k highest and k lowest hold.
Control: random directions of the same lengths ("random"), or the neurons' own numbers in random order ("shuffled"), some a layer,
through the very same tables. Controls, centring, and the norms that are folded are our choices.

Never more than 2^25 scores are in memory: blocks of neurons meet blocks of the vocabulary, and the best k are kept.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.memory import require
from probe.methods import Doc, Layers, chosen_layers, method
from probe.model.anatomy import anatomy, spot
from probe.model.sites import Site, layers_with
from probe.model.writes import mlp_writes_through, unembedding
from probe.neurons.vocabulary_map_record import Decoded, VocabularyMap
from probe.neurons.vocabulary_scores import BLOCK, decode, joined
from probe.neurons.vocabulary_tables import CELLS, Tables
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.record import Record
from probe.text.display import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class VocabularyPlan(Record):
    """bytes: at the peak, beside the model; seconds: at 3e10 operations a second, two CPU cores."""

    neurons: int
    vocabulary: int
    bytes: int
    seconds: float


def plan_vocabulary_map(
    model: "TransformerBridge",
    *,
    layers: Layers = None,
    k: int = 10,
    reads: str = "embedding",
    control: str = "random",
    draws: int = 64,
    seed: int = 0,
) -> VocabularyPlan:
    """Memory and time of a map."""
    chosen, vocabulary, width = _layers(model, layers), int(model.cfg.d_vocab), int(model.cfg.d_model)
    sizes = [spot(Site("mlp_post", i), model).width for i in chosen]
    sorts = 3 if getattr(model.blocks[chosen[0]].mlp, "W_gate", None) is not None else 2
    rows = sum(sizes) + draws * len(chosen)
    scores = 4 * 3 * min(CELLS, BLOCK * vocabulary)
    weights = 4 * 3 * max(sizes) * width + 4 * vocabulary * (1 if model.W_E.dtype == torch.float32 else 2)
    held = rows * sorts * (2 * k * 8 + 12)
    table = min(vocabulary, max(1, CELLS // BLOCK)) * width * 4
    return VocabularyPlan(
        sum(sizes),
        vocabulary,
        scores + weights + 2 * held + table + (64 << 20),
        2.0 * sorts * rows * width * vocabulary / 3e10,
    )


@method(
    "vocabulary-map",
    group="neurons",
    paper="Decoding specialised feature neurons in LLMs with the final projection layer (Davies 2025)",
    plan="plan_vocabulary_map",
)
def vocabulary_map(
    model: "TransformerBridge",
    *,
    layers: Annotated[Layers, Doc("Which layers; by default all that have neurons.")] = None,
    k: Annotated[int, Doc("Tokens kept at either end of each neuron.", least=1, most=1000)] = 10,
    reads: Annotated[
        Literal["embedding", "unembedding"],
        Doc("Where inputs and gates read: token embeddings through the norm, or W_U without norms, as the paper does."),
    ] = "embedding",
    control: Annotated[
        Literal["random", "shuffled"],
        Doc("Random directions of the same lengths, or the neurons' numbers in random order."),
    ] = "random",
    draws: Annotated[int, Doc("Control directions a layer.", least=2, most=100_000)] = 64,
    seed: Annotated[int, Doc("Of the control directions.", least=0)] = 0,
    progress: Progress = SILENT,
) -> VocabularyMap:
    """The whole vocabulary map of a model's neurons by weights alone: what each promotes, suppresses and reads.

    Formulas, units and what is ours: the docstring of `probe.neurons.vocabulary_map`. Raises BadInput for layers without neurons
    (mixtures of experts), for a model whose logits are no linear readout, and where memory does not suffice.

    >>> found = ow.vocabulary_map(model, layers=1, k=5)
    >>> len(found.rows()) > 0
    True
    """
    chosen = _layers(model, layers)
    if not anatomy(model).linear_readout:
        unembedding(model)  # says why
    plan = plan_vocabulary_map(model, layers=layers, k=k, draws=draws)
    require(plan.bytes, f"The map of {plan.neurons:,} neurons", model.W_E.device)
    k = min(k, plan.vocabulary)
    rng = torch.Generator().manual_seed(seed)
    tables = Tables(model, reads)
    found: dict[str, list[Decoded]] = {}
    chance: dict[str, list[Decoded]] = {}
    sizes = []
    total = plan.neurons * (3 if tables.reads else 1)
    with torch.no_grad(), progress.stage("vocabulary map", total=total, unit="neuron") as step:
        for layer in chosen:
            for sort, rows in _directions(model, layer, bool(tables.reads)).items():
                table, fold = tables.of(sort, layer)
                found.setdefault(sort, []).append(decode(table, fold(rows), k, step))
                drawn = _control(rows, control, draws, rng)
                chance.setdefault(sort, []).append(decode(table, fold(drawn), k))
            sizes.append(len(found["out"][-1].up))
    decoded = {sort: joined(parts) for sort, parts in found.items()}
    ids = sorted({int(i) for one in decoded.values() for side in (one.up, one.down) for i in np.unique(side)})
    made = VocabularyMap(
        n_vocabulary=plan.vocabulary,
        layer=np.repeat(chosen, sizes),
        unit=np.concatenate([np.arange(n) for n in sizes]),
        decoded=decoded,
        controls={sort: joined(parts) for sort, parts in chance.items()},
        control=control,
        control_layer=np.repeat(chosen, draws),
        reads=tables.reads,
        words=dict(zip(ids, display_tokens(model, ids), strict=True)),
    )
    return came_from(made, model)


def _layers(model: "TransformerBridge", layers: Layers) -> list[int]:
    """Those asked about. BadInput where one has no neurons; of all layers, those that have."""
    chosen = chosen_layers(int(model.cfg.n_layers), layers)
    there = layers_with("mlp_post", model)
    if layers in (None, "all") and there:
        return there
    for layer in chosen:
        mlp_writes_through(model, layer)  # says why there are none
    return chosen


def _directions(model: "TransformerBridge", layer: int, reads: bool) -> dict[str, Float[Tensor, "neuron d_model"]]:
    """What a layer's neurons write, as the stream gets it, and what they read."""
    mlp, found = model.blocks[layer].mlp, {"out": mlp_writes_through(model, layer)[0].float()}
    if reads:
        found["in"] = mlp.W_in.detach().t().float()
        if (gate := getattr(mlp, "W_gate", None)) is not None:
            found["gate"] = gate.detach().t().float()
    return found


def _control(
    rows: Float[Tensor, "neuron d_model"], how: str, draws: int, rng: torch.Generator
) -> Float[Tensor, "draw d_model"]:
    """Directions of no meaning: of the lengths of neurons drawn at random, or their numbers in another order."""
    which = torch.randint(len(rows), (draws,), generator=rng)
    own = rows[which.to(rows.device)].cpu()
    if how == "shuffled":
        order = torch.rand(own.shape, generator=rng).argsort(-1)
        return own.gather(-1, order).to(rows.device)
    made = torch.randn(own.shape, generator=rng)
    return (made * own.norm(dim=-1, keepdim=True) / made.norm(dim=-1, keepdim=True)).to(rows.device)
