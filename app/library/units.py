"""Which unit an address means, and what is at hand about it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app import links
from app.library import labels, models
from app.library.artifacts import library, registered
from app.library.models import require_offered, short_model
from app.library.tables import open_table
from app.selection import Selection
from probe.artifacts.json import Json
from probe.artifacts.manifest import Manifest, read_manifest
from probe.errors import BadInput, OpenworkError, Unavailable
from probe.features.overview import latent_tables, neuron_tables
from probe.model.sites import Site, parse_site
from probe.model.sizes import model_size
from probe.model.unit_names import UnitName, unit_name

if TYPE_CHECKING:
    from probe.features.unit import Unit

_BY_LAYER = "cross_layer_transcoder"  # as `probe.dictionaries` calls it, which comes with torch


@dataclass(frozen=True)
class PageUnit:
    """The unit of an address. source, where, number: as in the address. row: its number in `table`, the stored table that has it,
    if there is one. dictionary: the name of a latent's dictionary; layer: of a neuron, or that its dictionary reads; within: its
    number there, where that is another (of a cross-layer transcoder)."""

    source: str
    where: str
    number: int
    kind: str
    model: str
    layer: int
    dictionary: str | None = None
    table: str | None = None
    row: int | None = None
    within: int | None = None

    @property
    def unit(self) -> UnitName:
        """The unit as methods, commands and graphs name it."""
        return UnitName(self.layer, self.kind, self.number if self.within is None else self.within)

    @property
    def name(self) -> str:
        """`L5N120`, `L4F650`."""
        return str(self.unit)

    @property
    def measured(self) -> "Unit | None":
        """What its table holds of it."""
        return open_table(self.table).unit(self.row) if self.table is not None and self.row is not None else None

    @property
    def named(self) -> Json:
        """The unit as the arguments of a method: its name, and its dictionary."""
        return {"unit": self.name, **({"dictionary": self.dictionary} if self.dictionary else {})}

    def href(self, number: int | None = None, layer: int | None = None, **chosen: object) -> str:
        """The address of this unit, or of another beside it, with the selection kept."""
        unit = self.number if number is None else number
        chosen = {k: v for k, v in chosen.items() if k not in ("unit", "model")}
        if self.source == "table":
            return links.unit_page(self.where, unit, **chosen)
        if self.source == "latent":
            return links.latent_page(self.where, unit, **chosen)
        return links.neuron_page(self.model, self.layer if layer is None else layer, unit, **chosen)


def label_of(found: PageUnit) -> str:
    """What a unit is called: the best label of its table, else of any other table that has it (`app.library.labels`)."""
    own = open_table(found.table).labels.get(found.row or 0, []) if found.table else []
    if own:
        return own[0].text
    owner = found.model if found.kind == "neuron" else str(found.dictionary or "")
    return labels.label_of(found.kind, owner, found.layer, found.number)


def unit_at(source: str, where: str, number: str, query: dict[str, str]) -> PageUnit:
    """What an address names. BadInput where there is no such table, dictionary, model or unit."""
    if len(number) > 9:
        raise BadInput(f"There is no unit {number[:20]}…")
    unit = int(number)
    if source == "table":
        return _in_table(where, unit)
    return _neuron(where, unit, query.get("m", "")) if source == "neuron" else _latent(where, unit)


def _in_table(name: str, unit: int) -> PageUnit:
    table = open_table(name)
    _require("Unit", unit, table.n_units, name, "units")
    layer, number = table.layer(unit)
    model = table.manifest.model.name if table.manifest.model else ""
    at: dict[str, Any] = {"source": "table", "where": name, "model": model, "layer": layer, "table": name, "row": unit}
    if table.kind == "neuron":
        return PageUnit(kind="neuron", number=number, **at)
    return PageUnit(kind="latent", number=unit, within=number, dictionary=str(table.manifest.facts["source"]), **at)


def _neuron(where: str, unit: int, model: str) -> PageUnit:
    require_offered(model)
    if not where.isdecimal() or len(where) > 4:
        raise BadInput(f"'{where[:20]}' is no layer; an address of a neuron ends in LAYER/NUMBER.")
    layer, size = int(where), model_size(model)
    if size and not (layer < size.layers and unit < size.d_mlp):
        raise BadInput(
            f"There is no {unit_name('neuron', layer, unit)}: {short_model(model)} has layers 0 to {size.layers - 1}, each with "
            f"neurons 0 to {size.d_mlp - 1:,}."
        )
    table = next((n for n, m in neuron_tables(model) if m.facts.get("layers") == [[0, layer]]), None)
    if table is not None:
        _require("Neuron", unit, open_table(table).n_units, "this layer", "neurons")
    at: dict[str, Any] = {"source": "neuron", "where": where, "model": model, "layer": layer, "number": unit}
    return PageUnit(kind="neuron", table=table, row=unit if table else None, **at)


def _latent(where: str, unit: int) -> PageUnit:
    manifest = read_manifest(registered("dictionary", where), "dictionary")
    sites, n = input_sites(manifest), manifest.facts.get("d_dict")
    if not isinstance(n, int):
        raise Unavailable(f"The manifest of {where} does not say how many latents it has; make it again.")
    _require("Latent", unit, n, where, "latents")
    table = next((name for name, m in latent_tables(where)), None)
    part, within = divmod(unit, n // len(sites)) if manifest.facts.get("dictionary_kind") == _BY_LAYER else (0, unit)
    model, layer = manifest.model.name if manifest.model else "", sites[part].layer or 0
    at: dict[str, Any] = {
        "source": "latent",
        "where": where,
        "model": model,
        "layer": layer,
        "number": unit,
        "within": within,
    }
    return PageUnit(kind="latent", dictionary=where, table=table, row=unit if table else None, **at)


def _require(what: str, unit: int, n: int, where: str, units: str) -> None:
    if not 0 <= unit < n:
        raise BadInput(f"{what} {unit:,} was asked for; {where} has {units} 0 to {n - 1:,}.")


def input_sites(manifest: Manifest) -> list[Site]:
    """What a dictionary reads. Unavailable where its manifest does not say."""
    one = manifest.facts.get("site_in")
    sites = manifest.facts.get("sites_in") or ([one] if one else [])
    if not isinstance(sites, list) or not sites:
        raise Unavailable(f"The manifest of {manifest.name} does not say what it reads; make it again.")
    return [parse_site(str(site)) for site in sites]


def stale(found: PageUnit) -> str | None:
    """Why what is shown may not be this model's: the table was made from other weights than those at hand; None where it fits."""
    if found.table is None:
        return None
    made = open_table(found.table).manifest.model
    others = [m.model for folder, m in library().kinds["dictionary"] if folder.name == found.dictionary]
    for other in [*others, models.stamp_in_memory(found.model)]:
        if made and other and (other.weights, other.tokenizer) != (made.weights, made.tokenizer):
            return (
                f"{found.table} was measured on other weights ({made.name}, {made.weights[:12]}) than those at hand "
                f"({other.name}, {other.weights[:12]}). Its numbers are of the other model; build the table again."
            )
    return None


