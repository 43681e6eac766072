"""The first-letter test's text and its linear probe: at a word's last token, which letter does the word begin with?

Each word of the bundled list is read in the same short sentence. Letters with fewer than `LEAST` words are left out.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from probe.evaluation.suite.probing import fitted
from probe.text.documents import Document
from probe.text.labelled import words
from probe.text.tokens import TokenSet, tokenize

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LEAST = 15
CARRIER = "The word is"


@dataclass(frozen=True)
class Spelling:
    """Words in rows of tokens, where each ends, its first letter (index into `letters`), and which words are for testing."""

    words: list[str]
    tokens: TokenSet
    last: Int[np.ndarray, " word"]
    letter: Int[np.ndarray, " word"]
    letters: list[str]
    test: Bool[np.ndarray, " word"]

    @property
    def spans(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each word's last token, as `read` wants it."""
        return np.arange(len(self.words)), self.last, self.last


def spelling(model: "TransformerBridge", *, per_letter: int = 80, share: float = 0.4, seed: int = 0) -> Spelling:
    """Up to `per_letter` words of each letter, `share` of them for testing."""
    rng = np.random.default_rng(seed)
    by_letter: dict[str, list[str]] = {}
    for word in words():
        by_letter.setdefault(word[0], []).append(word)
    chosen, test = [], []
    letters = [letter for letter, some in by_letter.items() if len(some) >= LEAST]
    for letter in letters:
        some = [by_letter[letter][i] for i in rng.permutation(len(by_letter[letter]))[:per_letter]]
        chosen += some
        test += [i < round(share * len(some)) for i in range(len(some))]
    tokens = _rows(model, chosen)
    last = tokens.tokens.shape[1] - 1 - tokens.special.flip(1).int().argmin(1).numpy()
    index = np.array([letters.index(w[0]) for w in chosen])
    return Spelling(chosen, tokens, last, index, letters, np.array(test))


def _rows(model: "TransformerBridge", chosen: list[str]) -> TokenSet:
    """One row a word, as wide as the longest needs."""
    documents = [Document(w, f"{CARRIER} {w}") for w in chosen]
    wide = tokenize(model, documents, context=min(64, getattr(model.cfg, "n_ctx", None) or 64))
    width = int((~wide.special).sum(1).max()) + int(wide.special[:, 0].any())
    return TokenSet(wide.tokens[:, :width], wide.doc, wide.documents, wide.special[:, :width])


@dataclass(frozen=True, eq=False)
class LetterProbe:
    """directions: unit vectors, one a letter. right: words whose letter it names. f1: mean over letters, on the test words."""

    directions: Float[np.ndarray, "letter d"]
    right: Bool[np.ndarray, " word"]
    f1: float


def letter_probe(
    x: Float[np.ndarray, "word d"], letter: Int[np.ndarray, " word"], test: Bool[np.ndarray, " word"]
) -> LetterProbe:
    """Multinomial logistic regression on the training words. A letter's direction is its weights less the mean over letters
    (which softmax cannot tell apart), in the units of x."""
    probe, mean, scale = fitted(x[~test], letter[~test], C=0.1)
    weights = (probe.coef_ - probe.coef_.mean(0)) / scale
    guess = probe.predict((x - mean) / scale)
    f1 = np.mean([f_one(guess[test] == i, letter[test] == i) for i in range(len(weights))])
    directions = weights / np.linalg.norm(weights, axis=1, keepdims=True).clip(1e-30)
    return LetterProbe(directions, guess == letter, float(f1))


def f_one(guess: Bool[np.ndarray, " item"], truth: Bool[np.ndarray, " item"]) -> float:
    """F1: harmonic mean of precision and recall; 0 where nothing right was said."""
    right = int((guess & truth).sum())
    return 2 * right / max(int(guess.sum()) + int(truth.sum()), 1)
