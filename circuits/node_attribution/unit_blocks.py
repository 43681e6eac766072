"""Scores of the edges from and to chosen units of MLPs, a block of senders and receivers at a time.

A unit is followed back through its own MLP (or encoder) and norm to the stream that it alone reads; what it writes is carried to
whoever reads later.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from circuits.edge_attribution.components import Components
from circuits.edge_attribution.estimate import TwoRuns
from circuits.edge_attribution.gradients import Backward
from circuits.node_attribution.passes import Pass
from probe.dictionaries.owners import owner_name
from probe.errors import BadInput
from probe.interventions.forward import per_token, read_run
from probe.interventions.unit_edits import encoded
from probe.model.anatomy import anatomy
from probe.model.sites import Site, parse_site
from probe.model.unit_names import unit_name
from probe.model.writes import mlp_writes_through, norm_of, wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Block = tuple[list[str], list[str], Float[Tensor, "batch sender receiver"]]


@dataclass(frozen=True, eq=False)
class Chosen:
    """Units of one layer's MLP that are nodes. W: what each writes to the stream. dictionary: of latents, theirs."""

    layer: int
    numbers: list[int]
    W: Float[Tensor, "unit d_model"]
    dictionary: Any = None

    @property
    def names(self) -> list[str]:
        """`L5N120` or `L5F650`."""
        kind = "neuron" if self.dictionary is None else "latent"
        return [unit_name(kind, self.layer, number) for number in self.numbers]

    @property
    def site(self) -> Site:
        """What the units are made from (latents), or where they stand (neurons)."""
        return Site("mlp_post" if self.dictionary is None else "mlp_in", self.layer)

    def values(self, held: dict[str, Tensor]) -> Float[Tensor, "batch pos unit"]:
        """Their activations in a run."""
        value = per_token(held[self.site.name])
        return wide(value if self.dictionary is None else encoded(self.dictionary, value))[..., self.numbers]


def units_of(model: "TransformerBridge", layer: int, numbers: list[int], dictionary: Any) -> Chosen:
    W, _ = mlp_writes_through(model, layer)
    if norm_of(model, "ln2_post", layer, W) is not None:
        raise BadInput(
            f"What the MLP of layer {layer} writes passes a norm, so no unit's write reaches the stream as it is. Take whole "
            "MLPs: eap, or atp for the units by themselves."
        )
    if dictionary is not None:
        ends = [parse_site(dictionary.site_in), *map(parse_site, dictionary.sites_out)]
        if ends != [Site("mlp_in", layer), Site("mlp_out", layer)]:
            raise BadInput(
                f"{owner_name(dictionary)} is no transcoder of one MLP (from mlp_in.{layer} to mlp_out.{layer}); edges of "
                "latents are of such alone."
            )
        W = wide(dictionary.W_dec) * anatomy(model).factors.get(Site("mlp_write", layer), 1.0)
    return Chosen(layer, numbers, W[numbers], dictionary)


def edges_of(runs: TwoRuns, chosen: list[Chosen]) -> Iterator[Block]:
    """Scores of every edge from and to these units, a block of senders and receivers at a time."""
    layout, run = runs.made.layout, runs.gradient(runs.clean)
    moves = _moves(runs, chosen)
    back = _Back(runs, chosen, run)
    for at, one in enumerate(chosen):
        read = back.to_stream(one)  # batch unit pos d_model
        n = layout.before(one.layer, "mlp")
        score = einsum(runs.change[:, :n], read, "b sender pos d, b unit pos d -> b sender unit")
        yield layout.senders[:n], one.names, score
        for i, other in enumerate(chosen[:at]):
            if layout.mlp_of(other.layer) < n:
                yield other.names, one.names, _carried(moves[i], other.W, read)
        for reader in runs.made.readers:
            if layout.before(reader.layer, reader.side) > layout.mlp_of(one.layer):
                names = layout.receivers[layout.reading(reader.layer, reader.side)]
                yield one.names, names, _carried(moves[at], one.W, run.received(reader))


def _carried(
    move: Float[Tensor, "batch pos unit"],
    W: Float[Tensor, "unit d_model"],
    read: Float[Tensor, "batch some pos d_model"],
) -> Float[Tensor, "batch unit some"]:
    reach = einsum(read, W.to(read), "b some pos d, unit d -> b some pos unit")
    return einsum(move.to(reach), reach, "b pos unit, b some pos unit -> b unit some")


def _moves(runs: TwoRuns, chosen: list[Chosen]) -> list[Float[Tensor, "batch pos unit"]]:
    sites = {one.site for one in chosen}
    corrupted, clean = (read_run(runs.model, tokens, sites)[1] for tokens in (runs.corrupted, runs.clean))
    return [one.values(corrupted) - one.values(clean) for one in chosen]


class _Back:
    """Gradients of the metric by units, brought to the stream that each alone reads."""

    def __init__(self, runs: TwoRuns, chosen: list[Chosen], run: Backward):
        self.made: Components = runs.made
        self.run = run
        layers = sorted({one.layer for one in chosen})
        kinds = {"mlp_in", *("mlp_post" if one.dictionary is None else "mlp_out" for one in chosen)}
        sites = [Site(kind, layer) for layer in layers for kind in sorted(kinds)]
        metric: Callable = lambda logits: runs.pairs.metric(logits, runs.some)  # noqa: E731
        self.graph = Pass(runs.model, runs.clean, sites, metric)
        self.at = self.graph.gradients(last=False)

    def to_stream(self, one: Chosen) -> Float[Tensor, "batch unit pos d_model"]:
        """Of each unit of a layer."""
        read = torch.stack([self._input(one, i) for i in range(len(one.numbers))], 1)
        reader = next(r for r in self.made.readers if r.layer == one.layer and r.side == "mlp")
        return reader.back(read, self.run.held)

    def _input(self, one: Chosen, i: int) -> Float[Tensor, "batch pos d_model"]:
        """At what the MLP reads."""
        unit, before = one.numbers[i], Site("mlp_in", one.layer)
        if one.dictionary is None:
            g = self.at[one.site.name]
            weight = torch.zeros_like(g)
            weight[..., unit] = g[..., unit]
            return self.graph.through(before, one.site, weight)
        slope = per_token(self.at[Site("mlp_out", one.layer).name]) @ wide(one.dictionary.W_dec)[unit].to(
            self.at[before.name]
        )
        with torch.enable_grad():
            x = self.graph.value_at(before).to(one.dictionary.W_enc).requires_grad_()
            value = one.dictionary.encode(x)[..., unit]
            (found,) = torch.autograd.grad(value, x, slope.to(value))
        return wide(found).to(slope)


def listed(blocks: Iterator[Block]) -> tuple[tuple[list[str], list[str]], Float[Tensor, "batch edge"]]:
    """All blocks as one list of edges."""
    senders, receivers, scores = [], [], []
    for froms, tos, score in blocks:
        senders += [name for name in froms for _ in tos]
        receivers += [name for _ in froms for name in tos]
        scores.append(score.flatten(1))
    return (senders, receivers), torch.cat(scores, 1)
