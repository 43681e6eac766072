"""Heads, MLPs, neurons and latents as parts of a circuit: what is removed carries something else wherever it is read.

    value of a removed part  <-  what it writes in the corrupted run, its mean, 0, or a constant (`probe.interventions.ablations`)

All later parts are free to answer. Parts of other kinds are never removed: of a circuit of heads, `nothing` still has its MLPs.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from circuits.edge_attribution.layout import layout_of
from circuits.edge_attribution.runs import ids_of
from circuits.faithfulness.parts.implied_edges import ImpliedEdges
from circuits.faithfulness.parts.parts import Kept, Parts
from circuits.faithfulness.parts.places import NODES, PartsAt, places_of
from circuits.replacement.placement import loaded
from probe.errors import OpenworkError
from probe.interventions.ablations import ABLATIONS, Ablation, Values, least, replaced, require_ablation
from probe.interventions.forward import capture
from probe.memory import require
from probe.model.anatomy import spot
from probe.model.key_value_cache import keeps_nothing
from probe.tasks.pairs import METRICS, Pairs
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_BYTES = 1 << 28
"""Bytes of what parts carry in the rows of one pass."""
Held = list[Tensor]
"""Values of every place."""


class NodeParts(Parts):
    """Every part of a kind, on the pairs of a task. reference: pairs that means and constants are taken over; by default
    these."""

    def __init__(
        self,
        model: "TransformerBridge",
        pairs: Pairs,
        kind: str = "heads",
        ablation: Ablation = "resample",
        *,
        dictionaries: Sequence[Any] = (),
        reference: Pairs | None = None,
    ):
        require_ablation(ablation)
        self.model, self.task, self.kind, self.ablation, self.pairs = model, pairs, kind, ablation, len(pairs)
        self.places = places_of(model, kind, [loaded(model, one) for one in dictionaries])
        self.names = [name for place in self.places for name in place.names]
        self.each = self._bytes_of_pair(pairs)
        self.bytes_on(pairs)
        self.groups = pairs.groups(max(1, _BYTES // self.each))
        self._clean = [ids_of(self.model, pairs.clean, some) for some in self.groups]
        self.carried = self._carried(pairs, pairs if reference is None else reference)
        self._known = self
        if ablation == "optimal":
            if reference is not None:
                self._known = NodeParts(model, reference, kind, "mean", dictionaries=dictionaries)
            self._known._whole = [self._known.run(g, None).log_softmax(-1) for g in range(len(self._known.groups))]
        self.convention = {
            "metric": METRICS[pairs.measure],
            "pairs": len(pairs),
            "removed carries": ABLATIONS[ablation],
            "parts": f"{NODES[kind]}; all others stay as they answer",
        }

    _whole: list[Tensor]

    def values(self, kept: Bool[np.ndarray, "circuit part"]) -> Float[np.ndarray, "circuit pair"]:
        """The metric of each circuit on each pair."""
        found = np.zeros((len(kept), self.pairs))
        for i, one in enumerate(kept):
            own = self._known.constants(~one) if self.ablation == "optimal" and not one.all() else None
            for g, some in enumerate(self.groups):
                logits = self.run(g, ~one, own)
                found[i, some] = self.task.metric(logits, some).double().cpu().numpy()
        return found

    def weighted(self, kept: Kept) -> float:
        """The edges between components that these nodes imply."""
        return self._implied.share(kept)

    @cached_property
    def _implied(self) -> ImpliedEdges:
        return ImpliedEdges(layout_of(self.model), self.names)

    def bytes_on(self, pairs: Pairs) -> int:
        """What circuits on these pairs hold. BadInput where it is not there."""
        group = self.each * max(map(len, pairs.groups(max(1, _BYTES // self.each))))
        held = self.each * len(pairs) + 3 * group + (64 << 20)
        require(held, f"{NODES[self.kind]} on {counted(len(pairs), 'pair')}", self.model.W_E.device)
        return held

    def run(
        self, g: int, removed: Bool[np.ndarray, " part"] | None, carried: Held | None = None, grad: bool = False
    ) -> Float[Tensor, "pair d_vocab"]:
        """Logits of a group's clean prompts with these parts removed. carried: what each carries, if not what the ablation
        says."""
        tokens = self._clean[g]
        told = [] if removed is None else [removed[at] for at in self._slices()]
        hooks: list[tuple[str, Callable]] = [("unembed.hook_in", lambda value, hook: value[:, -1:])]
        fired: list[PartsAt] = []
        for i, (place, mask) in enumerate(zip(self.places, told)):
            if mask.any():
                target = (self.carried[g] if carried is None else carried)[i]
                hooks += self._changing(place, mask, target, len(tokens), fired)
        with torch.set_grad_enabled(grad), self.model.hooks(fwd_hooks=hooks):
            found = self.model(tokens, **keeps_nothing(self.model))[:, -1]
        if len(fired) != sum(bool(mask.any()) for mask in told):
            raise OpenworkError("Some of the removed parts were never read, so nothing was measured.")
        return found

    def constants(self, removed: Bool[np.ndarray, " part"]) -> Held:
        """What removed parts carry so that the prediction stays nearest to the whole model's on these pairs."""
        start = [values[:1, :, :1] for values in self.carried[0]]
        sizes, shapes = [v.numel() for v in start], [v.shape for v in start]
        widths = torch.cat([v.square().mean(-1, keepdim=True).sqrt().expand_as(v).flatten() for v in start])

        def held(flat: Tensor) -> Held:
            return [part.view(shape) for part, shape in zip(flat.flatten().split(sizes), shapes, strict=True)]

        def loss(flat: Values) -> Float[Tensor, ""]:
            own, far = held(flat), []
            for g in range(len(self.groups)):
                whole, logits = self._whole[g], self.run(g, removed, own, grad=True)
                far.append((whole.exp() * (whole - logits.log_softmax(-1))).sum())
            return torch.stack(far).sum() / self.pairs

        flat = torch.cat([v.flatten() for v in start])
        return held(least(flat.view(1, -1, 1, 1), loss, scale=widths.view(1, -1, 1, 1)))

    def _changing(
        self, place: PartsAt, mask: Bool[np.ndarray, " part"], target: Values, rows: int, fired: list[PartsAt]
    ) -> list[tuple[str, Callable]]:
        """Hooks that read what the parts of a place are, and change it."""
        removed = torch.tensor(mask, device=target.device).expand(rows, -1)
        source, sink = spot(place.reads, self.model), spot(place.writes, self.model)
        seen: list[Tensor] = []

        def read(value: Tensor, hook: object) -> None:
            seen.append(source.read(value, rows))

        def changed(value: Tensor) -> Tensor:
            fired.append(place)
            now = place.current(seen[-1] if place.reads != place.writes else value)
            return place.changed(value, now, target.expand_as(now), removed)

        change = (sink.hook, lambda value, hook: sink.change(value, rows, changed))
        return [change] if place.reads == place.writes else [(source.hook, read), change]

    def _carried(self, pairs: Pairs, reference: Pairs) -> list[Held]:
        """For each group what the parts of every place carry once they are removed."""
        corrupted = [self.held(ids_of(self.model, pairs.corrupted, some)) for some in self.groups]
        by_place = [
            replaced(self.ablation, [held[i] for held in corrupted], lambda i=i: self._references(reference, i))
            for i in range(len(self.places))
        ]
        return [[groups[g] for groups in by_place] for g in range(len(self.groups))]

    def _references(self, pairs: Pairs, i: int) -> Iterator[Values]:
        for some in pairs.groups(max(1, _BYTES // self.each)):
            yield self.held(ids_of(self.model, pairs.clean, some), [self.places[i]])[0]

    def tokens(self, g: int, corrupted: bool = False) -> Tensor:
        """The prompts of a group."""
        return ids_of(self.model, self.task.corrupted, self.groups[g]) if corrupted else self._clean[g]

    def held(self, tokens: Tensor, places: Sequence[PartsAt] | None = None) -> Held:
        """What the parts of some places (all) are in the run of these tokens."""
        asked = self.places if places is None else places
        found = capture(self.model, tokens, [place.reads for place in asked])
        return [place.current(found[place.reads.name]) for place in asked]

    def _slices(self) -> list[slice]:
        ends = np.cumsum([0, *(len(place.names) for place in self.places)])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    def _bytes_of_pair(self, pairs: Pairs) -> int:
        one = self.held(ids_of(self.model, pairs.clean, [0]))
        longest = max(map(len, pairs.clean)) / len(pairs.clean[0])
        return max(1, int(longest * sum(v.numel() * v.element_size() for v in one)))
