"""What feature tables say of a graph's units: the one that knows a neuron or a latent, and the tokens it stands for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from circuits.graph.graph import KINDS, CircuitGraph

if TYPE_CHECKING:
    from probe.features import FeatureTable, Unit


def unit_of(graph: CircuitGraph, node: int, tables: "Sequence[FeatureTable]") -> "Unit | None":
    """What the first table that knows this neuron or latent says of it."""
    kind, layer, unit = KINDS[graph.nodes.kind[node]], int(graph.nodes.layer[node]), int(graph.nodes.unit[node])
    slots = (str(layer), f"resid_mid.{layer}", f"resid_post.{layer}")
    names = {graph.dictionaries[s] for s in slots if s in graph.dictionaries}
    for table in tables:
        if table.kind != kind or (kind == "latent" and table.manifest.facts["source"] not in names):
            continue
        at = layer + 1 if _reads_resid_pre(table) else layer  # resid_pre of a layer is resid_post of the one before
        first = next((f for f, of in table.manifest.facts["layers"] if of == at), None)
        if first is not None and unit >= 0 and first + unit < table.n_units and table.layer(first + unit) == (at, unit):
            return table.unit(first + unit)
    return None


def tops_of(graph: CircuitGraph, tables: "Sequence[FeatureTable]", k: int = 5) -> dict[int, list[str]]:
    """The k tokens that each unit promotes and the k it fires at, by node, as `suggest_supernodes` takes them."""
    tops = {}
    for node in (int(i) for i in np.flatnonzero(graph.nodes.where("neuron", "latent"))):
        if (unit := unit_of(graph, node, tables)) is not None:
            tops[node] = [t.token for t in [*unit.promoted[:k], *unit.measured[:k]]]
    return tops


def _reads_resid_pre(table: "FeatureTable") -> bool:
    sites = table.manifest.sites
    return table.kind == "latent" and len(sites) == 1 and sites[0].endswith("hook_resid_pre")
