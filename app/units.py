"""Units as the pages know them: which tables there are, what an address names, what is at hand about it, and how it is measured.

Opened tables are kept (they are memory-mapped, and remember what they were asked). Which model a unit belongs to is known by name
and fingerprint from manifests; no model is loaded here.
"""

import importlib
import shlex
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app import analyses, jobs, labelled, links
from app.analyses import Recent
from app.components.promptbox import check_model_name
from app.library import library, registered, short_model
from app.model_size import model_size
from probe.artifact import Manifest, ModelStamp, place, read_manifest
from probe.errors import BadInput, OpenworkError, Unavailable
from probe.sites import parse_site
from probe.stored import plain_file
from probe.unit_names import unit_name

if TYPE_CHECKING:
    from probe.features import FeatureTable

_tables: "Recent[tuple[int, FeatureTable]]" = Recent(6)
_facts: Recent[dict[str, Any]] = Recent(200)
_READER = "probe.features.table"


def warm() -> None:
    """Import what reads tables while somebody still chooses one: it brings torch, which takes seconds the first time."""
    if not warmed():
        threading.Thread(target=importlib.import_module, args=(_READER,), daemon=True).start()


def warmed() -> bool:
    """Is what reads tables imported? A module whose import is under way is in the list already, but without its functions."""
    return hasattr(sys.modules.get(_READER), "open_features")


def open_table(name: str) -> "FeatureTable":
    """A stored table by name, opened once. BadInput when there is none, Unavailable when it is damaged."""
    folder = registered("features", name)
    mark = _mark(folder)
    kept = _tables.get(folder)
    if kept is None or kept[0] != mark:
        from probe.features import open_features  # torch comes with it

        kept = _tables.put(folder, (mark, _checked(open_features(folder))))
    return kept[1]


def _checked(table: "FeatureTable") -> "FeatureTable":
    """A table whose columns can be read at both ends; one that was cut short says so now, not in a callback."""
    try:
        if table.n_units < 1:
            raise BadInput(f"{table.folder.name} holds no units.")
        for unit in (0, table.n_units - 1):
            table.unit(unit)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise Unavailable(
            f"{table.folder.name} is damaged ({type(error).__name__}: {str(error)[:80]}). Delete the folder and build it again."
        ) from error
    return table


def _mark(folder: Path) -> int:
    try:
        return (folder / "manifest.json").stat().st_mtime_ns
    except OSError as error:
        raise BadInput(f"{folder.name} has no manifest; build the table again.") from error


