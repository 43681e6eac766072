"""All units of one layer against all units of an earlier one, by weights: for each the strongest sources, block by block.

The full matrix is W_dec (norm weights, W_V W_O of each head) W_enc; at 16 thousand latents a side it would take a gigabyte, so
only the k largest of each row are kept while it goes by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.weights.connections import CELLS, point_of
from circuits.weights.routes import head_name
from circuits.weights.through_heads import pull_back_along
from circuits.weights.units import Bank, weight_view
from probe.errors import BadInput
from probe.features.effects import unit_blocks
from probe.progress import SILENT, Progress
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class LayerConnections(Record):
    """For every unit of the target layer its k strongest sources in the source layer, by size."""

    source: str
    target: str
    through: tuple[str, ...]
    reader: str
    index: Int[Tensor, "target k"]
    strength: Float[Tensor, "target k"]

    def rows(self, k: int | None = 20) -> list[dict[str, Any]]:
        """The k strongest of all pairs."""
        n = self.strength.numel()
        top = self.strength.abs().flatten().topk(n if k is None else min(k, n)).indices.tolist()
        width = self.strength.shape[1]
        return [
            {
                "source": f"{self.source}{int(self.index[i // width, i % width])}",
                "target": f"{self.target}{i // width}",
                "strength": float(self.strength[i // width, i % width]),
            }
            for i in top
        ]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        plain = {n: getattr(self, n) for n in ("source", "target", "through", "reader")}
        return {**plain, "index": self.index.tolist(), "strength": self.strength.tolist()}

    def summary(self) -> str:
        """One sentence: from where to where."""
        return (
            f"{self.source}… to {self.target}… through {' '.join(self.through) or 'the same token'}, by weights alone."
        )


def layer_connections(
    model: "TransformerBridge",
    source: int,
    target: int,
    *,
    dictionaries: Sequence[Any] = (),
    through: Sequence[tuple[int, int]] = (),
    reader: str | None = None,
    k: int = 10,
    progress: Progress = SILENT,
) -> LayerConnections:
    """All units of one layer against all units of an earlier one, the k strongest sources of each kept; block by block.

    reader: `gate` or `in` of gated neurons, by default the first there is.

    >>> ow.layer_connections(model, source=0, target=2, k=3).summary()
    'L0N… to L2N… through the same token, by weights alone.'
    """
    view = weight_view(model, dictionaries)
    first, last = (view.bank(view.name((layer, 0))) for layer in (source, target))
    names = [n for n, _ in last.reads]
    if reader is not None and reader not in names:
        raise BadInput(
            f"Units of layer {target} are read through {' and '.join(names)}; there is no reader '{reader}'."
        )
    device, best = model.W_E.device, []
    with progress.stage("connections", last.n, "unit") as step:
        for block in unit_blocks(last.n, int(model.cfg.d_model), CELLS):
            units = torch.arange(block.start, block.stop, device=device)
            rows = last.readers(units)[reader or names[0]]
            rows, point = pull_back_along(model, rows, through, point_of(last))
            best.append(_strongest_sources(first, rows, point, k))
            step(len(units))
    index, strength = (torch.cat(part) for part in zip(*best, strict=True))
    ends = [str(b.name(0))[:-1] for b in (first, last)]
    return LayerConnections(*ends, tuple(map(head_name, through)), reader or names[0], index, strength)


def _strongest_sources(
    source: Bank, rows: Float[Tensor, "target d_model"], point: int, k: int
) -> tuple[Int[Tensor, "target k"], Float[Tensor, "target k"]]:
    """The k strongest sources of each row, from blocks of sources."""
    index = torch.zeros(len(rows), 0, dtype=torch.long, device=rows.device)
    strength = rows.new_zeros(len(rows), 0)
    for block in unit_blocks(source.n, len(rows), CELLS):
        written = source.writers(block, point)
        if written is None:
            raise BadInput(f"Layer {source.layer} writes only after the target reads; give an earlier source layer.")
        some = rows @ written.to(rows).T
        number = torch.arange(block.start, block.stop, device=rows.device).expand(len(rows), -1)
        index, strength = torch.cat([index, number], 1), torch.cat([strength, some], 1)
        top = strength.abs().topk(min(k, strength.shape[1]), 1).indices
        index, strength = index.gather(1, top), strength.gather(1, top)
    return index, strength
