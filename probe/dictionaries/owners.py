"""Whose a latent is: the layer its dictionary reads, which is the layer in its name (`L4F650`), and what tells two dictionaries
of one layer apart."""

from collections.abc import Sequence
from typing import Any

from probe.model.sites import parse_site


def layer_read(dictionary: Any) -> int | None:
    """The layer that a latent's name gives: where its dictionary (or a part of one) reads first."""
    sites = getattr(dictionary, "sites_in", None) or (dictionary.site_in,)
    return parse_site(sites[0]).layer


def owner_name(dictionary: Any) -> str:
    """What tells a dictionary from another of its layer: its artifact's name, or the site it reads."""
    sites = getattr(dictionary, "sites_in", None) or (dictionary.site_in,)
    return str(getattr(dictionary, "name", "")) or f"the dictionary at {parse_site(sites[0]).short}"


def owner_names(dictionaries: Sequence[Any]) -> list[str]:
    """For each dictionary its name where another one of the list stands in the same layer, and nothing elsewhere."""
    by_layer: dict[int | None, set[int]] = {}
    for one in dictionaries:
        by_layer.setdefault(layer_read(one), set()).add(id(one))
    return [owner_name(one) if len(by_layer[layer_read(one)]) > 1 else "" for one in dictionaries]
