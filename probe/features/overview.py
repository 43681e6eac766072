"""Stored tables at a glance: which there are of a model's neurons and of a dictionary's latents, and the numbers that one column
gives, read without torch, so that many tables are listed at once."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from probe.artifacts.stored import library
from probe.artifacts.untrusted import plain_file
from probe.errors import OpenworkError
from probe.words import counted, percent

if TYPE_CHECKING:
    from probe.artifacts.manifest import Manifest

UNITS = "units.safetensors"
"""The file of a table with one row per unit in every column."""


def neuron_tables(model: str) -> "list[tuple[str, Manifest]]":
    """Stored tables of a model's neurons, newest first."""
    return [
        (folder.name, m)
        for folder, m in library("features").kinds["features"]
        if m.facts.get("units") == "neuron" and m.model and m.model.name == model
    ]


def latent_tables(dictionary: str) -> "list[tuple[str, Manifest]]":
    """Stored tables of a dictionary's latents, newest first."""
    return [
        (folder.name, m)
        for folder, m in library("features").kinds["features"]
        if m.facts.get("units") == "latent" and m.facts.get("source") == dictionary
    ]


class Overview(NamedTuple):
    """dead_share: of the units, those that were never active. median_density: of the others, the share of tokens at which the
    middle one is active; 0 where all are dead."""

    dead_share: float
    median_density: float


def overview(folder: Path) -> Overview:
    """The overview of a table's folder. Raises what reading a file raises that is missing, damaged or no table's."""
    from safetensors import safe_open

    with safe_open(str(plain_file(folder / UNITS)), framework="numpy") as columns:
        return overview_of(columns.get_tensor("density"))


def overview_of(density: Float[np.ndarray, " unit"]) -> Overview:
    """The same from the share of tokens at which each unit is active."""
    alive = density[density > 0]
    return Overview(
        dead_share=float((density == 0).mean()) if len(density) else 0.0,
        median_density=float(np.median(alive)) if len(alive) else 0.0,
    )


def in_words(folder: Path, manifest: "Manifest") -> list[str]:
    """How many units over how many tokens, and how dense they are; of a damaged table, what is wrong. Read once."""
    from safetensors import SafetensorError

    facts = manifest.facts
    try:
        found = _read(folder, (folder / UNITS).stat().st_mtime_ns)
    except (OSError, SafetensorError, ValueError, OpenworkError) as error:
        return [f"damaged: {str(error)[:120]}"]
    many = counted(facts.get("n_units", 0), facts.get("units", "unit"))
    middle = [f"middle density {percent(found.median_density)}"] if found.median_density else []
    return [f"{many} · {counted(facts.get('tokens', 0), 'token')} · {percent(found.dead_share)} dead", *middle]


@lru_cache(200)
def _read(folder: Path, changed: int) -> Overview:
    return overview(folder)
