"""Whose a latent is: the layer its dictionary reads, which is the layer in its name (`L4F650`), and what tells two dictionaries
of one layer apart."""

from collections.abc import Sequence
from typing import Any

from probe.model.sites import parse_site
from probe.model.unit_names import UnitName, as_text


def layer_read(dictionary: Any) -> int | None:
    """The layer that a latent's name gives: where its dictionary (or a part of one) reads first."""
    sites = getattr(dictionary, "sites_in", None) or (dictionary.site_in,)
    return parse_site(sites[0]).layer


def parts_of(dictionary: Any) -> tuple[Any, ...]:
    """The parts of a cross-layer transcoder, one for each layer it reads, each with latents of its own; any other as it is."""
    return tuple(getattr(dictionary, "parts", ())) or (dictionary,)


def part_with(dictionary: Any, unit: Any) -> tuple[Any, Any, int]:
    """The part of a cross-layer transcoder that has a latent, the latent there, and how many stand before that part. It is given
    by its name, or by its number through all parts. Of any other dictionary both as they are."""
    parts, before = parts_of(dictionary), 0
    named = UnitName.parse(text) if isinstance(text := as_text(unit), str) else None
    for part in parts if len(parts) > 1 else ():
        if named is not None and layer_read(part) == named.layer:
            return part, unit, before
        if isinstance(unit, int) and before <= unit < before + part.d_dict:
            return part, unit - before, before
        before += part.d_dict
    return dictionary, unit, 0


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
