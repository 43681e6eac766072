"""Sparsifiers turn pre-activations into latents. They are modules handed to a dictionary, which never asks which it holds.

A sparsifier says its rule twice: `forward` on dense pre-activations, which anyone can read and differentiate, and `code`,
the way training and evaluation run it, which may skip the work on silent latents. Tests hold the two equal. What else its
training minimises (a sparsity penalty) is its `penalty`.
"""

import numbers
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from probe.asked_of import looked_at
from probe.dictionaries.sparsifiers.codes import Code, DenseCode, SparseCode
from probe.dictionaries.sparsifiers.select import largest_of_rows
from probe.dictionaries.sparsifiers.sparse import sparse_pre_acts
from probe.errors import BadInput, brief

if TYPE_CHECKING:
    from probe.dictionaries.base import Dictionary


class Sparsifier(nn.Module):
    """The base: subclasses give `name`, `forward` and, if they have parameters, `config`."""

    name: ClassVar[str]
    pace: float = 1.0
    "Learning rate of what the sparsifier itself learns, as a multiple of the weights'."

    matrices: float = 0
    "How many matrices [row, d_dict] a training step may hold at once, for plans; as measured."
    calibrates: bool = False
    "Whether `calibrate` does something."

    def bind(self, d_dict: int) -> None:
        """Make whatever is learned for each of `d_dict` latents. Raises BadInput if the rule cannot work with so many."""

    def forward(self, pre_acts: Float[Tensor, "*batch d_dict"]) -> Float[Tensor, "*batch d_dict"]:
        """Latents, not negative: the rule of a trained dictionary."""
        raise NotImplementedError

    def code(
        self, x: Float[Tensor, "row d_in"], W_enc: Float[Tensor, "d_in d_dict"], b_enc: Float[Tensor, " d_dict"]
    ) -> Code:
        """The latents of rows of activations. In training mode a rule may look at the whole batch, or learn from it."""
        return DenseCode(self(torch.addmm(b_enc, x, W_enc)))

    def penalty(
        self,
        dictionary: "Dictionary",
        code: Code,
        recons: Float[Tensor, "row d_out"],
        targets: Float[Tensor, "row d_out"],
    ) -> Tensor | None:
        """What training minimises besides the mean squared error, in its units; None if nothing."""

    def at(self, share: float) -> None:
        """Told before each step: the share of the training that is done, for schedules."""

    def calibrate(self, pre_acts: Float[Tensor, "row d_dict"]) -> None:
        """Told once, before the first step: pre-activations of some rows, to start thresholds from."""

    def ease(self, dead: Bool[Tensor, " d_dict"]) -> None:
        """Told after each step which latents are dead: a rule that holds latents back may hold these back less."""

    def scaled(self, factor: float) -> "Sparsifier":
        """The sparsifier for which `scaled(f)(f * p) == f * self(p)`; itself where the rule is homogeneous."""
        return self

    def config(self) -> dict[str, Any]:
        """What `sparsifier` needs to make this one again, apart from what it learned."""
        return {"name": self.name}

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.config().items() if k != "name")


class L1Penalised(Sparsifier):
    """Kept sparse by an L1 penalty weighted by decoder norms, so that a latent cannot shrink and its decoder grow instead.

    l1 is the coefficient of sum_f latent_f * |W_dec[f]| beside the squared error summed over dimensions, on activations of
    unit variance (the convention of Conerly et al. 2024); it rises from 0 over the first `warmup` share of the training, since
    latents that are pressed down before they mean anything die.
    """

    def __init__(self, l1: float, warmup: float):
        super().__init__()
        self.l1, self.warmup = not_negative("l1", l1), warmup
        self.strength = l1

    def at(self, share: float) -> None:
        self.strength = self.l1 * (min(1.0, share / self.warmup) if self.warmup else 1.0)

    def weighted(self, code: Code, dictionary: "Dictionary", targets: Tensor) -> Tensor:
        """The penalty on these latents; divided by all numbers of the batch, as the mean squared error beside it is."""
        return self.strength * code.weighted(dictionary.W_dec.norm(dim=1)) / targets.numel()

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "l1": self.l1, "warmup": self.warmup}


class ReLU(L1Penalised):
    """latent = max(pre-activation, 0), with the L1 penalty on the latents.

    >>> ow.SAE(64, 512, sparsifier=ow.ReLU(l1=1.0), site="resid_post.1").d_dict
    512
    """

    name, matrices = "relu", 4.5

    @looked_at
    def __init__(self, l1: float = 2.0, warmup: float = 0.05):
        super().__init__(l1, warmup)

    def forward(self, pre_acts: Float[Tensor, "*batch d_dict"]) -> Float[Tensor, "*batch d_dict"]:
        return pre_acts.relu()

    def penalty(self, dictionary: "Dictionary", code: Code, recons: Tensor, targets: Tensor) -> Tensor | None:
        return self.weighted(code, dictionary, targets)


class TopK(Sparsifier):
    """ReLU of the k largest pre-activations of each row; the rest are 0, so at most k latents are active (Gao et al. 2024).

    >>> sae = ow.SAE(64, 512, sparsifier=ow.TopK(8), site="resid_post.1")
    >>> int((sae.encode(torch.randn(5, 64)) > 0).sum(-1).max())
    8
    """

    name = "topk"

    def __init__(self, k: int):
        super().__init__()
        self.k = at_least_one("TopK", k)

    def bind(self, d_dict: int) -> None:
        enough(self.name, self.k, d_dict)

    def forward(self, pre_acts: Float[Tensor, "*batch d_dict"]) -> Float[Tensor, "*batch d_dict"]:
        values, indices = pre_acts.topk(self.k, dim=-1, sorted=False)  # *batch k
        # relu: of a row with fewer than k positive pre-activations some of the k largest are below 0, and stay silent
        return torch.zeros_like(pre_acts).scatter(-1, indices, values.relu())

    def code(
        self, x: Float[Tensor, "row d_in"], W_enc: Float[Tensor, "d_in d_dict"], b_enc: Float[Tensor, " d_dict"]
    ) -> Code:
        values, where = sparse_pre_acts(x, W_enc, b_enc, largest_of_rows(self.k))
        return SparseCode(values.relu(), where)

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "k": self.k}


def at_least_one(name: str, k: int) -> int:
    """k, if it is one."""
    if not isinstance(k, numbers.Integral) or isinstance(k, bool):
        raise BadInput(f"{name} needs a whole number k, not {brief(k)}.")
    if k < 1:
        raise BadInput(f"{name} needs k of at least 1, not {k}.")
    return k


def not_negative(name: str, value: float) -> float:
    """The value, if it is a finite number that is not negative."""
    if not 0 <= value < float("inf"):
        raise BadInput(f"{name} is {value}; it must be 0 or greater.")
    return value


def enough(name: str, k: float, d_dict: int) -> None:
    """Raise BadInput if there are fewer latents than may be active."""
    if k > d_dict:
        raise BadInput(f"{name} with {k:g} active needs at least {k:g} latents, but the dictionary has {d_dict}.")
