"""A stored table at a glance: the numbers that one column gives, read without torch, so that many tables are listed at once."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from probe.artifacts.untrusted import plain_file

UNITS = "units.safetensors"
"""The file of a table with one row per unit in every column."""


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
