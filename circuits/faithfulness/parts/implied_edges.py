"""How many edges a circuit of nodes implies, by which MIB compares circuits of nodes and neurons with circuits of edges.

    weighted edges = sum over edges u -> v of  (units of u that are kept) / (units of u),        v with a unit that is kept

as EAP-IG's `weighted_edge_count`, which MIB's circuit track reports: an edge counts by the share of its sender's units, if its
receiver is in the circuit at all. Their units are the dimensions that a component writes; here they are what circuits are made
of: whole heads and MLPs, or an MLP's neurons. What a circuit is not made of is never removed and counts in full, as the input and
the logits always do. Edges into keys and values that heads share count once, where any of these heads is in.
"""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.edge_attribution.layout import Layout
from probe.errors import BadInput

_PART = re.compile(r"L(?P<layer>\d+)(?:H(?P<head>\d+)|MLP|N\d+)")


class ImpliedEdges:
    """The edges of a model as circuits of these nodes imply them. BadInput for nodes that are no part of a head or an MLP."""

    def __init__(self, layout: Layout, names: Sequence[str]):
        place = {name: i for i, name in enumerate(layout.senders)}
        self.layout = layout
        self.sender: Int[np.ndarray, " part"] = np.array([place[_sender_of(name)] for name in names], int)
        self.units = np.bincount(self.sender, minlength=len(place))

    def share(self, kept: Bool[np.ndarray, " part"]) -> float:
        """The weighted edges of a circuit, as a share of the model's edges."""
        own = np.bincount(self.sender, kept, minlength=len(self.units))
        return weighted(self.layout, np.where(self.units > 0, own / np.maximum(self.units, 1), 1.0))


def weighted(layout: Layout, share: Float[np.ndarray, " sender"]) -> float:
    """Weighted edges as a share of all. share: of each sender's units, how many are kept."""
    there = (layout.components & (share > 0)[:, None]).any(0)
    there[-1] = True
    return float((share[:, None] * (layout.edges & there)).sum() / layout.edges.sum())


def require_weighed(kind: str) -> None:
    """BadInput for parts that stand for no share of a component's edges."""
    if kind == "latents":
        raise BadInput(
            "Latents are no share of what their component writes, since its error is never removed, so weighted edges cannot be "
            "counted. Take the axis `asked` or `kept`, or circuits of heads, MLPs or neurons."
        )


def _sender_of(name: str) -> str:
    found = _PART.fullmatch(name)
    if found is None:
        require_weighed("latents")
        raise BadInput(f"{name} is no part of a head or an MLP, so its edges cannot be counted.")
    layer, head = found["layer"], found["head"]
    return f"m{layer}" if head is None else f"a{layer}.h{head}"
