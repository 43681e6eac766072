"""Feature tables at hand: opened once, checked, found by model and by dictionary."""

import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.library.artifacts import library, registered
from app.library.memory import Recent
from probe.artifacts.json import Json
from probe.artifacts.manifest import Manifest, ModelStamp, read_manifest
from probe.errors import BadInput, OpenworkError, Unavailable
from probe.features.overview import overview
from probe.model.sites import parse_site

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


def table_facts(folder: Path, manifest: Manifest) -> Json:
    """Numbers for a card, read without torch: units, tokens, share that never fired, middle density, how many have labels."""
    key = (folder, _mark(folder))
    if (found := _facts.get(key)) is None:
        found = _facts.put(key, _read_facts(folder, manifest))
    return found


def _read_facts(folder: Path, manifest: Manifest) -> Json:
    from safetensors import SafetensorError

    facts = {"n_units": manifest.facts.get("n_units", 0), "tokens": manifest.facts.get("tokens", 0)}
    try:
        found = overview(folder)
    except (OSError, SafetensorError, ValueError, OpenworkError) as error:
        return {**facts, "damaged": str(error)[:120]}
    return {**facts, "dead": found.dead_share, "median": found.median_density}


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


def caches_for(model: str, what: str | int) -> list[str]:
    """Stored caches on which the neurons of a layer (a number) or the latents of a dictionary (its name) can be measured, newest
    first."""
    if isinstance(what, str):
        return caches_for_dictionary(read_manifest(registered("dictionary", what), "dictionary"))
    return [f.name for f, m in library().kinds["cache"] if m.model and m.model.name == model and what in neurons_in(m)]


def neurons_in(manifest: Manifest) -> list[int]:
    """The layers whose neurons can be measured on a cache."""
    sites = [parse_site(s) for s in manifest.sites]
    return sorted({s.layer for s in sites if s.kind in ("mlp_post", "mlp_in") and s.layer is not None})


def forget() -> None:
    """Let go of every table: another home is looked at, or a process ends."""
    _tables.clear()
    _facts.clear()
