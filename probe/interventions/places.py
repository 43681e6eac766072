"""Where a change is made: part of a site, by its name or that of a unit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probe.errors import BadInput, brief
from probe.model.anatomy import anatomy
from probe.model.sites import Site, parse_site
from probe.model.unit_names import UnitName, nearly, place_name, require_unit
from probe.plain_values import look_at_config

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Where = "Site | str | UnitName | Place"


@dataclass(frozen=True)
class Place:
    """Part of a site: some positions (`pos`), some heads (`head`), some units of the last axis (`unit`). None means all.

    >>> ow.Place(ow.Site("z", 1), pos=-1, head=0) == ow.place("L1H0@-1")
    True
    """

    site: Site
    pos: int | slice | None = None
    head: int | None = None
    unit: int | None = None

    def __post_init__(self) -> None:
        look_at_config(self)


def place(where: "Site | str | UnitName | Place", pos: int | slice | None = None, unit: int | None = None) -> Place:
    """A place at a site, given by name or as a Site, or that of a unit by its name: `L5H3`, `L5N120@3`.

    >>> ow.place("resid_post.1", pos=3).site.short
    'resid_post.1'
    """
    if isinstance(where, Place):
        return where
    named = unit_at(where)
    if named is not None:
        return _place_of(named, pos)
    assert not isinstance(where, UnitName)
    return Place(parse_site(where), pos, None, unit)


def unit_at(where: Any) -> UnitName | None:
    """The unit that a text names; None for a site. BadInput for what is nearly a unit's name, and for what is no place."""
    if isinstance(where, Site):
        return None
    if isinstance(where, UnitName):
        return where
    if not isinstance(where, str):
        raise BadInput(
            f"A place is a unit by name like 'L5H3', a site like 'resid_post.5', or of head() or neuron(); {brief(where)} came."
        )
    named = UnitName.parse(where)
    if named is None and (meant := nearly(where)):
        raise BadInput(f"{brief(where)} names no place.{meant}")
    return named


def _place_of(named: UnitName, pos: int | slice | None) -> Place:
    at = named.pos if pos is None else pos
    if named.kind == "latent":
        raise BadInput(
            f"{named} is a latent, which is no place of the model: hand its dictionary to `intervene` or `edited_run` as "
            "dictionaries=[...]."
        )
    return head(named.layer, named.unit, at) if named.kind == "head" else neuron(named.layer, named.unit, at)


def head(layer: int, index: int, pos: int | slice | None = None) -> Place:
    """What one attention head has mixed, before its output matrix.

    >>> ow.head(1, 0) == ow.place("L1H0")
    True
    """
    return Place(Site("z", layer), pos, index)


def neuron(layer: int, unit: int, pos: int | slice | None = None) -> Place:
    """The activation of one MLP neuron.

    >>> ow.neuron(2, 5, pos=-1) == ow.place("L2N5@-1")
    True
    """
    return Place(Site("mlp_post", layer), pos, None, unit)


def where_name(where: "Site | str | UnitName | Place") -> str:
    """A place as people write it; what only a model or a dictionary can tell (`resid_post.-1`, `L4F650`) as it was written."""
    try:
        return place_name(place(where))
    except BadInput:
        return str(where)


def require_named_unit(where: Place, model: "TransformerBridge") -> None:
    """BadInput for a head or neuron the model lacks, by its name."""
    site, cfg = where.site, model.cfg
    if site.layer is None:
        return
    at = anatomy(model).spots.get(site)
    if where.head is not None and ("head" in site.axes or "kv_head" in site.axes):
        sizes = at.sizes if at else {}
        n = sizes.get("head", sizes.get("kv_head", cfg.n_heads))
        require_unit("head", site.layer, where.head, cfg.n_layers, int(n or 0))
    if where.unit is not None and site.kind == "mlp_post":
        n = at.sizes[site.axes[-1]] if at else cfg.d_mlp
        require_unit("neuron", site.layer, where.unit, cfg.n_layers, int(n or 0))
