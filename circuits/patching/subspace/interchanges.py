"""Interchanges of a task: base and source prompts, the answer that the source calls for, and runs of a model with them.

Every pair gives two: the clean prompt with what the corrupted one has there, which then should give the wrong answer, and the
corrupted with what the clean one has, which should give the right one. Only pairs that the model answers as they call for it, the
clean prompt right and the corrupted wrong, say anything of an interchange: without one, both are then answered otherwise than
they should be with it, so doing nothing has an accuracy of 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probe.errors import BadInput
from probe.model.key_value_cache import keeps_nothing
from probe.tasks.pairs import Pairs
from probe.text.prompts import padded, padding_of
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LEAST = 4
"""Pairs that each side needs: to learn from, and to look at it on."""


@dataclass(frozen=True, kw_only=True)
class Interchanges:
    """Rows: the tokens of a prompt, padded behind, then where its last token is and which pair it is of. base, source: by
    interchange; at: the position of each where the subspace is; wanted: 0 where the right answer should come, 1 the wrong. pair:
    of each."""

    base: Int[Tensor, "interchange column"]
    source: Int[Tensor, "interchange column"]
    at_base: Int[Tensor, " interchange"]
    at_source: Int[Tensor, " interchange"]
    wanted: Int[Tensor, " interchange"]
    pair: Int[Tensor, " interchange"]

    def __len__(self) -> int:
        return len(self.wanted)

    def some(self, pairs: Sequence[int]) -> "Interchanges":
        """Those of these pairs."""
        chosen = torch.isin(self.pair, torch.tensor(list(pairs)))
        return Interchanges(**{name: value[chosen] for name, value in vars(self).items()})


def interchanges_of(pairs: Pairs, position: int, filler: int, device: Any = None) -> Interchanges:
    """Both interchanges of every pair. position: of the subspace, from the end where below 0."""
    lengths = [len(ids) for ids in pairs.clean]
    if min(lengths) < (-position if position < 0 else position + 1):
        raise BadInput(
            f"There is no position {position} in prompts of {min(lengths)} tokens; count from the end, like -1."
        )
    sides = [
        torch.tensor(
            [[*row, n - 1, i] for i, (row, n) in enumerate(zip(padded(ids, filler), lengths, strict=True))],
            device=device,
        )
        for ids in (pairs.clean, pairs.corrupted)
    ]
    at = torch.tensor([position % n if position < 0 else position for n in lengths], device=device).repeat(2)
    n = len(pairs)
    return Interchanges(
        base=torch.cat(sides),
        source=torch.cat(sides[::-1]),
        at_base=at,
        at_source=at,
        wanted=torch.tensor([1] * n + [0] * n),
        pair=torch.arange(n).repeat(2),
    )


def answers(model: "TransformerBridge", pairs: Pairs) -> Callable[[Tensor], Float[Tensor, "row 2"]]:
    """A run of rows: the mean logit of the right answers after each one's last token, and that of the wrong ones."""
    if not all(pairs.wrong):
        raise BadInput(
            "Some pairs name no wrong answer, so an interchange could not be told from none. Name the answer that the corrupted "
            "prompt calls for as wrong."
        )

    def run(rows: Int[Tensor, "row column"]) -> Float[Tensor, "row 2"]:
        logits = model(rows[:, :-2], **keeps_nothing(model))
        last = logits[torch.arange(len(rows), device=rows.device), rows[:, -2]]
        return torch.stack(
            [
                torch.stack([x[pairs.right[i]].mean(), x[pairs.wrong[i]].mean()])
                for x, i in zip(last, rows[:, -1].tolist(), strict=True)
            ]
        )

    return run


@torch.no_grad()
def answered(
    run: Callable[[Tensor], Float[Tensor, "row 2"]], rows: Int[Tensor, "row column"], batch: int
) -> Bool[np.ndarray, " row"]:
    """Whether the right answer is above the wrong one."""
    parts = [run(rows[at : at + batch]).cpu() for at in range(0, len(rows), batch)]
    return (torch.cat(parts)[:, 0] > torch.cat(parts)[:, 1]).numpy()


def split(
    model: "TransformerBridge", pairs: Pairs, position: int, held_out: float, batch: int
) -> tuple[Interchanges, Interchanges]:
    """Interchanges to learn from, and others to look at it on, of the pairs that the model answers as they call for it."""
    every = interchanges_of(pairs, position, padding_of(model), model.W_E.device)
    right, n = answered(answers(model, pairs), every.base, batch), len(pairs)
    good = np.flatnonzero(right[:n] & ~right[n:])
    test = max(LEAST, round(held_out * len(good)))
    if len(good) < test + LEAST:
        raise BadInput(
            f"Of {counted(n, 'pair')} the model answers {len(good)} as they call for it, the clean prompt right and the "
            f"corrupted wrong; {2 * LEAST} are needed at least. Give more pairs, or a task whose corrupted prompt calls for the "
            "wrong answer (capitals, agreement, or task_pairs(..., 'ioi', corruption='swapped'))."
        )
    return every.some(good[:-test].tolist()), every.some(good[-test:].tolist())
