"""Which stored dictionaries can stand in a graph of a model, as their manifests say; nothing is loaded, and no torch.

Where one can stand follows from the sites that it reads and writes (`place_of`).
"""

from collections.abc import Sequence
from itertools import pairwise

from probe.artifacts.manifest import Manifest
from probe.artifacts.stored import library
from probe.errors import BadInput
from probe.model.sites import Site, parse_site

_READS, _WRITES = ("mlp_in", "resid_mid"), ("mlp_out", "mlp_write")


def newest_transcoders(model: str) -> list[str]:
    """Names of the newest transcoders of a model that can stand in its graphs, one a layer: latents where there are any."""
    mine = [m for _, m in library("dictionary").kinds["dictionary"] if m.model and m.model.name == model]
    taken: set[int] = set()
    names = []
    for manifest in mine:
        layers = set(_layers(manifest))
        if layers and "transcoder" in str(manifest.facts.get("dictionary_kind", "")) and not taken & layers:
            taken |= layers
            names.append(manifest.name)
    return names


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


def canonical(site: Site) -> Site:
    """resid_pre of a layer is resid_post of the one before."""
    return Site("resid_post", site.layer - 1) if site.kind == "resid_pre" and site.layer else site


def place_of(reads: Sequence[Site], writes: Sequence[Site]) -> str | None:
    """Where it stands, or None where it cannot."""
    read, layers = reads[0], [s.layer or 0 for s in writes]
    if len(reads) != 1 or read.layer is None or layers[0] != read.layer:
        return None
    if len(writes) == 1 and read == writes[0]:
        return {"resid_mid": "mid", "resid_post": "post", "mlp_out": "mlp", "mlp_write": "mlp"}.get(read.kind)
    kinds = {s.kind for s in writes}
    ascending = all(a < b for a, b in pairwise(layers))
    return "mlp" if read.kind in _READS and len(kinds) == 1 and kinds <= set(_WRITES) and ascending else None
