"""The difference of two graphs."""

from dataclasses import dataclass
from typing import Any, Literal

from circuits.graph import CircuitGraph

Match = Literal["auto", "position", "end", "none"]


@dataclass(frozen=True)
class GraphDifference:
    """In preparation."""

    def rows(self, k: int = 30) -> list[dict[str, Any]]:
        raise NotImplementedError

    def edge_rows(self, k: int = 30) -> list[dict[str, Any]]:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def figure(self, **options: Any) -> Any:
        raise NotImplementedError


def difference(a: CircuitGraph, b: CircuitGraph, *, match: Match = "auto") -> GraphDifference:
    """Nodes and edges only in `a`, only in `b`, and in both with what changed."""
    raise NotImplementedError
