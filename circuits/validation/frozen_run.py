"""The model's own forward pass with everything held that a graph calls frozen, and writes added to it.

Attention patterns, norm divisors, MLP outputs and the outputs of heads that are nodes stay at recorded values by hooks; a
dictionary's skip stays alive; an SAE in the stream holds the stream behind it. What is added anywhere then moves every
reader by exactly its edges, if the graph is right. This shares no code with the sweep that made the edges.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.attribution.vectors import Places, Read, Write
from circuits.graph.graph import CircuitGraph
from circuits.replacement import points
from circuits.replacement.units import Latents
from probe.interventions.forward import capture
from probe.interventions.places import place
from probe.interventions.running import intervene
from probe.interventions.values import Freeze, Function, Steer
from probe.model.sites import Site, hook_name

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_SCALES = ("pattern", "ln1_scale", "ln1_post_scale", "ln2_scale", "ln2_post_scale")


class FrozenRun:
    """Runs of one graph's prompt. Raises OpenworkError where the model's attention cannot be held."""

    def __init__(self, model: "TransformerBridge", places: Places):
        self.model, self.places, self.frozen, self.graph = model, places, places.frozen, places.graph
        self.tokens: Int[Tensor, "1 pos"] = torch.tensor([self.graph.token_ids], device=model.W_E.device)
        every = [Site(k, i) for k in _SCALES for i in range(self.graph.n_layers)] + [Site("final_scale")]
        held = [s for s in every if hook_name(s, model) is not None]
        values = [Site(k, i) for i in range(self.graph.n_layers) for k in ("mlp_in", "mlp_out", "z", "resid_post")]
        self.record = capture(model, self.tokens, [*held, *values])
        self.freezes = [Freeze(s, self.record[s.name]) for s in held]

    @cached_property
    def reads(self) -> dict[int, Read]:
        """How each explained node reads."""
        return {int(i): self.places.read(int(i)) for i in np.flatnonzero(self.graph.explained)}

    @cached_property
    def still(self) -> Float[Tensor, " node"]:
        """What every explained node reads when nothing is added."""
        return self.values([])

    def moved(self, writes: Sequence[Write]) -> Float[Tensor, " node"]:
        """How far every explained node moves when `writes` are added once more.

        They are added so many times that they are a thousand times as long as the stream they join, and the movement is divided
        again: the held model is linear, and a small source's movement must not drown in the rounding of large values.
        """
        norm = max((float(w.vector.norm()) for w in writes), default=0.0)
        if not norm:
            return torch.zeros_like(self.still)
        first = min(writes, key=lambda w: w.point)
        stream = self.record[Site("resid_post", min(points.layer_of(first.point), self.graph.n_layers - 1)).name][
            0, first.pos
        ]
        factor = 1e3 * max(1.0, float(stream.norm()) / norm)
        return (self.values([Write(w.point, w.pos, factor * w.vector) for w in writes]) - self.still) / factor

    def values(self, writes: Sequence[Write]) -> Float[Tensor, " node"]:
        """What every explained node reads, in graph order, when `writes` are added; constants are left out."""
        run = _Layers(self, writes)
        start = [Steer(place(Site("embed"), w.pos), w.vector) for w in writes if w.point == 0]
        with torch.no_grad(), intervene(self.model, [*start, *self.freezes, *run.functions()]):
            self.model(self.tokens)
        out = self.frozen.embed.new_zeros(len(self.graph.nodes))
        for node, read in self.reads.items():
            out[node] = (read.vector * run.seen[read.point]).sum()
        return out


class _Layers:
    """The functions that hold one run's layers and note the stream at every point."""

    def __init__(self, base: FrozenRun, writes: Sequence[Write]):
        self.base, self.writes = base, writes
        self.seen: dict[int, Tensor] = {}
        self._input: dict[int, Tensor] = {}

    def functions(self) -> list[Function]:
        """One for each place that is noted or held."""
        found = []
        for i, layer in enumerate(self.base.frozen.layers):
            found.append(self._at("resid_pre", i, self._before))
            if self._heads(i) is not None:
                found.append(self._at("z", i, self._hold_heads))
            if not layer.parallel:
                found.append(self._at("attn_out", i, self._attended))
            found += [self._at("mlp_in", i, self._note_input), self._at("mlp_out", i, self._hold_mlp)]
            found.append(self._at("resid_post", i, self._after))
        return found

    def _at(self, kind: str, layer: int, change: Any) -> Function:
        return Function(Site(kind, layer), lambda value: change(value, layer))

    def _heads(self, layer: int) -> Tensor | None:
        pattern = self.base.frozen.layers[layer].attn.pattern
        return self.base.places.sources.taken(layer, (pattern.shape[0], pattern.shape[1]))

    def _add(self, value: Tensor, *at: int) -> Tensor:
        """The value with every write of these points added."""
        for w in self.writes:
            if w.point in at and w.point > 0:
                value = value.clone()
                value[0, w.pos] += w.vector.to(value)
        return value

    def _note(self, point: int, value: Tensor) -> None:
        self.seen[point] = value[0].to(self.base.frozen.embed)

    def _before(self, value: Tensor, layer: int) -> Tensor:
        self._note(points.attention_reads(layer), value)
        return value

    def _hold_heads(self, value: Tensor, layer: int) -> Tensor:
        clean, taken = self.base.record[Site("z", layer).name], self._heads(layer)
        assert taken is not None
        return torch.where(taken.T[None, :, :, None], clean, value)

    def _attended(self, value: Tensor, layer: int) -> Tensor:
        at, stream = self.base.frozen.layers[layer], self.seen[points.attention_reads(layer)].to(value)
        value = self._add(value, points.mid(layer))
        self._note(points.mid(layer), stream + value)
        if at.mid is not None:
            value = self._add(at.stream_mid[None].to(value) - stream, points.behind(points.mid(layer)))
        self._note(points.mlp_reads(layer, False), stream + value)
        return value

    def _note_input(self, value: Tensor, layer: int) -> Tensor:
        self._input[layer] = value
        return value

    def _hold_mlp(self, value: Tensor, layer: int) -> Tensor:
        clean, mlp = self.base.record[Site("mlp_out", layer).name], self.base.frozen.layers[layer].mlp
        skip = self._skip(layer)
        return clean.clone() if skip is None or mlp.after_post else clean + skip.to(clean)  # type: ignore[union-attr]

    def _skip(self, layer: int) -> Tensor | None:
        """What the dictionary's skip connection makes of the movement of its input."""
        at = self.base.frozen.layers[layer]
        if not isinstance(at.mlp, Latents) or at.mlp.W_skip is None:
            return None
        if at.mlp.raw:
            moved = self.seen[points.mlp_reads(layer, at.parallel)] - at.stream_mid
        else:
            moved = self._input[layer] - self.base.record[Site("mlp_in", layer).name]
        return moved.to(at.mlp.W_skip) @ at.mlp.W_skip.T

    def _after(self, value: Tensor, layer: int) -> Tensor:
        at, mlp = self.base.frozen.layers[layer], self.base.frozen.layers[layer].mlp
        skip = self._skip(layer)
        if isinstance(mlp, Latents) and mlp.after_post and skip is not None:
            value = value + skip.to(value)
        value = self._add(value, points.mlp_writes(layer))
        self._note(points.mlp_writes(layer), value)
        if at.post is not None:
            clean = self.base.record[Site("resid_post", layer).name]
            value = self._add(clean.clone(), points.behind(points.mlp_writes(layer)))
        if layer == len(self.base.frozen.layers) - 1:
            self._note(points.final(layer + 1), value)
        return value


def frozen_run(model: "TransformerBridge", graph: CircuitGraph, dictionaries: Sequence[Any] = ()) -> FrozenRun:
    """The held run of a graph, made with the same dictionaries."""
    from circuits.attribution.refreeze import refreeze

    with torch.no_grad():
        return FrozenRun(model, Places(refreeze(model, graph, dictionaries), graph))
