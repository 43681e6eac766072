"""The activations of one block of rows, made when they are asked for: what a live stream holds in memory.

Rows go through the model a few at a time. Under torchrun the processes deal these passes among themselves and hand each other
what they found, so each holds what one process alone would hold, to the bit.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.activations.recorder import store
from probe.distributed import world
from probe.interventions.forward import capture

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


class Block:
    """The activations of one block of rows, kept until another is wanted."""

    def __init__(self, model: "TransformerBridge", tokens: Int[Tensor, "row pos"], widths: dict[str, int], batch: int):
        self.model, self.tokens, self.widths, self.batch = model, tokens, widths, batch
        self.rows = np.zeros(0, np.int64)
        self.values: dict[str, Float[Tensor, "token width"]] = {}

    def of(self, rows: np.ndarray, sites: Sequence[str]) -> dict[str, Tensor]:
        """Activations by site, of the tokens of these rows, one row after the other."""
        if not (np.array_equal(rows, self.rows) and set(sites) <= set(self.values)):
            self.rows, self.values = np.zeros(0, np.int64), {}  # let go of the old before the new is made
            self.values = self._made(rows, sites)
            self.rows = rows
        return self.values

    def _made(self, rows: np.ndarray, sites: Sequence[str]) -> dict[str, Tensor]:
        context, device = self.tokens.shape[1], next(self.model.parameters()).device
        made = {site: torch.empty(len(rows) * context, self.widths[site], device=device) for site in sites}
        pieces = [slice(i, min(i + self.batch, len(rows))) for i in range(0, len(rows), self.batch)]
        places = [slice(piece.start * context, piece.stop * context) for piece in pieces]
        with world().agreed():
            for piece, place in list(zip(pieces, places, strict=True))[world().rank :: world().size]:
                ids = self.tokens[torch.from_numpy(rows[piece])].to(device)
                self._store(ids, made, place)
        for i, place in enumerate(places):
            world().send([values[place] for values in made.values()], source=i % world().size)
        return made

    def _store(self, ids: Int[Tensor, "row pos"], made: dict[str, Tensor], place: slice) -> None:
        for site, value in capture(self.model, ids, made).items():
            store(site, value, made[site][place])
