"""A finished graph and its model, brought together again: the frozen model the graph was traced in, or a sentence why not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from circuits.attribution.sources import MLP, slot_units
from circuits.graph.checks import MAX_UNIT
from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.graph_arguments import read_graph
from circuits.replacement.freeze import freeze
from circuits.replacement.frozen import FrozenModel
from circuits.replacement.placement import dictionary_names, place_dictionaries
from probe.errors import BadInput
from probe.model.sites import Site, axis_size, layers_with

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LARGEST_GAP = 1e-2
"Relative difference of activations and logits above which a graph is not of this model."


def refreeze(model: "TransformerBridge", graph: CircuitGraph, dictionaries: Sequence[Any] = ()) -> FrozenModel:
    """The frozen model of a graph. dictionaries: those it was traced with.

    Raises BadInput where model or dictionaries are not the graph's: other layers, other vocabulary, other values.
    """
    read_graph(graph)  # which refuses a circuit of components: it has no prompt
    if graph.n_layers != model.cfg.n_layers or max(graph.token_ids, default=0) >= model.cfg.d_vocab:
        raise BadInput(
            f"The graph was traced in {graph.model or 'another model'}, which has {graph.n_layers} layers; the model given has "
            f"{model.cfg.n_layers} layers and {model.cfg.d_vocab} tokens. Load the graph's model."
        )
    _require_nodes(model, graph)
    placed = place_dictionaries(model, dictionaries)
    given = dictionary_names(placed)
    if set(given) != set(graph.dictionaries):
        raise BadInput(
            f"The graph was traced with dictionaries at {sorted(graph.dictionaries) or 'no layer'}, and those given stand at "
            f"{sorted(given) or 'no layer'}. Give the ones it was traced with."
        )
    frozen = freeze(model, torch.tensor([graph.token_ids], device=model.W_E.device), placed)
    gap = _difference(frozen, graph)
    if not gap <= LARGEST_GAP:
        raise BadInput(
            f"The graph's activations and targets differ from this model's by {gap:.1g} of the largest: it was traced with other "
            f"weights or dictionaries. Load {graph.model or 'its model'} and the dictionaries it names: "
            f"{graph.dictionaries or 'none'}."
        )
    return frozen


def _require_nodes(model: "TransformerBridge", graph: CircuitGraph) -> None:
    """Every node must be something this model has: a graph from a file may name anything."""
    nodes, cfg = graph.nodes, model.cfg
    there = [axis_size(Site("mlp_post", i), "d_mlp", model) for i in layers_with("mlp_post", model)]
    widths = {"head": cfg.n_heads, "neuron": max(there, default=0), "logit": cfg.d_vocab, "latent": MAX_UNIT}
    for kind, width in widths.items():
        mine = nodes.where(kind)
        bad = np.flatnonzero(mine & ((nodes.unit < 0) | (nodes.unit >= width)))
        if len(bad):
            raise BadInput(
                f"Node {bad[0]} of the graph is a {kind} with number {nodes.unit[bad[0]]}; this model has {width}."
            )
    lost = np.flatnonzero(nodes.where(*UNITS) & ((nodes.layer < 0) | (nodes.layer >= cfg.n_layers)))
    if len(lost):
        raise BadInput(
            f"Node {lost[0]} of the graph is a unit of layer {nodes.layer[lost[0]]}; layers are 0 to {cfg.n_layers - 1}."
        )
    if min(graph.token_ids, default=0) < 0:
        raise BadInput(f"The graph's prompt holds token {min(graph.token_ids)}; ids are 0 to {cfg.d_vocab - 1}.")


def _difference(frozen: FrozenModel, graph: CircuitGraph) -> float:
    """Largest difference of a unit's activation or a root's value from the model's, relative to the largest of the graph's."""
    from circuits.attribution.vectors import Places

    places = Places(frozen, graph)
    found, nodes = [], graph.nodes
    for slot in places.sources.slots:
        mine = places.sources.at(slot)
        pos, unit, ids = places.sources.pos[mine], places.sources.unit[mine], places.units[mine]
        units = slot_units(frozen, slot) or (frozen.layers[slot.layer].mlp if slot.role == MLP else None)
        if units is None or bool((unit < 0).any()):  # heads and whole MLPs have no activation
            continue
        if bool((unit >= units.activation.shape[1]).any()):
            return float("inf")
        found.append((units.activation[pos, unit].double().cpu().numpy(), nodes.activation[ids]))
    found.append((places.roots.value.double().cpu().numpy(), nodes.value[graph.roots]))
    gaps = [_gap(*pair) for pair in found]
    return max(gaps, default=0.0)


def _gap(model: np.ndarray, graph: np.ndarray) -> float:
    """Largest difference, relative to the graph's largest number; what a graph from elsewhere does not know is passed over."""
    known = ~np.isnan(graph)
    if not known.any():
        return 0.0
    gap = np.abs(model - graph)[known].max() / max(np.abs(graph[known]).max(), 1e-30)
    return float(np.nan_to_num(gap, nan=np.inf))
