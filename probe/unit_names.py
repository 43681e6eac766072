"""How a unit is written: `L5H3` a head, `L5N120` an MLP neuron, `L5F650` a dictionary's latent, `@3` at one position.

    unit_name("latent", 4, 650, pos=3)      L4F650@3

The field's own forms (SAELens, Neuronpedia and papers number layers and units so). A latent is known by its layer and number only
beside its dictionary: where latents of two dictionaries of one layer stand in one list, `owner_names` says whose each is.
"""

from collections.abc import Sequence
from typing import Any

LETTERS = {"head": "H", "neuron": "N", "latent": "F"}
"""The letter of each kind of unit that has a number."""
KINDS_BY_LETTER = {letter: kind for kind, letter in LETTERS.items()}


def unit_name(kind: str, layer: int | None, unit: int, pos: int | slice | None = None, dictionary: str = "") -> str:
    """`L5N120`, `L5N120@3`, `L5N120@3:`, `L5F650 of NAME`; `L5N?` where a file does not know the unit's number."""
    number = str(unit) if unit >= 0 else "?"
    return f"L{layer}{LETTERS[kind]}{number}{position_name(pos)}" + (f" of {dictionary}" if dictionary else "")


def position_name(pos: int | slice | None) -> str:
    """`@3` for a position, `@4:9` and `@4:` for a range, nothing for all of them."""
    if pos is None:
        return ""
    if isinstance(pos, int):
        return f"@{pos}"
    return f"@{'' if pos.start is None else pos.start}:{'' if pos.stop is None else pos.stop}"


def place_name(where: Any) -> str:
    """`L9H6`, `L5N120@3`, `resid_post.6@2:`: a place of the model as people write it."""
    site, layer = where.site.short, where.site.layer
    if where.head is not None:
        site = unit_name("head", layer, where.head)
    if where.unit is not None:
        site = unit_name("neuron", layer, where.unit) if where.site.kind == "mlp_post" else f"{site}[{where.unit}]"
    return site + position_name(where.pos)


def layer_read(dictionary: Any) -> int | None:
    """The layer that a latent's name gives: where its dictionary (or a part of one) reads first."""
    from probe.sites import parse_site

    sites = getattr(dictionary, "sites_in", None) or (dictionary.site_in,)
    return parse_site(sites[0]).layer


def owner_name(dictionary: Any) -> str:
    """What tells a dictionary from another of its layer: its artifact's name, or the site it reads."""
    from probe.sites import parse_site

    sites = getattr(dictionary, "sites_in", None) or (dictionary.site_in,)
    return str(getattr(dictionary, "name", "")) or f"the dictionary at {parse_site(sites[0]).short}"


def owner_names(dictionaries: Sequence[Any]) -> list[str]:
    """For each dictionary its name where another one of the list stands in the same layer, and nothing elsewhere."""
    by_layer: dict[int | None, set[int]] = {}
    for one in dictionaries:
        by_layer.setdefault(layer_read(one), set()).add(id(one))
    return [owner_name(one) if len(by_layer[layer_read(one)]) > 1 else "" for one in dictionaries]