def table_facts(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """Numbers for a card, read without torch: units, tokens, share that never fired, middle density, how many have labels."""
    key = (folder, _mark(folder))
    if (found := _facts.get(key)) is None:
        found = _facts.put(key, _read_facts(folder, manifest))
    return found


def _read_facts(folder: Path, manifest: Manifest) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    facts = {"n_units": manifest.facts.get("n_units", 0), "tokens": manifest.facts.get("tokens", 0)}
    try:
        with safe_open(str(plain_file(folder / "units.safetensors")), framework="numpy") as columns:
            density = columns.get_tensor("density")
    except (OSError, SafetensorError, ValueError, OpenworkError) as error:
        return {**facts, "damaged": str(error)[:120]}
    alive = density[density > 0]
    return {
        **facts,
        "dead": float((density == 0).mean()) if len(density) else 0.0,
        "median": float(np.median(alive)) if len(alive) else 0.0,
    }


@dataclass(frozen=True)
class Looked:
    """The unit of an address. source, where, number: as in the address. row: its number in `table`, the stored table that has it,
    if there is one. dictionary: the name of a latent's dictionary; layer: of a neuron or a latent of one layer."""

    source: str
    where: str
    number: int
    kind: str
    model: str
    layer: int
    dictionary: str | None = None
    table: str | None = None
    row: int | None = None

    @property
    def name(self) -> str:
        """`L5N120`, `L4F650`; a latent of a cross-layer transcoder is named by its table."""
        if self.table is not None and self.row is not None:
            return open_table(self.table).name(self.row)
        return unit_name(self.kind, self.layer, self.number)

    @property
    def asked(self) -> dict[str, Any]:
        """What `looked_again` finds it by."""
        unit = self.row if self.source == "table" else self.number
        return {"source": self.source, "where": self.where, "unit": unit, "model": self.model}

    def href(self, number: int | None = None, layer: int | None = None, **chosen: Any) -> str:
        """The address of this unit, or of another beside it, with the selection kept."""
        unit = self.number if number is None else number
        chosen = {k: v for k, v in chosen.items() if k not in ("unit", "model")}
        if self.source == "table":
            return links.unit_page(self.where, unit, **chosen)
        if self.source == "latent":
            return links.latent_page(self.where, unit, **chosen)
        return links.neuron_page(self.model, self.layer if layer is None else layer, unit, **chosen)


def called(found: Looked) -> str:
    """What a unit is called: the best label of its table, else of any other table that has it (`app.labelled`)."""
    own = open_table(found.table).labels.get(found.row or 0, []) if found.table else []
    if own:
        return own[0].text
    owner = found.model if found.kind == "neuron" else str(found.dictionary or "")
    return labelled.label_of(found.kind, owner, found.layer, found.number)


def looked_up(source: str, where: str, number: str, query: dict[str, str]) -> Looked:
    """What an address names. BadInput where there is no such table, dictionary, model or unit."""
    if len(number) > 9:
        raise BadInput(f"There is no unit {number[:20]}…")
    unit = int(number)
    if source == "table":
        return _in_table(where, unit)
    return _neuron(where, unit, query.get("m", "")) if source == "neuron" else _latent(where, unit)


def _in_table(name: str, unit: int) -> Looked:
    table = open_table(name)
    if not 0 <= unit < table.n_units:
        raise BadInput(f"Unit {unit:,} was asked for; {name} holds units 0 to {table.n_units - 1:,}.")
    model = table.manifest.model.name if table.manifest.model else ""
    layer, number = table.layer(unit)
    learned = None if table.kind == "neuron" else str(table.manifest.facts["source"])
    if table.kind == "neuron":
        return Looked("table", name, number, "neuron", model, layer, None, name, unit)
    return Looked("table", name, unit, "latent", model, layer, learned, name, unit)


def _neuron(where: str, unit: int, model: str) -> Looked:
    check_model_name(model)
    if not where.isdecimal() or len(where) > 4:
        raise BadInput(f"'{where[:20]}' is no layer; an address of a neuron ends in LAYER/NUMBER.")
    layer, size = int(where), model_size(model)
    if size and not (layer < size.layers and unit < size.d_mlp):
        raise BadInput(
            f"There is no L{layer}N{unit}: {short_model(model)} has layers 0 to {size.layers - 1}, each with neurons 0 to "
            f"{size.d_mlp - 1:,}."
        )
    table = next((n for n, m in neuron_tables(model) if m.facts.get("layers") == [[0, layer]]), None)
    _require(unit, table)
    return Looked("neuron", where, unit, "neuron", model, layer, None, table, unit if table else None)


def _latent(where: str, unit: int) -> Looked:
    manifest = read_manifest(registered("dictionary", where), "dictionary")
    n, site = _width(manifest), _first_site(manifest)
    if not 0 <= unit < n:
        raise BadInput(f"Latent {unit:,} was asked for; {where} has latents 0 to {n - 1:,}.")
    table = next((name for name, m in latent_tables(where)), None)
    layer = parse_site(site).layer or 0
    model = manifest.model.name if manifest.model else ""
    return Looked("latent", where, unit, "latent", model, layer, where, table, unit if table else None)


def _width(manifest: Manifest) -> int:
    n = manifest.facts.get("d_dict")
    if not isinstance(n, int):
        raise Unavailable(f"The manifest of {manifest.name} does not say how many latents it has; make it again.")
    return n


def _first_site(manifest: Manifest) -> str:
    sites = manifest.facts.get("sites_in")
    if not isinstance(sites, list) or not sites:
        raise Unavailable(f"The manifest of {manifest.name} does not say what it reads; make it again.")
    return str(sites[0])


def _require(unit: int, table: str | None) -> None:
    if table is not None and not 0 <= unit < (n := open_table(table).n_units):
        raise BadInput(f"Neuron {unit:,} was asked for; this layer has neurons 0 to {n - 1:,}.")


def neuron_tables(model: str) -> list[tuple[str, Manifest]]:
    """Stored tables of a model's neurons, newest first."""
    return [
        (folder.name, m)
        for folder, m in library().kinds["features"]
        if m.facts.get("units") == "neuron" and m.model and m.model.name == model
    ]


def latent_tables(dictionary: str) -> list[tuple[str, Manifest]]:
    """Stored tables of a dictionary's latents, newest first."""
    return [
        (folder.name, m)
        for folder, m in library().kinds["features"]
        if m.facts.get("units") == "latent" and m.facts.get("source") == dictionary
    ]


def measurable(model: ModelStamp | None, wanted: Callable[[tuple[str, ...]], bool]) -> list[str]:
    """Names of stored caches of this model that hold the sites `wanted` asks for, newest first."""
    return [
        folder.name
        for folder, m in library().kinds["cache"]
        if m.model
        and model
        and (m.model.weights, m.model.tokenizer) == (model.weights, model.tokenizer)
        and wanted(m.sites)
    ]


def caches_for_dictionary(manifest: Manifest) -> list[str]:
    """Caches on which this dictionary's latents can be measured."""
    needed = {parse_site(site).name for site in manifest.facts.get("sites_in", ())}
    return measurable(manifest.model, lambda sites: bool(needed) and needed <= {parse_site(s).name for s in sites})


def neurons_in(manifest: Manifest) -> list[int]:
    """The layers whose neurons can be measured on a cache."""
    sites = [parse_site(s) for s in manifest.sites]
    return sorted({s.layer for s in sites if s.kind in ("mlp_post", "mlp_in") and s.layer is not None})


def start_table(model: str, what: str | int, cache: str) -> str:
    """Queue the building of a table of a dictionary's latents or a layer's neurons; its name."""
    name, named = f"{table_stem(what)}-on-{cache}", named_units(what)
    jobs.table().submit(
        "features",
        f"Measure {named} on {cache}",
        lambda p: build(model, what, cache, name, p),
        key=f"features:{name}",
        link=links.table_page(name),
        again=["table", {"model": model, "what": what, "cache": cache}],
    )
    return name


def table_stem(what: str | int) -> str:
    """How the name of a table begins: its dictionary, or `neurons-4`."""
    return what if isinstance(what, str) else f"neurons-{what}"


def named_units(what: str | int) -> str:
    """The units of a table in words."""
    return f"the latents of {what}" if isinstance(what, str) else f"the neurons of layer {what}"


def build(model: str, what: str | int, cache: str, name: str, progress: Any) -> str:
    """Build a table on a stored cache; the page that shows it."""
    from probe.cache import open_cache
    from probe.dictionaries import load_dictionary
    from probe.features import build_features

    bridge = analyses.model_named(model, progress)
    units = what if isinstance(what, int) else load_dictionary(registered("dictionary", what), bridge)
    source = open_cache(registered("cache", cache), bridge)
    build_features(bridge, units, source, place("features", name), resume=True, progress=progress)
    return links.table_page(name)


def stale(found: Looked) -> str | None:
    """Why what is shown may not be this model's: the table was made from other weights than those at hand; None where it fits."""
    if found.table is None:
        return None
    made = open_table(found.table).manifest.model
    others = [m.model for folder, m in library().kinds["dictionary"] if folder.name == found.dictionary]
    for other in [*others, loaded_stamp(found.model)]:
        if made and other and (other.weights, other.tokenizer) != (made.weights, made.tokenizer):
            return (
                f"{found.table} was measured on other weights ({made.name}, {made.weights[:12]}) than those at hand "
                f"({other.name}, {other.weights[:12]}). Its numbers are of the other model; build the table again."
            )
    return None


def loaded_stamp(model: str) -> ModelStamp | None:
    """The fingerprint of a model that is in memory."""
    bridge = analyses.in_memory(model)
    if bridge is None:
        return None
    from probe.models import stamp

    return stamp(bridge)


def start_asked(asked: dict[str, Any]) -> str:
    """Start the table that a button asks for; the page that shows its progress. BadInput for what is not stored."""
    cache = read_manifest(registered("cache", str(asked["cache"])), "cache")
    what: str | int = asked["what"]
    if isinstance(what, int):
        if what not in neurons_in(cache):
            raise BadInput(f"{asked['cache']} does not hold what the neurons of layer {what} are measured from.")
    else:
        read_manifest(registered("dictionary", what), "dictionary")
    model = cache.model.name if cache.model else ""
    check_model_name(model)
    return links.table_page(start_table(model, what, str(asked["cache"])))


def shell(command: str, *options: str) -> str:
    """`openwork COMMAND ...`, quoted for the shell."""
    return shlex.join(["openwork", command, *options])


def looked_again(args: dict[str, str]) -> Looked:
    """The unit of a page, from what its store holds."""
    return looked_up(args["source"], args["where"], str(args["unit"]), {"m": args.get("model", "")})


def count(found: Looked) -> int | None:
    """How many units there are where this one is; None where that is not known without loading the model."""
    if found.source == "table" or (found.kind == "neuron" and found.table):
        return open_table(str(found.table)).n_units
    if found.kind == "latent":
        return int(read_manifest(registered("dictionary", found.where), "dictionary").facts.get("d_dict", 0))
    size = model_size(found.model)
    return size.d_mlp if size else None


def layers_beside(found: Looked, kept: dict[str, Any]) -> list[tuple[str, int, str]]:
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


def caches_for(found: Looked) -> list[str]:
    """Stored caches on which this unit can be measured."""
    if found.kind == "latent":
        return caches_for_dictionary(read_manifest(registered("dictionary", str(found.dictionary)), "dictionary"))
    return [
        folder.name
        for folder, m in library().kinds["cache"]
        if m.model and m.model.name == found.model and found.layer in neurons_in(m)
    ]


def input_site(found: Looked) -> str:
    """What a latent's dictionary reads, in short."""
    manifest = read_manifest(registered("dictionary", str(found.dictionary)), "dictionary")
    return parse_site(_first_site(manifest)).short
