"""What becomes of a task when some heads give at the last position what they give in another run of equally many tokens.

Below the lowest of these heads nothing changes, so what lies there is run once and replayed (`probe.interventions.prefix`), where
the model hands on no more than its stream.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.studies.component_circuits.halves import ROWS, tokens
from circuits.studies.component_circuits.head_sets import Head
from probe.interventions.forward import capture
from probe.interventions.places import head
from probe.interventions.prefix import is_exact, recorded, replayed
from probe.interventions.running import intervene
from probe.interventions.values import Patch
from probe.model.sites import Site
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


class Swaps:
    """Pairs whose heads are given the outputs of other prompts. donors: token ids, as many and as long as the clean prompts."""

    def __init__(self, model: "TransformerBridge", pairs: Pairs, donors: list[list[int]]):
        self.model, self.pairs, self.donors = model, pairs, donors
        self.groups = pairs.groups(ROWS)
        self._below: dict[tuple[int, int], dict[int, Any]] = {}

    @cached_property
    def given(self) -> list[dict[str, Tensor]]:
        """What every head gives at the last position of the donors, group by group."""
        sites = [Site("z", i) for i in range(int(self.model.cfg.n_layers))]
        runs = (capture(self.model, tokens(self.model, self.donors, some), sites) for some in self.groups)
        return [{site.name: run[site.name][:, -1:].clone() for site in sites} for run in runs]

    def metric(self, heads: Sequence[Head]) -> Float[np.ndarray, " pair"]:
        """The metric of each pair with these heads swapped."""
        found = np.zeros(len(self.pairs))
        for g, some in enumerate(self.groups):
            with self._swapped(g, heads), self.model.hooks(fwd_hooks=[("unembed.hook_in", _last)]), torch.no_grad():
                logits = self.model(self._clean(g))[:, -1]
            found[some] = self.pairs.metric(logits, some).double().cpu().numpy()
        return found

    def patterns(self, heads: Sequence[Head], seen: Sequence[Head]) -> list[Float[np.ndarray, "pair k_pos"]]:
        """Where the last position looks with these heads swapped, mean over the heads in `seen`, group by group."""
        sites = [Site("pattern", layer) for layer in sorted({layer for layer, _ in seen})]
        found = []
        for g in range(len(self.groups)):
            with self._swapped(g, heads):
                run = capture(self.model, self._clean(g), sites)
            rows = [run[Site("pattern", layer).name][:, i, -1].float() for layer, i in seen]
            found.append(torch.stack(rows).mean(0).cpu().numpy())
        return found

    def _clean(self, g: int) -> Tensor:
        return tokens(self.model, self.pairs.clean, self.groups[g])

    @contextmanager
    def _swapped(self, g: int, heads: Sequence[Head]) -> Iterator[None]:
        patches = [
            Patch(head(layer, i, -1), self.given[g][Site("z", layer).name][:, :, i]) for layer, i in sorted(set(heads))
        ]
        start = min((layer for layer, _ in heads), default=0)
        with replayed(self.model, start, self._kept(g, start)), intervene(self.model, patches):
            yield

    def _kept(self, g: int, start: int) -> dict[int, Any]:
        """What enters this layer in the clean run of a group; nothing where the model cannot be run from there."""
        if (g, start) not in self._below:
            ids, kept = self._clean(g), {}
            if start > 0 and is_exact(self.model, start, ids[:1]):
                with recorded(self.model, start) as kept, torch.no_grad():
                    self.model(ids)
            self._below[g, start] = kept
        return self._below[g, start]


def _last(value: Tensor, hook: object) -> Tensor:
    return value[:, -1:]
