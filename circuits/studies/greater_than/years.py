"""The years of greater-than's prompts: which token each value is, which one starts, where it stands.

Where digits are written one by one a value is the tens digit, 0 to 9; where two are one token it is 00 to 99. A table has a row
for each prompt and a column for each value, and is read against the order of value and start:

    order        1 where the value is later than the start, -1 where it is earlier, 0 where it is the same
    agreement    correlation of a table with the order, over values other than the start, after means of values and prompts were
                 taken from both: what is promoted whatever the start is no use, and adding the same to all changes nothing
    step         what the value after the start has more than the one before it
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int

from circuits.studies.component_circuits.halves import last_logits
from probe.tasks.pairs import Pairs
from probe.text.targets import token_id

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Table = Float[np.ndarray, "pair value"]


def values_of(model: "TransformerBridge", pairs: Pairs) -> list[int]:
    """Tokens of the values, in their order."""
    width = len(pairs.examples[0].right[0])
    return [token_id(model, f"{n:0{width}}") for n in range(10**width)]


@dataclass(frozen=True)
class Years:
    """Some pairs with their values. start: which value each prompt starts with."""

    model: "TransformerBridge"
    pairs: Pairs
    values: list[int]

    @cached_property
    def start(self) -> Int[np.ndarray, " pair"]:
        return np.array([self.values.index(right[0]) - 1 for right in self.pairs.right])

    @cached_property
    def at(self) -> list[list[int]]:
        """Where each start year stands: the tokens that the corrupted prompt has otherwise."""
        sides = zip(self.pairs.clean, self.pairs.corrupted, strict=True)
        return [[i for i, (a, b) in enumerate(zip(*both, strict=True)) if a != b] for both in sides]

    @cached_property
    def logits(self) -> Table:
        """Of the values, after each clean prompt."""
        return last_logits(self.model, self.pairs, self.pairs.clean)[:, self.values].double().numpy()

    @cached_property
    def chances(self) -> Table:
        """Probabilities of the values."""
        logits = last_logits(self.model, self.pairs, self.pairs.clean)
        return torch.softmax(logits.double(), -1)[:, self.values].numpy()

    @property
    def order(self) -> Table:
        """Of each prompt, which values are later and which earlier."""
        return order(self.start, len(self.values))


def order(start: Int[np.ndarray, " pair"], n: int) -> Table:
    """See above."""
    return np.sign(np.arange(n)[None] - start[:, None]).astype(float)


def lead(table: Table, start: Int[np.ndarray, " pair"]) -> Float[np.ndarray, " pair"]:
    """Mean over the later values minus mean over the earlier ones."""
    way = order(start, table.shape[1])
    later, earlier = (way > 0).astype(float), (way < 0).astype(float)
    return (table * later).sum(1) / later.sum(1) - (table * earlier).sum(1) / earlier.sum(1)


def step(table: Table, start: Int[np.ndarray, " pair"]) -> Float[np.ndarray, " pair"]:
    """What the value after the start has more than the one before it."""
    rows = np.arange(len(start))
    return table[rows, start + 1] - table[rows, start - 1]


def _interaction(table: Table) -> Table:
    """What is neither a prompt's nor a value's own."""
    return table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()


def agreement(table: Table, start: Int[np.ndarray, " pair"]) -> float:
    """See above; 0 for a table that says nothing."""
    way = order(start, table.shape[1])
    apart = way != 0
    one, other = (_interaction(x)[apart] for x in (table, way))
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 1e-12 else 0.0
