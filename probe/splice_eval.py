"""What the model's predictions lose when a dictionary stands in for a part of it.

Cross-entropy of the next token, four times on the same held-out text: untouched, with the dictionary's output in place of its
site, with zeros there, and with the site's mean there. At special tokens (BOS and padding) the site is left as it is in every
run, and predictions at or of them are not counted: dictionaries are not trained on them, and BOS alone would decide the score.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probe.dictionaries import Dictionary
from probe.errors import BadInput
from probe.interventions import Splice, intervene
from probe.metrics import next_token_losses
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.tokens import TokenSet

CONDITIONS = ("clean", "spliced", "zero", "mean")


class Ablation:
    """Replace a site by one value at every position that is not special."""

    def __init__(self, at: str, value: Tensor | float, special: Bool[Tensor, "batch pos"]):
        self.at, self.value, self.special = at, value, special

    def change(self, value: Tensor) -> Tensor:
        other = torch.as_tensor(self.value).to(value).expand_as(value)
        return torch.where(self.special.to(value.device)[..., None], value, other)


def choose_rows(tokens: "TokenSet", documents: Any | None, max_tokens: int, seed: int = 0) -> Int[Tensor, " row"]:
    """Random rows, of the given documents only, until they hold `max_tokens` tokens of text. BadInput if there are none."""
    fits = torch.ones(len(tokens.doc), dtype=torch.bool)
    if documents is not None:
        fits = torch.isin(tokens.doc, torch.as_tensor(np.asarray(documents), dtype=tokens.doc.dtype))
    rows = torch.nonzero(fits).flatten()
    if not len(rows):
        raise BadInput("No held-out text is left to judge on: the cache needs at least two documents.")
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    text = (~tokens.special[rows]).sum(1).cumsum(0)
    return rows[: max(1, int((text <= max_tokens).sum()))]


def losses(
    model: "TransformerBridge",
    dictionary: Dictionary,
    tokens: Int[Tensor, "row pos"],
    special: Bool[Tensor, "row pos"],
    mean: Float[Tensor, " d_out"],
    *,
    batch: int = 8,
    progress: Progress = SILENT,
) -> dict[str, Float[np.ndarray, "row pos_minus_1"]]:
    """Cross-entropy in nats of each next token under each condition; NaN where it does not count."""
    counted = ~(special[:, :-1] | special[:, 1:])
    found: dict[str, list[Tensor]] = {name: [] for name in CONDITIONS}
    with torch.no_grad(), progress.stage("cross-entropy", tokens.numel() * len(CONDITIONS), "tok") as step:
        for ids, marks in zip(tokens.split(batch), special.split(batch), strict=True):
            for name, change in _changes(dictionary, mean, marks).items():
                with change(model):
                    found[name].append(next_token_losses(model(ids.to(model.cfg.device)), ids).cpu())
                step(ids.numel())
    return {name: torch.cat(parts).masked_fill(~counted, torch.nan).numpy() for name, parts in found.items()}


def _changes(dictionary: Dictionary, mean: Tensor, special: Tensor) -> dict[str, Callable]:
    """For each condition the context manager to run the model in."""
    site = dictionary.site_out
    return {
        "clean": lambda model: nullcontext(),
        "spliced": lambda model: intervene(model, [Splice(dictionary, keep=special)]),
        "zero": lambda model: intervene(model, [Ablation(site, 0.0, special)]),
        "mean": lambda model: intervene(model, [Ablation(site, mean, special)]),
    }
