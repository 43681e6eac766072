"""A circuit grown from the logits: always the best edge into what is already in (Hanna et al. 2024)."""

import heapq

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.edge_attribution.layout import Layout


def growth(layout: Layout, worth: Float[np.ndarray, "sender receiver"], size: int) -> Int[np.ndarray, " edge"]:
    """The first `size` edges in the order they come in, as places of the flat matrix; one of no finite worth never comes."""
    inside, opened = np.zeros(len(layout.senders), bool), np.zeros(len(layout.receivers), bool)
    frontier: list[tuple[float, int, int]] = []

    def opens(receivers: np.ndarray) -> None:
        for v in receivers:
            for u in np.flatnonzero(np.isfinite(worth[:, v])):
                heapq.heappush(frontier, (-worth[u, v], int(u), int(v)))

    opens(np.array([len(layout.receivers) - 1]))
    order: list[int] = []
    while frontier and len(order) < size:
        _, u, v = heapq.heappop(frontier)
        order.append(u * worth.shape[1] + v)
        if not inside[u]:
            inside[u] = True
            new = np.flatnonzero(layout.components[u] & ~opened)
            opened[new] = True
            opens(new)
    return np.array(order, np.int64)


def grown(
    layout: Layout, worth: Float[np.ndarray, "sender receiver"], size: int
) -> Bool[np.ndarray, "sender receiver"]:
    """The circuit of these edges."""
    kept = np.zeros(worth.shape, bool)
    kept.flat[growth(layout, worth, size)] = True
    return kept