def latent_number(dictionary: str, unit: UnitName) -> int:
    """The number of a latent through all parts of its dictionary, as addresses have it."""
    found = number_in(read_manifest(registered("dictionary", dictionary), "dictionary"), unit)
    return unit.unit if found is None else found


def number_in(manifest: Manifest, unit: UnitName) -> int | None:
    """The number of a latent of this name in a dictionary; None where it has no such latent, or does not say."""
    try:
        layers = [site.layer for site in input_sites(manifest)]
    except OpenworkError:
        return None
    n, parts = manifest.facts.get("d_dict"), len(layers) if manifest.facts.get("dictionary_kind") == _BY_LAYER else 1
    if not isinstance(n, int) or unit.layer not in layers[:parts] or unit.unit >= n // parts:
        return None
    return layers.index(unit.layer) * (n // parts) + unit.unit


def unit_of(args: dict[str, str]) -> PageUnit:
    """The unit of a page, from what its store holds."""
    return unit_at(args["source"], args["where"], str(args["unit"]), {"m": args.get("model", "")})


def how_many(found: PageUnit) -> int | None:
    """How many units there are where this one is; None where that is not known without loading the model."""
    if found.source == "table" or (found.kind == "neuron" and found.table):
        return open_table(str(found.table)).n_units
    if found.kind == "latent":
        return int(read_manifest(registered("dictionary", found.where), "dictionary").facts.get("d_dict", 0))
    size = model_size(found.model)
    return size.d_mlp if size else None


def layers_beside(found: PageUnit, kept: Selection) -> list[tuple[str, int, str]]:
    """The same number a layer up and down: `up` or `down`, the layer, the address."""
    size = model_size(found.model)
    if found.kind != "neuron" or size is None:
        return []
    pairs = [("down", found.layer - 1), ("up", found.layer + 1)]
    return [
        (way, layer, links.neuron_page(found.model, layer, found.number, **kept))
        for way, layer in pairs
        if 0 <= layer < size.layers and found.number < size.d_mlp
    ]
