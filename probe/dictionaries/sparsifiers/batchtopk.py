"""BatchTopK: the k * rows largest pre-activations of a batch are active, so easy tokens can use fewer latents than k and
hard ones more (Bussmann, Leask, Nanda 2024). A trained dictionary sees no batches: it uses one threshold, the running mean
of the smallest activation that made it into a batch.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.sparsifiers.base import Sparsifier, at_least_one, enough
from probe.dictionaries.sparsifiers.codes import Code, SparseCode
from probe.dictionaries.sparsifiers.select import above, largest_of_batch
from probe.dictionaries.sparsifiers.sparse import sparse_pre_acts
from probe.distributed import world

MEMORY = 0.9
"Share of the running threshold that is kept at each step."


class BatchTopK(Sparsifier):
    """In training the k * rows largest positive pre-activations of the batch; afterwards all above the learned `threshold`.

    >>> ow.SAE(64, 512, sparsifier=ow.BatchTopK(8), site="resid_post.1").d_dict
    512
    """

    name = "batchtopk"
    threshold: Float[Tensor, ""]

    def __init__(self, k: int):
        super().__init__()
        self.k = at_least_one("BatchTopK", k)
        self.register_buffer("threshold", torch.zeros(()))

    def bind(self, d_dict: int) -> None:
        enough(self.name, self.k, d_dict)

    def forward(self, pre_acts: Float[Tensor, "*batch d_dict"]) -> Float[Tensor, "*batch d_dict"]:
        return pre_acts.relu() * (pre_acts > self.threshold)

    def code(
        self, x: Float[Tensor, "row d_in"], W_enc: Float[Tensor, "d_in d_dict"], b_enc: Float[Tensor, " d_dict"]
    ) -> Code:
        if not self.training:
            values, where = sparse_pre_acts(x, W_enc, b_enc, above(max(float(self.threshold), 0.0)))
            return SparseCode(values, where)
        values, where = sparse_pre_acts(x, W_enc, b_enc, largest_of_batch(self.k))  # n = k * rows of them, or fewer
        self._learn(values.detach())
        return SparseCode(values.relu(), where)

    def _learn(self, picked: Float[Tensor, " n"]) -> None:
        """Move the threshold towards this batch's: the smallest activation that made it in, on any process."""
        positive = picked[picked > 0]
        smallest = world().lowest(positive.min() if len(positive) else picked.new_tensor(torch.inf))
        if bool(smallest.isfinite()):
            first = self.threshold == 0  # a running mean that starts at zero would lag behind for hundreds of steps
            self.threshold.copy_(torch.where(first, smallest, MEMORY * self.threshold + (1 - MEMORY) * smallest))

    def scaled(self, factor: float) -> "BatchTopK":
        other = BatchTopK(self.k).to(self.threshold).train(self.training)
        other.threshold.copy_(self.threshold * factor)
        return other

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "k": self.k}
