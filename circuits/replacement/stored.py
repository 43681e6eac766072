"""Which stored dictionaries can stand in a graph of a model, as their manifests say; nothing is loaded."""

from circuits.replacement.placement import canonical, place_of
from probe.artifacts.manifest import Manifest
from probe.artifacts.stored import library
from probe.errors import BadInput
from probe.model.sites import parse_site


def fitting(model: str) -> list[str]:
    """Names of the stored dictionaries of a model that can stand in its graphs, newest first."""
    return [manifest.name for manifest, _ in _fitting(model)]


def newest_transcoders(model: str) -> list[str]:
    """Names of the newest transcoders, one a layer: latents where there are any."""
    taken: set[int] = set()
    names = []
    for manifest, layers in _fitting(model):
        if "transcoder" in str(manifest.facts.get("dictionary_kind", "")) and not taken & set(layers):
            taken |= set(layers)
            names.append(manifest.name)
    return names


def _fitting(model: str) -> list[tuple[Manifest, list[int]]]:
    """With the layers that each stands in."""
    mine = [m for _, m in library("dictionary").kinds["dictionary"] if m.model and m.model.name == model]
    return [(manifest, layers) for manifest in mine if (layers := _layers(manifest))]


def _layers(manifest: Manifest) -> list[int]:
    """The layers that it stands in; none where it cannot stand in a graph."""
    facts = manifest.facts
    sides = [facts.get(f"sites_{side}") or [facts.get(f"site_{side}", "")] for side in ("in", "out")]
    try:
        reads, writes = ([canonical(parse_site(str(site))) for site in side] for side in sides)
    except BadInput:
        return []
    across = facts.get("dictionary_kind") == "cross_layer_transcoder"  # which has a part for each layer
    stands = across or place_of(reads, writes) is not None
    return [one.layer for one in reads if one.layer is not None] if stands else []
