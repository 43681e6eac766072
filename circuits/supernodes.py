"""Groups of units that play one part."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from circuits.graph import CircuitGraph


@dataclass(frozen=True)
class Supernodes:
    """In preparation. Edits return new records: rename, move, split, join. `store` puts the groups on a graph."""

    def rename(self, old: str, new: str) -> "Supernodes":
        raise NotImplementedError

    def move(self, node: int | str, to: str | None) -> "Supernodes":
        raise NotImplementedError

    def split(self, name: str, nodes: Sequence[int | str], new: str) -> "Supernodes":
        raise NotImplementedError

    def join(self, names: Sequence[str], new: str = "") -> "Supernodes":
        raise NotImplementedError

    def store(self) -> CircuitGraph:
        """The graph with these groups on it."""
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def figure(self, **options: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Collapsed:
    """In preparation."""


def suggest_supernodes(
    graph: CircuitGraph,
    nodes: Sequence[int | str] | None = None,
    *,
    directions: Mapping[int, np.ndarray] | None = None,
    tops: Mapping[int, Collection[str]] | None = None,
    threshold: float = 0.5,
    seed: int = 0,
) -> Supernodes:
    """Groups of units by shared top tokens, direction written, and co-influence."""
    raise NotImplementedError


def collapse(graph: CircuitGraph, supernodes: Supernodes | None = None) -> Collapsed:
    """The graph with every group as one node and the edges between groups summed."""
    raise NotImplementedError
