"""What weights alone say of a unit: tokens it promotes and suppresses, tokens that would excite it, units that point its way.

Promoted and suppressed tokens: the demeaned logits of the direction a unit writes, through the final norm's weight (its divisor
left out: it changes no order). Input tokens ("de-embedding", Dunefsky et al. 2024): the product of what a unit reads with the
effective embedding of every token, demeaned over the vocabulary. Everything is done for a few units at a time, so that
units by vocabulary is never in memory whole.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import BadInput
from probe.features.measuring.neurons import run_mlp
from probe.features.measuring.sources import Reads
from probe.interventions.forward import capture
from probe.memory import require
from probe.model.anatomy import anatomy
from probe.model.sites import Site
from probe.model.writes import mlp_norm, unembedding
from probe.neurons.unit_writes import final_norm
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

CELLS = 1 << 25
"Numbers of units by vocabulary (or units by units) in memory at once."
TOKENS = 4096
"Tokens of the vocabulary that go through an MLP at once."
EMBEDDING = (
    "token embedding plus what MLP 0 makes of it alone (no attention, no position), through the norm before the site; "
    "for sites of layer 0 the token embedding itself; demeaned over the vocabulary"
)


class Ranked(NamedTuple):
    """The k best of each unit, best first: which, and their scores."""

    which: Int[np.ndarray, "unit k"]
    score: Float[np.ndarray, "unit k"]


def unit_blocks(n: int, width: int, cells: int = CELLS) -> list[slice]:
    """Slices of units such that units by `width` stays within so many numbers."""
    step = max(1, cells // max(width, 1))
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


def logit_ranks(
    model: "TransformerBridge", writers: Float[Tensor, "unit d_model"], k: int, progress: Progress = SILENT
) -> tuple[Ranked, Ranked]:
    """Tokens whose demeaned logits each direction raises most, and those it lowers most."""
    norm, W_U = final_norm(model), unembedding(model)[0].float()
    k = min(k, W_U.shape[1])
    up, down = [], []
    with progress.stage("logits", len(writers), "unit") as step:
        for block in unit_blocks(len(writers), W_U.shape[1]):
            some = writers[block].to(W_U)
            effect = (some if norm is None else norm.scaled(some)) @ W_U
            effect -= effect.mean(1, keepdim=True)
            up.append(_best(effect, k))
            down.append(_best(effect, k, largest=False))
            step(len(some))
    return _joined(up), _joined(down)


def input_ranks(
    model: "TransformerBridge", reads: tuple[Reads, ...], k: int, progress: Progress = SILENT
) -> Ranked | None:
    """Tokens whose effective embedding excites each unit most; None where a site has no such embedding."""
    found, total = [], sum(r.high - r.low for r in reads)
    with progress.stage("inputs", total, "unit") as step:
        for read in reads:
            found_tables = [effective_embedding(model, site) for site, _ in read.sites]
            tables = [table for table in found_tables if table is not None]
            if len(tables) < len(found_tables):
                return None
            weights = torch.cat([w for _, w in read.sites], 1)
            table = tables[0] if len(tables) == 1 else torch.cat(tables, 1)
            for block in unit_blocks(read.high - read.low, len(table)):
                score = weights[block].to(table) @ table.T
                found.append(_best(score, min(k, len(table))))
                step(len(score))
    return _joined(found)


@torch.no_grad()
def effective_embedding(model: "TransformerBridge", site: Site) -> Float[Tensor, "d_vocab d_model"] | None:
    """What a site would hold for each token alone (see EMBEDDING), demeaned; None where that has no meaning."""
    if site.kind not in ("embed", "resid_pre", "resid_mid", "resid_post", "mlp_in", "attn_in", "mlp_out", "mlp_write"):
        return None
    try:
        table = tokens_alone(model, site).float()
    except BadInput:  # an MLP that cannot be run alone
        return None
    return table.sub_(table.mean(0))


@torch.no_grad()
def tokens_alone(model: "TransformerBridge", site: Site) -> Float[Tensor, "d_vocab d_model"]:
    """What a site would hold for each token alone. BadInput for an MLP that cannot be run alone.

    A few tokens go the whole way at a time, into one table: a vocabulary of 262,144 is 0.7 GB a copy.
    """
    ids = torch.arange(len(model.W_E), device=model.W_E.device)[:, None]  # each a row of its own
    require(model.W_E.nbytes, f"A table of {len(ids):,} tokens, each alone in the model,", ids.device)
    table = torch.empty(len(ids), model.W_E.shape[1], dtype=model.W_E.dtype, device=ids.device)
    for some, rows in zip(ids.split(TOKENS), table.split(TOKENS)):
        rows.copy_(_alone(model, site, some))
    return table


def _alone(model: "TransformerBridge", site: Site, ids: Int[Tensor, "token 1"]) -> Float[Tensor, "token d_model"]:
    """What the site holds for each of these tokens by itself, the embedding being as the model itself scales it."""
    stream, layer = capture(model, ids, ["embed"])["hook_embed"][:, 0], site.layer or 0
    if layer > 0 or site.kind == "resid_post":
        stream = stream + _mlp(model, 0, stream, "mlp_write")
    if site.kind in ("mlp_in", "attn_in"):
        return _normed(model, layer, "ln2" if site.kind == "mlp_in" else "ln1", stream)
    return _mlp(model, layer, stream, site.kind) if site.kind in ("mlp_out", "mlp_write") else stream


def _normed(model: "TransformerBridge", layer: int, name: str, stream: Tensor) -> Tensor:
    norm = getattr(model.blocks[layer], (mlp_norm(model, layer) or name) if name == "ln2" else name, None)
    return stream if norm is None else norm(stream[None])[0]


def _mlp(model: "TransformerBridge", layer: int, stream: Tensor, kind: str) -> Float[Tensor, "token d_model"]:
    """What a layer's MLP makes of each token's stream, at `mlp_out` or as it is written to the stream."""
    made = run_mlp(model.blocks[layer].mlp, _normed(model, layer, "ln2", stream), Site("mlp_out", layer))
    if kind != "mlp_write":
        return made
    post = getattr(model.blocks[layer], "ln2_post", None)
    return made * anatomy(model).factors.get(Site(kind, layer), 1.0) if post is None else post(made[None])[0]


def decoder_neighbours(
    rows: Float[Tensor, "unit width"], k: int, progress: Progress = SILENT, block: Callable = unit_blocks
) -> Ranked:
    """The k other units whose rows have the largest cosine with each unit's."""
    unit = torch.nn.functional.normalize(rows.detach().float(), dim=1)
    k, found = min(k, len(unit) - 1), []
    with progress.stage("neighbours", len(unit), "unit") as step:
        for some in block(len(unit), len(unit)):
            cosine = unit[some] @ unit.T
            cosine[torch.arange(len(cosine)), torch.arange(some.start, some.stop)] = -torch.inf
            found.append(_best(cosine, k))
            step(len(cosine))
    return _joined(found)


def _best(score: Tensor, k: int, largest: bool = True) -> Ranked:
    values, which = score.topk(k, -1, largest=largest)
    return Ranked(which.int().cpu().numpy(), values.cpu().numpy())


def _joined(parts: list[Ranked]) -> Ranked:
    return Ranked(*(np.concatenate(column) for column in zip(*parts, strict=True)))
