"""Noise on the tokens of a subject: how much, and the stream before the first layer with it.

The standard deviation is a number of times that of all entries of the model's token embeddings, as they enter the stream (after a
scale or a norm, without positions). Meng et al. take 3, and measure it over the subjects' tokens; here it is over `SAMPLE` tokens
of the vocabulary drawn once, so that it is one number of a model.
"""

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.interventions.forward import capture
from probe.model.sites import Site, hook_name
from probe.model.writes import wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

SAMPLE = 4096
"""Tokens of the vocabulary that are measured."""
_ROW = 32
_known: "WeakKeyDictionary[TransformerBridge, float]" = WeakKeyDictionary()


def embedding_sd(model: "TransformerBridge") -> float:
    """Standard deviation of the entries of token embeddings where they enter the stream."""
    if model not in _known:
        d_vocab = int(model.cfg.d_vocab)
        length = min(_ROW, int(getattr(model.cfg, "n_ctx", None) or _ROW))
        rows = max(1, min(SAMPLE, d_vocab) // length)
        ids = np.random.default_rng(0).choice(d_vocab, rows * length, replace=rows * length > d_vocab)
        tokens = torch.tensor(ids.reshape(rows, length), device=model.W_E.device)
        positions = [Site("pos_embed")] if hook_name(Site("pos_embed"), model) is not None else []
        held = capture(model, tokens, [Site("resid_pre", 0), *positions])
        stream = wide(held[Site("resid_pre", 0).name])
        for site in positions:
            stream = stream - wide(held[site.name]).expand_as(stream)
        _known[model] = float(stream.double().std())
    return _known[model]


def noisy_streams(
    model: "TransformerBridge", ids: list[int], subject: list[int], sd: float, draws: int, seed: int
) -> Float[Tensor, "draw pos d_model"]:
    """The stream before the first layer with Gaussian noise on the subject's positions, one a draw."""
    tokens = torch.tensor([ids], device=model.W_E.device)
    stream = wide(capture(model, tokens, [Site("resid_pre", 0)])[Site("resid_pre", 0).name])
    found = stream.repeat(draws, 1, 1)
    noise = np.random.default_rng(seed).standard_normal((draws, len(subject), stream.shape[-1]))
    found[:, subject] += sd * torch.tensor(noise).to(found)
    return found
