"""What a model and some dictionaries make of spans of text: the mean over each span's tokens of inputs, targets and latents.

One pass that stops after the last site. Latents stay sparse; only tokens that belong to a span are encoded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.dictionaries.store import AnyDictionary
from probe.evaluation.splice import in_inference
from probe.interventions.forward import capture, per_token
from probe.progress import SILENT, Progress
from probe.text.tokens import TokenSet

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False)
class Readings:
    """For each span what the dictionaries read and should write, and each dictionary's latents (sparse, span by latent)."""

    inputs: Float[np.ndarray, "span d_in"]
    targets: Float[np.ndarray, "span d_out"]
    latents: list[Any]


@torch.no_grad()
def read(
    model: "TransformerBridge",
    tokens: TokenSet,
    spans: tuple[Int[np.ndarray, " span"], Int[np.ndarray, " span"], Int[np.ndarray, " span"]],
    dictionaries: Sequence[AnyDictionary],
    *,
    batch: int = 16,
    progress: Progress = SILENT,
) -> Readings:
    """Read spans (row, first and last position, both included) with dictionaries of equal sites."""
    rows, sites_in, sites_out = spans[0], dictionaries[0].sites_in, dictionaries[0].sites_out
    parts: list[tuple[np.ndarray, Readings]] = []
    with in_inference(dictionaries), progress.stage("labelled text", tokens.tokens.numel(), "tok") as step:
        for start in range(0, len(tokens), batch):
            ids = tokens.tokens[start : start + batch].to(model.cfg.device)
            here = np.flatnonzero((rows >= start) & (rows < start + batch))
            if len(here):
                found = capture(model, ids, (*sites_in, *sites_out))
                x, y = (
                    torch.cat([per_token(found[s]) for s in side], -1).flatten(0, 1) for side in (sites_in, sites_out)
                )
                pool = _pool([s[here] for s in spans], start, ids.shape)
                parts.append((here, _pooled(pool, x, y, dictionaries)))
            step(ids.numel())
    order = np.argsort(np.concatenate([here for here, _ in parts]), kind="stable")
    return _joined([one for _, one in parts], order)


def _pool(spans: list[np.ndarray], start: int, shape: Sequence[int]) -> Any:
    """The matrix that averages the tokens of each span, span by token of the batch."""
    row, first, last = spans
    lengths = last - first + 1
    span = np.repeat(np.arange(len(row)), lengths)
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    token = np.repeat((row - start) * shape[1] + first, lengths) + within
    return sp.csr_matrix((np.repeat(1 / lengths, lengths), (span, token)), shape=(len(row), shape[0] * shape[1]))


def _pooled(pool: Any, x: Tensor, y: Tensor, dictionaries: Sequence[AnyDictionary]) -> Readings:
    used = np.unique(pool.indices)  # the tokens that belong to a span
    pool, keep = pool[:, used], torch.from_numpy(used).to(x.device)
    inputs, targets = x[keep], y[keep]
    latents = [pool @ encoded(d, inputs) for d in dictionaries]
    return Readings(pool @ inputs.double().cpu().numpy(), pool @ targets.double().cpu().numpy(), latents)


def encoded(dictionary: AnyDictionary, x: Float[Tensor, "row d_in"]) -> Any:
    """The latents of rows, as a sparse matrix."""
    row, latent, value = dictionary.run(x.to(dictionary.W_enc)).code.entries()
    return sp.csr_matrix(
        (value.double().cpu().numpy(), (row.cpu().numpy(), latent.cpu().numpy())), (len(x), dictionary.d_dict)
    )


def _joined(parts: list[Readings], order: np.ndarray) -> Readings:
    def stacked(pick: Callable[[Readings], np.ndarray]) -> np.ndarray:
        return np.concatenate([pick(p) for p in parts])[order]

    latents = [sp.vstack([p.latents[i] for p in parts]).tocsr()[order] for i in range(len(parts[0].latents))]
    return Readings(stacked(lambda p: p.inputs), stacked(lambda p: p.targets), latents)
