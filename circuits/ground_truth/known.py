"""A model with pairs of prompts and the edges that are its circuit, by construction and not by any method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from circuits.edge_attribution.layout import Layout
from probe.model.load import stamp
from probe.tasks.example import Example
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, kw_only=True)
class Known:
    """A model whose circuit is known. prompts: clean and corrupted. right, wrong: the answers, one a pair. effects: of every edge
    of the circuit, what the metric changes by when it alone carries the corrupted run; every other edge has 0.

    >>> known = ow.known_circuit("or-gate")
    >>> sorted(known.effects)[-1], known.effects["m0->logits"]
    ('m0->logits', -4.0)
    """

    name: str
    about: str
    model: "TransformerBridge"
    prompts: Sequence[tuple[str, str]]
    right: Sequence[str]
    wrong: Sequence[str]
    effects: Mapping[str, float]

    @property
    def pairs(self) -> Pairs:
        """Its pairs, as every method takes them in the place of a task."""
        ids = self.model.tokenizer.get_vocab()  # type: ignore[union-attr]
        examples = [
            Example(clean=clean, corrupted=corrupted, right=[right], wrong=[wrong])
            for (clean, corrupted), right, wrong in zip(self.prompts, self.right, self.wrong, strict=True)
        ]
        sides = ([[ids[word] for word in text.split()] for text in some] for some in zip(*self.prompts, strict=True))
        clean, corrupted = sides
        return Pairs(
            task=self.name,
            examples=examples,
            clean=clean,
            corrupted=corrupted,
            right=[[ids[word]] for word in self.right],
            wrong=[[ids[word]] for word in self.wrong],
            refused={},
            model=stamp(self.model),
        )

    def true(self, layout: Layout) -> Bool[np.ndarray, " edge"]:
        """Of every edge of the model whether it belongs to the circuit."""
        return np.isin(self._names(layout), list(self.effects))

    def by_construction(self, layout: Layout) -> Float[np.ndarray, " edge"]:
        """The exact effect of every edge."""
        return np.array([self.effects.get(name, 0.0) for name in self._names(layout)])

    @staticmethod
    def _names(layout: Layout) -> list[str]:
        return [layout.name(int(u), int(v)) for u, v in np.argwhere(layout.edges)]
