"""Sparsifiers turn pre-activations into latents. They are modules handed to a dictionary, which never asks which it holds.

A sparsifier says its rule twice: `forward` on dense pre-activations, which anyone can read and differentiate, and `code`,
the way training and evaluation run it, which may skip the work on silent latents. Tests hold the two equal.
"""

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from probe.dictionaries.codes import Code, DenseCode, SparseCode
from probe.dictionaries.topk import topk_encode
from probe.errors import BadInput


class Sparsifier(nn.Module):
    """The base: subclasses give `name`, `forward` and, if they have parameters, `config`."""

    name: ClassVar[str]

    def forward(self, pre_acts: Float[Tensor, "*batch d_dict"]) -> Float[Tensor, "*batch d_dict"]:
        """Latents, not negative."""
        raise NotImplementedError

    def code(
        self, x: Float[Tensor, "row d_in"], W_enc: Float[Tensor, "d_in d_dict"], b_enc: Float[Tensor, " d_dict"]
    ) -> Code:
        """The latents of rows of activations."""
        return DenseCode(self(torch.addmm(b_enc, x, W_enc)))

    def check(self, d_dict: int) -> None:
        """Raise BadInput if the sparsifier cannot work with this many latents."""

    def scaled(self, factor: float) -> "Sparsifier":
        """The sparsifier for which `scaled(f)(f * p) == f * self(p)`; itself where the rule is homogeneous."""
        return self

    def config(self) -> dict[str, Any]:
        """What `sparsifier` needs to make this one again."""
        return {"name": self.name}


class ReLU(Sparsifier):
    """latent = max(pre-activation, 0)."""

    name = "relu"

    def forward(self, pre_acts: Float[Tensor, "*batch d_dict"]) -> Float[Tensor, "*batch d_dict"]:
        return pre_acts.relu()


class TopK(Sparsifier):
    """ReLU of the k largest pre-activations of each row; the rest are 0, so at most k latents are active."""

    name = "topk"

    def __init__(self, k: int):
        super().__init__()
        if k < 1:
            raise BadInput(f"TopK needs k of at least 1, not {k}.")
        self.k = k

    def forward(self, pre_acts: Float[Tensor, "*batch d_dict"]) -> Float[Tensor, "*batch d_dict"]:
        values, indices = pre_acts.topk(self.k, dim=-1, sorted=False)
        return torch.zeros_like(pre_acts).scatter(-1, indices, values.relu())

    def code(
        self, x: Float[Tensor, "row d_in"], W_enc: Float[Tensor, "d_in d_dict"], b_enc: Float[Tensor, " d_dict"]
    ) -> Code:
        values, indices = topk_encode(x, W_enc, b_enc, self.k)
        return SparseCode(values, indices, W_enc.shape[1])

    def check(self, d_dict: int) -> None:
        if self.k > d_dict:
            raise BadInput(f"TopK({self.k}) needs at least {self.k} latents, but the dictionary has {d_dict}.")

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "k": self.k}

    def extra_repr(self) -> str:
        return f"k={self.k}"


SPARSIFIERS: dict[str, type[Sparsifier]] = {kind.name: kind for kind in (ReLU, TopK)}


def sparsifier(config: dict[str, Any]) -> Sparsifier:
    """The sparsifier that `config` (from `Sparsifier.config`) describes."""
    rest = dict(config)
    name = rest.pop("name", None)
    if name not in SPARSIFIERS:
        raise BadInput(f"There is no sparsifier '{name}'; known are {', '.join(SPARSIFIERS)}.")
    try:
        return SPARSIFIERS[name](**rest)
    except TypeError as error:
        raise BadInput(f"The sparsifier '{name}' does not take {rest}: {error}.") from error
