"""What a dictionary's numbers must be compared with.

untrained        the same widths, latents as first drawn, the k largest on, k being the dictionary's own L0
same budget      the same kind and shape, trained for a moment on the model as it is
random weights   the same again, on a model each of whose weight tensors had its entries shuffled (Heap et al. 2025): sizes and
                 distributions of weights are kept, what was learned is gone. It must be compared with `same budget`, which
                 saw the same tokens in the same order for as many steps.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from probe.dictionaries import TopK
from probe.dictionaries.store import AnyDictionary, build, shape_of
from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.progress import SILENT, Progress
from probe.text.tokens import TokenSet
from probe.training.pairs import Pairs, TensorPairs
from probe.training.trainer import TrainConfig, train

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@torch.no_grad()
def untrained_like(dictionary: AnyDictionary, l0: float, pairs: Pairs, seed: int = 0) -> AnyDictionary:
    """A dictionary of the same shape that learned nothing but the mean and scale of its data, with as many latents on."""
    facts = shape_of(dictionary)
    parts = len(getattr(dictionary, "parts", ())) or 1
    k = min(max(1, round(l0 / parts)), facts["d_dict"] // parts)
    fresh = build({**facts, "sparsifier": TopK(k).config()}).to(dictionary.W_enc)
    generator = torch.Generator().manual_seed(seed)
    for part in getattr(fresh, "parts", [fresh]):
        rows = torch.randn(part.d_dict, part.d_in, generator=generator).to(part.W_enc)
        part.W_enc.copy_((rows / rows.norm(dim=1, keepdim=True)).T)
        same = part.sites_in == part.sites_out
        out = rows if same else torch.randn(part.d_dict, part.d_out, generator=generator).to(part.W_dec)
        part.W_dec.copy_(out / out.norm(dim=1, keepdim=True))
    return pairs.standardiser().fold(fresh).requires_grad_(False).eval()


@contextmanager
def random_weights(model: "TransformerBridge", seed: int = 0) -> Iterator[None]:
    """The model with the entries of every weight tensor shuffled; its own weights come back, bit for bit, at the end."""
    weights = {w.data_ptr(): w for w in model.parameters()}.values()  # tied weights once
    kept = [w.detach().clone() for w in weights]
    generator = torch.Generator().manual_seed(seed)
    try:
        with torch.no_grad():
            for w in weights:
                order = torch.randperm(w.numel(), generator=generator).to(w.device)
                w.copy_(w.detach().flatten()[order].view_as(w))
        yield
    finally:
        with torch.no_grad():
            for w, own in zip(weights, kept, strict=True):
                w.copy_(own)


def budget_rows(tokens: TokenSet, held_out: Any, budget: int, seed: int = 0) -> tuple[Int[Tensor, " row"], int]:
    """Rows for a training of about `budget` tokens, then rows of held-out documents (a third as many), and how many train."""
    outside = torch.isin(tokens.doc, torch.as_tensor(np.asarray(held_out), dtype=tokens.doc.dtype))
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(seed))
    n = max(1, budget // tokens.context)
    learn, judge = order[~outside[order]][:n], order[outside[order]][: max(1, n // 3)]
    if not len(learn) or not len(judge):
        raise BadInput("The baselines need documents to train on and held-out ones; harvest at least two documents.")
    return torch.cat([learn, judge]), len(learn)


@torch.no_grad()
def activations(
    model: "TransformerBridge",
    tokens: TokenSet,
    rows: Int[Tensor, " row"],
    n_train: int,
    dictionary: AnyDictionary,
    *,
    batch: int = 16,
    progress: Progress = SILENT,
) -> TensorPairs:
    """What the dictionary's sites hold on these rows, special tokens left out; rows from `n_train` on are held out."""
    sides, n = (dictionary.sites_in, dictionary.sites_out), 0
    found: tuple[list[Tensor], list[Tensor]] = ([], [])
    with progress.stage("baseline activations", len(rows) * tokens.context, "tok") as step:
        for first in range(0, len(rows), batch):
            some = rows[first : first + batch]
            values = capture(model, tokens.tokens[some].to(model.cfg.device), {s for side in sides for s in side})
            text = ~tokens.special[some]
            for kept, side in zip(found, sides, strict=True):
                kept.append(torch.cat([values[s] for s in side], -1).float().cpu()[text])
            n += int(text[: max(0, n_train - first)].sum())
            step(some.numel() * tokens.context)
    inputs, targets = (torch.cat(kept) for kept in found)
    return TensorPairs(inputs, targets, held_out=(len(inputs) - n + 0.5) / len(inputs))


def train_briefly(
    dictionary: AnyDictionary, pairs: Pairs, epochs: int, seed: int = 0, progress: Progress = SILENT
) -> AnyDictionary:
    """A dictionary of the same kind and shape, trained on these pairs with the usual settings and kept nowhere."""
    fresh = build(shape_of(dictionary)).to(dictionary.W_enc)
    config = TrainConfig(epochs=epochs, seed=seed, checkpoint_every=1_000_000)
    with tempfile.TemporaryDirectory() as scratch:
        return train(fresh, pairs, config, Path(scratch) / "baseline", progress=progress).dictionary
