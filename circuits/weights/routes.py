"""Every way into a unit that is compared: the same token, through one head, or along a path of heads.

A route is the direction read at its beginning: what the target reads, pulled back through W_O, W_V and the norms' weights of each
head on the way (`circuits.weights.through_heads`). One product with what a source writes is then its connection by that route.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.weights.through_heads import attention_span, pull_back_along
from circuits.weights.units import WeightView
from probe.errors import BadInput
from probe.model.sites import Site, axis_size
from probe.model.unit_names import head_of, unit_name

Heads = tuple[tuple[int, int], ...]
Through = str | Sequence[tuple[int, int]]
"""`direct` (the same token), `heads` (any one head), `all` (both), or a path of heads: `L2H3,L4H0`, or each as (layer, head)."""


def path_of(through: Through) -> Heads | None:
    """The heads of a path, the one nearest to the source first; None for `direct`, `heads` and `all`."""
    if through in ("direct", "heads", "all"):
        return None
    if not isinstance(through, str):
        return tuple((int(layer), int(head)) for layer, head in through)
    try:
        return tuple(head_of(part.strip()) for part in through.split(","))
    except BadInput as error:
        raise BadInput(f"through is '{through[:60]}'; give direct, heads, all, or heads like L2H3,L4H0.") from error


class Routes:
    """Every way into the target that is to be compared: a label and the direction read at its beginning."""

    def __init__(self, view: WeightView, readers: dict[str, Tensor], point: int, through: Through):
        self.view, self.readers = view, readers
        self.labels: list[tuple[str, Heads]] = []
        self.points: list[int] = []
        rows: list[Tensor] = []
        for heads in self._paths(point, through):
            for reader, row in readers.items():
                found, reached = pull_back_along(view.model, row, heads, point)
                self.labels.append((reader, heads))
                self.points.append(reached)
                rows.append(found)
        self.rows: Float[Tensor, "route d_model"] = torch.cat(rows)
        self.latest = max(self.points)

    def _paths(self, point: int, through: Through) -> list[Heads]:
        if (path := path_of(through)) is not None:
            return [path]
        model = self.view.model
        layers = [i for i in range(model.cfg.n_layers) if attention_span(model, i)[1] <= point]
        single = [((i, h),) for i in layers for h in range(axis_size(Site("z", i), "head", model))]
        found = [() for _ in range(through != "heads")] + (single if through != "direct" else [])
        if not found:
            raise BadInput("No head writes before this unit reads; ask for direct connections.")
        return found


def head_name(head: tuple[int, int]) -> str:
    """`L5H3`."""
    return unit_name("head", *head)
