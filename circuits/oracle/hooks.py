"""One forward pass of the model with everything a graph calls frozen detached by hooks, for `circuits.oracle.rows`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.graph.graph import CircuitGraph
from circuits.replacement import points
from circuits.replacement.placement import Placed
from probe.errors import OpenworkError
from probe.interventions.running import intervene
from probe.interventions.values import Function
from probe.model.sites import Site, hook_name
from probe.model.writes import activation

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

FROZEN_PARTS = ("pattern", "norms", "mlps")
"What is held; leaving one out is for tests that must notice it."
_NORMS = ("ln1_scale", "ln1_post_scale", "ln2_scale", "ln2_post_scale")


@dataclass
class HookedRun:
    """What one hooked forward pass left behind, still attached to autograd.

    probes: the zeros added at each point. streams: the residual stream at each point that is read. seen: other sites, as they
    were before anything was detached. post: neurons with their ratios held. mixed: what each head mixed (`z`).
    """

    probes: dict[int, Float[Tensor, "1 pos d_model"]] = field(default_factory=dict)
    streams: dict[int, Float[Tensor, "1 pos d_model"]] = field(default_factory=dict)
    seen: dict[Site, Tensor] = field(default_factory=dict)
    post: dict[int, Float[Tensor, "1 pos d_mlp"]] = field(default_factory=dict)
    mixed: dict[int, Float[Tensor, "1 pos head d_head"]] = field(default_factory=dict)


@torch.enable_grad()
def hooked_run(
    model: "TransformerBridge",
    graph: CircuitGraph,
    tokens: Tensor,
    placed: Mapping[int, Placed],
    held: Sequence[str] = FROZEN_PARTS,
    *,
    whole: bool = False,
) -> HookedRun:
    """A forward pass with everything in `held` detached. whole: units stay alive, so that gradients take every path."""
    run, entries = HookedRun(), []
    made = _Hooks(model, graph, tokens, placed, run, whole)
    for i in range(graph.n_layers):
        entries += made.layer(i, held)
    entries += made.way_out(held)
    with intervene(model, entries):
        model(tokens)
    return run


class _Hooks:
    """The changes and readings of one live run, layer by layer."""

    def __init__(
        self,
        model: "TransformerBridge",
        graph: CircuitGraph,
        tokens: Tensor,
        placed: Mapping[int, Placed],
        run: HookedRun,
        whole: bool,
    ):
        self.model, self.graph, self.placed, self.run, self.whole = model, graph, placed, run, whole
        self.parallel = bool(model.cfg.parallel_attn_mlp)
        self.shape = (1, tokens.shape[1], int(model.cfg.d_model))

    def probe(self, point: int) -> Tensor:
        """A zero that gradients are taken with respect to."""
        like = self.model.W_U
        self.run.probes[point] = torch.zeros(self.shape, dtype=like.dtype, device=like.device, requires_grad=True)
        return self.run.probes[point]

    def _note(self, site: Site, value: Tensor) -> Tensor:
        self.run.seen[site] = value
        return value

    def _noting(self, kind: str, layer: int) -> list[Function]:
        site = Site(kind, layer)
        return [Function(site, lambda v: self._note(site, v))] if hook_name(site, self.model) is not None else []

    def _detached(self, kind: str, layer: int | None) -> list[Function]:
        site = Site(kind, layer)
        return [Function(site, Tensor.detach)] if hook_name(site, self.model) is not None else []

    def layer(self, i: int, held: Sequence[str]) -> list[Any]:
        """All entries of one block."""
        entries: list[Any] = [Function(Site("resid_pre", i), lambda v: self._before(i, v))]
        entries += self._detached("pattern", i) if "pattern" in held else []
        entries += [e for kind in _NORMS for e in self._detached(kind, i)] if "norms" in held else []
        entries.append(Function(Site("z", i), lambda v: self._heads(i, v)))
        if not self.parallel:
            entries.append(Function(Site("attn_out", i), lambda v: self._middle(i, v)))
        entries += [*self._noting("mlp_in", i), *self._noting("mlp_pre", i), *self._noting("mlp_pre_linear", i)]
        if "mlps" in held:
            if hook_name(Site("mlp_post", i), self.model) is not None:
                entries.append(Function(Site("mlp_post", i), lambda v: self._neurons(i, v)))
            entries += self._mlp_out(i)
        else:
            entries.append(Function(Site("mlp_post", i), lambda v: self.run.post.setdefault(i, v)))
        entries.append(Function(Site("resid_post", i), lambda v: self._after(i, v)))
        return entries

    def way_out(self, held: Sequence[str]) -> list[Any]:
        """The final norm and the logits."""
        sites = [s for s in (Site("ln_final"), Site("logits")) if hook_name(s, self.model) is not None]
        reading = [Function(s, lambda v, s=s: self._note(s, v)) for s in sites]
        return [*(self._detached("final_scale", None) if "norms" in held else []), *reading]

    def _before(self, i: int, value: Tensor) -> Tensor:
        value = value.detach() + self.probe(0) if i == 0 else value
        self.run.streams[points.attention_reads(i)] = value
        return value

    def _heads(self, i: int, value: Tensor) -> Tensor:
        """Heads that are nodes are read here and go no further."""
        self.run.mixed[i] = value
        nodes = self.graph.nodes
        mine = np.flatnonzero(nodes.where("head") & (nodes.layer == i))
        if not len(mine) or self.whole:
            return value
        taken = torch.zeros(value.shape[1:3], dtype=torch.bool, device=value.device)
        taken[
            torch.from_numpy(nodes.pos[mine].astype(np.int64)), torch.from_numpy(nodes.unit[mine].astype(np.int64))
        ] = True
        return torch.where(taken[None, :, :, None], value.detach(), value)

    def _middle(self, i: int, value: Tensor) -> Tensor:
        """Attention's write enters, and an SAE of resid_mid cuts the stream: what is added makes the sum what it must be."""
        before, point = self.run.streams[points.attention_reads(i)], points.mid(i)
        read = before + value + self.probe(point)
        self.run.streams[point] = read
        one = self.placed.get(i)
        after = (read.detach() if one is not None and one.at == "mid" else read) + self.probe(points.behind(point))
        self.run.streams[points.behind(point)] = after
        return after - before

    def _neurons(self, i: int, value: Tensor) -> Tensor:
        """Neurons with their ratio held. The values are the model's own, or the activation function is not what it says."""
        act = activation(self.model, i)
        gate, linear = self.run.seen[Site("mlp_pre", i)], self.run.seen.get(Site("mlp_pre_linear", i))
        ratio = torch.where(gate == 0, 0.5, act(gate) / torch.where(gate == 0, 1.0, gate)).detach()
        if linear is None:
            made = ratio * gate
        else:
            made = 0.5 * (act(gate).detach() * linear + (ratio * linear.detach()) * gate)
        if not float((made - value).detach().abs().max()) <= 1e-3 * max(float(value.detach().abs().max()), 1e-30):
            raise OpenworkError(
                f"Neurons of layer {i} are not what their ratios make of what they read; nothing was compared."
            )
        self.run.post[i] = made.view_as(value)
        return self.run.post[i]

    def _mlp_out(self, i: int) -> list[Any]:
        """The MLP's output, held where it is read last; a dictionary's skip stays alive where the dictionary writes."""
        one = self.placed.get(i)
        skip = one is not None and one.at == "mlp" and getattr(one.dictionary, "W_skip", None) is not None
        after = one is not None and one.at == "mlp" and one.write.kind == "mlp_write"

        def hold(site: Site, value: Tensor) -> Tensor:
            self._note(site, value)
            if self.whole:
                return value
            return value.detach() + (self._skip(one) if skip and one is not None else 0)

        last = Site("mlp_write" if after else "mlp_out", i)
        return [*(self._noting("mlp_out", i) if after else []), Function(last, lambda v: hold(last, v))]

    def _skip(self, one: Placed) -> Tensor:
        """The skip connection's part that moves, of value 0."""
        x = (
            self.run.streams[points.mlp_reads(one.layer, False)]
            if one.read.kind == "resid_mid"
            else self.run.seen[one.read]
        )
        return (x - x.detach()) @ one.dictionary.W_skip.to(x).T

    def _after(self, i: int, value: Tensor) -> Tensor:
        """The MLP's write enters (and a parallel block's attention), and an SAE of resid_post cuts the stream."""
        point = points.mlp_writes(i)
        read = value + self.probe(point)
        self.run.streams[point] = read
        one = self.placed.get(i)
        after = (read.detach() if one is not None and one.at == "post" else read) + self.probe(points.behind(point))
        self.run.streams[points.behind(point)] = after
        return after
