"""Matryoshka: each prefix of the latents has to reconstruct alone, so the first ones stay general while later ones refine
(Bussmann, Nabeshima, Karvonen, Nanda 2025). The rule that makes latents sparse is another sparsifier, handed in.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from probe.asked_of import looked_at
from probe.dictionaries.sparsifiers.base import Sparsifier
from probe.dictionaries.sparsifiers.codes import Code
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.dictionaries.base import Dictionary


class Matryoshka(Sparsifier):
    """The latents of `inner`; training adds the mean squared error of each prefix of `widths` latents.

    >>> ow.SAE(64, 512, sparsifier=ow.Matryoshka(ow.TopK(8), [64, 512]), site="resid_post.1").d_dict
    512
    """

    name = "matryoshka"

    @looked_at
    def __init__(self, inner: Sparsifier, widths: Sequence[int]):
        super().__init__()
        self.inner, self.widths = inner, tuple(widths)
        self.matrices, self.calibrates = inner.matrices, inner.calibrates
        if not self.widths or self.widths[0] < 1 or list(self.widths) != sorted(set(self.widths)):
            raise BadInput(f"Matryoshka needs rising prefix widths of at least 1, not {list(widths)}.")

    def bind(self, d_dict: int) -> None:
        if self.widths[-1] > d_dict:
            raise BadInput(f"Matryoshka has a prefix of {self.widths[-1]} latents, but the dictionary has {d_dict}.")
        self.inner.bind(d_dict)

    def forward(self, pre_acts: Float[Tensor, "*batch d_dict"]) -> Float[Tensor, "*batch d_dict"]:
        return self.inner(pre_acts)

    def code(self, x: Tensor, W_enc: Tensor, b_enc: Tensor) -> Code:
        return self.inner.code(x, W_enc, b_enc)

    def penalty(self, dictionary: "Dictionary", code: Code, recons: Tensor, targets: Tensor) -> Tensor | None:
        """Prefixes are what is left of the whole reconstruction when the bands behind them are taken away, last band first."""
        total = self.inner.penalty(dictionary, code, recons, targets)
        ends = [w for w in self.widths if w < dictionary.d_dict]  # all latents together are the loss itself
        for low, high in reversed(list(zip(ends, [*ends[1:], dictionary.d_dict], strict=True))):
            recons = recons - code.band(low, high).decode(dictionary.W_dec)  # row d_out: of the first `low` latents
            error = (recons - targets).square().mean()
            total = error if total is None else total + error
        return total

    def at(self, share: float) -> None:
        self.inner.at(share)

    def calibrate(self, pre_acts: Tensor) -> None:
        self.inner.calibrate(pre_acts)

    def ease(self, dead: Tensor) -> None:
        self.inner.ease(dead)

    def scaled(self, factor: float) -> "Matryoshka":
        return Matryoshka(self.inner.scaled(factor), self.widths).train(self.training)

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "inner": self.inner.config(), "widths": list(self.widths)}
