"""First-letter absorption (Chanin et al. 2024): a letter's latent stays silent on some of its words, because a latent of the
word itself has taken over its direction.

For a word of letter l let p be the unit direction of a linear probe for l in what the dictionary reconstructs, t = (y - b).p
the target's part along it (b: what the dictionary adds whatever its latents do: bias and linear path), S the letter's main
latents (`splitting`), M = sum over S of a_i d_i.p what they write along p, and A the sum of the up to 3 largest a_j d_j.p of
other latents with cos(d_j, p) >= 0.1. Then the absorption fraction of the word is

    0                                     if M >= t or A < 0.4 t
    min(A, t - M) / (min(A, t - M) + M)   otherwise (1 if M <= 0)

and absorption is full where no latent of S fires, and the latent that writes most along p has cosine >= 0.025 and alone makes up
0.4 t. These are the measures of Karvonen et al. 2025, which need no ablations. Ours: the mean is over the test words whose letter
the probe names rightly; t <= 0 counts as 0; and y - b stands where they have y, since a mean is no latent's to explain. A
dictionary whose latents do not find a letter at all absorbs nothing: read the fraction beside the F1 of the main latents.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probe.dictionaries.store import AnyDictionary
from probe.evaluation.suite.spelling import LetterProbe
from probe.evaluation.suite.splitting import main_latents

ABSORBERS, COSINE, SHARE, FULL_COSINE = 3, 0.1, 0.4, 0.025


@dataclass(frozen=True)
class LetterResult:
    """One letter: its main latents, their F1 on the test words, and what its words lose. n: words judged."""

    letter: str
    latents: list[int]
    f1: float
    fraction: float
    full: float
    n: int


def absorption(
    latents: Any,
    written: Float[np.ndarray, "latent d_out"],
    residual: Float[np.ndarray, "word d_out"],
    probe: LetterProbe,
    letter: Int[np.ndarray, " word"],
    letters: list[str],
    test: Bool[np.ndarray, " word"],
) -> list[LetterResult]:
    """Each letter's result. written: the latents' decoder rows. residual: y - b. probe: of the same space."""
    lengths = np.linalg.norm(written, axis=1).clip(1e-30)
    found = []
    for index, name in enumerate(letters):
        main = main_latents(latents, letter == index, test)
        along = written @ probe.directions[index]
        words = np.flatnonzero(test & probe.right & (letter == index))
        scores = [
            _word(latents[w], along, along / lengths, main.latents, float(residual[w] @ probe.directions[index]))
            for w in words
        ]
        fraction, full = (float(np.mean([s[i] for s in scores])) if scores else float("nan") for i in (0, 1))
        found.append(LetterResult(name, main.latents.tolist(), main.f1, fraction, full, len(words)))
    return found


def _word(
    row: Any, along: Float[np.ndarray, " latent"], cosine: Float[np.ndarray, " latent"], main: np.ndarray, t: float
) -> tuple[float, float]:
    """Absorption fraction of one word, and whether absorption is full."""
    active, values = row.indices, row.data
    parts, own = values * along[active], np.isin(active, main)
    if t <= 0:
        return 0.0, 0.0
    M = float(parts[own].sum())
    others = parts[~own & (cosine[active] >= COSINE) & (parts > 0)]
    A = float(np.sort(others)[::-1][:ABSORBERS].sum())
    return _fraction(M, A, t), float(_full(parts, cosine[active], own & (values > 0), t))


def _fraction(M: float, A: float, t: float) -> float:
    if t <= M or SHARE * t > A:
        return 0.0
    taken = min(A, t - M)
    return 1.0 if M <= 0 else taken / (taken + M)


def _full(parts: np.ndarray, cosine: np.ndarray, own: np.ndarray, t: float) -> bool:
    if own.any() or not len(parts):
        return False
    top = int(parts.argmax())
    return bool(cosine[top] >= FULL_COSINE and parts[top] >= SHARE * t)


@torch.no_grad()
def decoder(dictionary: AnyDictionary) -> Float[Tensor, "latent d_out"]:
    """What each latent writes, over all sites written."""
    parts = getattr(dictionary, "parts", None)
    if parts is None:
        return dictionary.W_dec  # type: ignore[return-value]
    return torch.cat([torch.nn.functional.pad(p.W_dec, (dictionary.d_out - p.d_out, 0)) for p in parts])


@torch.no_grad()
def without_latents(
    dictionary: AnyDictionary, x: Float[np.ndarray, "word d_in"], chunk: int = 256
) -> Float[np.ndarray, "word d_out"]:
    """What the dictionary adds whatever its latents do: bias and linear path."""
    like = dictionary.W_enc
    rows = []
    for part in torch.from_numpy(x).to(like).split(chunk):
        silent = torch.zeros(len(part), dictionary.d_dict, dtype=like.dtype, device=like.device)
        rows.append(dictionary.decode(silent, part).double().cpu())
    return torch.cat(rows).numpy()


def as_sparse(latents: Float[np.ndarray, "word latent"]) -> Any:
    """A dense matrix as the sparse one the functions here take."""
    return sp.csr_matrix(latents)
