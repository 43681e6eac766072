"""Test a graph against the model itself: hold everything the graph calls frozen, change one source, watch every target.

The model runs its own forward pass, with attention patterns, norm divisors and MLP outputs held at their recorded values by
hooks (a dictionary's skip stays alive). One source's write is added `factor` times more. If the graph is right, every target
moves by exactly `factor` times its edge from that source. The factor makes the added write a thousand times as long as the
residual stream it joins: the held model is linear, and a small source's movement must not drown in the rounding of large
values. This shares no code with the sweep that made the edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from circuits.attribution import dictionaries_by_layer
from circuits.frozen import FrozenModel, Latents, freeze
from circuits.graph import KINDS, CircuitGraph
from probe.forward import capture
from probe.interventions import Freeze, Function, Steer, intervene, place
from probe.sites import Site, hook_name

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class EdgeCheck:
    """sources: the nodes that were changed. error: for each, the largest |movement - edge| over all targets, divided by the
    largest |edge| from it. worst: the largest of these."""

    sources: list[str]
    error: list[float]
    n_targets: int

    @property
    def worst(self) -> float:
        """Largest relative error over sources."""
        return max(self.error, default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"sources": self.sources, "error": self.error, "worst": self.worst, "n_targets": self.n_targets}


_HELD = ("pattern", "ln1_scale", "ln1_post_scale", "ln2_scale", "ln2_post_scale", "final_scale")


def check_edges(
    model: "TransformerBridge", graph: CircuitGraph, *, dictionaries: Sequence[Any] = (), n: int = 10, seed: int = 0
) -> EdgeCheck:
    """Strengthen `n` random sources (units, leftovers, errors, tokens) that have outgoing edges; compare movements with edges."""
    generator = np.random.default_rng(seed)
    able = np.flatnonzero(graph.nodes.where("neuron", "latent", "rest", "error", "token"))
    able = able[np.isin(able, graph.edges.source)]
    chosen = np.sort(generator.choice(able, min(n, len(able)), replace=False))
    tokens = torch.tensor([graph.token_ids], device=model.W_E.device)
    by_layer = dictionaries_by_layer(model, dictionaries)
    with torch.no_grad():
        frozen = freeze(model, tokens, by_layer)
        run = _FrozenRun(model, frozen, tokens, graph)
        still = run.values(None, None)
        errors = [run.error(int(s), still) for s in chosen]
    return EdgeCheck([graph.name(int(s)) for s in chosen], errors, int(graph.explained.sum()))


class _FrozenRun:
    """Forward passes of the real model with everything held, and what the graph's targets read in them."""

    def __init__(self, model: "TransformerBridge", frozen: FrozenModel, tokens: Tensor, graph: CircuitGraph):
        self.model, self.frozen, self.tokens, self.graph = model, frozen, tokens, graph
        every = [Site(k, i) for k in _HELD[:-1] for i in range(graph.n_layers)] + [Site("final_scale")]
        held = [s for s in every if hook_name(s, model) is not None]
        mlps = [Site(k, i) for i in range(graph.n_layers) for k in ("mlp_in", "mlp_out")]
        self.record = capture(model, tokens, [*held, *mlps, *(Site("resid_post", i) for i in range(graph.n_layers))])
        self.held = [Freeze(s, self.record[s.name]) for s in held]
        self.readers = self._readers()

    def _readers(self) -> dict[int, tuple[np.ndarray, Tensor, Tensor]]:
        """Per layer: the explained nodes there, their positions and their reading vectors."""
        nodes, found = self.graph.nodes, {}
        for layer in np.unique(nodes.layer[self.graph.explained]):
            mine = np.flatnonzero(self.graph.explained & (nodes.layer == layer))
            pos, unit = (torch.from_numpy(a[mine].astype(np.int64)) for a in (nodes.pos, nodes.unit))
            if layer == self.graph.n_layers:
                W_U = self.frozen.W_U
                rows = (W_U[:, unit] - W_U.mean(1, keepdim=True)).T
            else:
                rows = self.frozen.layers[layer].mlp.readers(pos, unit)
            found[int(layer)] = (mine, pos, rows)
        return found

    def _mlp(self, layer: int, write: Tensor | None, pos: int) -> list[Any]:
        """The MLP of a layer held at its recorded output, plus `write` at `pos`, its dictionary's skip alive."""
        mlp, clean = self.frozen.layers[layer].mlp, self.record[Site("mlp_out", layer).name]
        seen: dict[str, Tensor] = {}

        def note(value: Tensor) -> Tensor:
            seen["x"] = value
            return value

        def hold(value: Tensor) -> Tensor:
            out = clean.clone()
            if write is not None:
                out[0, pos] += write.to(out)
            if isinstance(mlp, Latents) and mlp.W_skip is not None:
                out += (seen["x"] - self.record[Site("mlp_in", layer).name]) @ mlp.W_skip.T.to(out)
            return out

        return [Function(Site("mlp_in", layer), note), Function(Site("mlp_out", layer), hold)]

    def values(self, source: int | None, write: Tensor | None) -> Tensor:
        """What every explained node reads, in graph order, when `source` also writes `write`."""
        nodes = self.graph.nodes
        layer, pos = (int(nodes.layer[source]), int(nodes.pos[source])) if source is not None else (-2, 0)
        mlps = [e for i in range(self.graph.n_layers) for e in self._mlp(i, write if i == layer else None, pos)]
        added = [Steer(place(Site("embed"), pos), write)] if layer == -1 and write is not None else []
        sites = [Site("mlp_in", i) if i < self.graph.n_layers else Site("ln_final") for i in self.readers]
        with intervene(self.model, [*added, *self.held, *mlps]):
            read = capture(self.model, self.tokens, sites, stop=False)
        out = self.frozen.embed.new_zeros(len(nodes))
        for site, (mine, at, rows) in zip(sites, self.readers.values(), strict=True):
            out[torch.from_numpy(mine)] = (rows * read[site.name][0].to(rows)[at]).sum(1)
        return out

    def error(self, source: int, still: Tensor) -> float:
        """Largest difference between movement and edge, over the largest edge."""
        write = self._write(source)
        layer, pos = max(int(self.graph.nodes.layer[source]), 0), int(self.graph.nodes.pos[source])
        stream = self.record[Site("resid_post", layer).name][0, pos]
        factor = 1e3 * max(1.0, float(stream.norm() / write.norm().clamp_min(1e-30)))
        moved = ((self.values(source, factor * write) - still) / factor).double().cpu().numpy()
        edges = self.graph.outgoing(source)
        expected = np.zeros(len(self.graph.nodes))
        expected[edges.target] = edges.weight
        gap = np.abs(moved - expected)[self.graph.explained]
        return float(gap.max() / max(np.abs(expected).max(), 1e-30))

    def _write(self, source: int) -> Tensor:
        """The vector a source adds at its layer and position."""
        nodes = self.graph.nodes
        kind, layer = KINDS[nodes.kind[source]], int(nodes.layer[source])
        pos, unit = int(nodes.pos[source]), int(nodes.unit[source])
        if kind == "token":
            return self.frozen.embed[pos]
        mlp = self.frozen.layers[layer].mlp
        if kind == "error" and isinstance(mlp, Latents):
            return mlp.error[pos]
        if kind in ("neuron", "latent"):
            return mlp.writer[unit] * mlp.activation[pos, unit]
        left = mlp.activation[pos].clone()
        chosen = nodes.where("neuron", "latent") & (nodes.layer == layer) & (nodes.pos == pos)
        left[torch.from_numpy(nodes.unit[chosen].astype(np.int64))] = 0
        return left @ mlp.writer
