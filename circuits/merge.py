"""Several prompts' graphs as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from circuits.graph import CircuitGraph

Align = Literal["none", "end"]
Roots = Literal["token", "rank"]


@dataclass(frozen=True)
class MergedGraph:
    """In preparation."""

    def rows(self, k: int = 30) -> list[dict[str, Any]]:
        raise NotImplementedError

    def edge_rows(self, k: int = 30) -> list[dict[str, Any]]:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def figure(self, **options: Any) -> Any:
        raise NotImplementedError


def merge_graphs(
    graphs: Sequence[CircuitGraph],
    *,
    align: Align = "none",
    roots: Roots = "token",
    max_edges: int = 5000,
    resamples: int = 1000,
    seed: int = 0,
) -> MergedGraph:
    """The union of several prompts' graphs, with latent identity kept."""
    raise NotImplementedError
