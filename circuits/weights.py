"""Which earlier units a unit is wired to, whatever the input: at the same token, through one head, or along a path of heads.

    connection(j -> i) = W_dec[j] . N1 W_V W_O P1 ... N2 . W_enc[:, i]

with the norms' weights folded in (`weights_units`). What a target reads on a given input is this number times the factors the
record names: the source's activation, the attention weights, one over the norms' divisors. (Dunefsky et al. 2024;
grouped-query attention shares value matrices between heads.) Units by units is never in memory whole.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.weights_units import Bank, UnitName, WeightView, attention_span, pull_back, pull_back_along, weight_view
from probe.errors import BadInput
from probe.html import table_html
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

CELLS = 1 << 24
"Numbers of units by routes (or units by units) in memory at once."
Heads = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Connection:
    """strength: the input-invariant factor. through: the heads between, nearest to the source first; none: the same token.
    reader: `enc` of a latent; `in` or `gate` of a neuron."""

    source: str
    through: tuple[str, ...]
    reader: str
    strength: float


@dataclass(frozen=True)
class HeadReach:
    """How far a reader reaches through one head: the length of the direction it reads before the head, and that length over the
    direct reader's."""

    head: str
    reader: str
    norm: float
    relative: float


@dataclass(frozen=True)
class Connections:
    """A unit's strongest connections, by size; `factors`: what multiplies them on a given input."""

    target: str
    model: str
    units: list[Connection]
    heads: list[HeadReach]
    n_compared: int
    dictionaries: dict[str, str] = field(default_factory=dict)
    convention: dict[str, str] = field(default_factory=dict)

    def rows(self, k: int | None = None) -> list[dict[str, Any]]:
        """One row per connection."""
        return [
            {
                "source": c.source,
                "through": " ".join(c.through) or "same token",
                "reader": c.reader,
                "strength": c.strength,
            }
            for c in self.units[:k]
        ]

    def head_rows(self, k: int | None = None) -> list[dict[str, Any]]:
        """One row per head."""
        return [asdict(h) for h in self.heads[:k]]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    def figure(self) -> Any:
        """Bars of the strongest connections."""
        from circuits.figures_weights import connections_figure

        return connections_figure(self)

    def _repr_html_(self) -> str:
        return table_html(self.rows(20), f"{self.target}: strongest of {self.n_compared:,} connections by weights")


CONVENTION = {
    "strength": "W_dec[j] . (norm weights, W_V W_O of each head) . W_enc[:, i], ranked by size",
    "left out": "the source's activation, each head's attention weight, one over the divisor of every norm passed",
    "cross-layer": "writes to several layers are summed, each norm's divisor left out",
    "stream": "residual-stream dictionaries are sources and targets; they do not cut the stream",
}


def connections(
    model: "TransformerBridge",
    target: "str | UnitName | tuple[int, int]",
    *,
    dictionaries: Sequence[Any] = (),
    through: "str | Sequence[tuple[int, int]]" = "all",
    k: int = 20,
    progress: Progress = SILENT,
) -> Connections:
    """The k strongest connections into `target` (`L5N120`, `L5F650` or (layer, unit)) from all earlier units.

    through: "direct" (same token), "heads" (any one head), "all" (both), or a path of heads [(layer, head), ...], the one nearest
    to the source first. Raises BadInput for a unit, head or path that does not exist.
    """
    if k < 1:
        raise BadInput(f"k is {k}; it must be at least 1.")
    view = weight_view(model, dictionaries)
    name = view.name(target)
    bank = view.bank(name)
    routes = _Routes(view, bank.readers(torch.tensor([name.unit], device=model.W_E.device)), _point(bank), through)
    best = _Best(k)
    sources = view.banks(routes.latest)
    with progress.stage("connections", sum(b.n for b in sources), "unit") as step:
        for source in sources:
            for units in _blocks(source.n, len(routes.labels)):
                _compare(source, units, routes, best)
                step(units.stop - units.start)
    from circuits.placing import dictionary_names
    from probe.fingerprint import stamp

    convention = dict(CONVENTION)
    if bank.kind == "neuron" and len(bank.reads) == 2:
        convention["gated"] = "a gated neuron multiplies what `gate` (after its nonlinearity) and `in` read"
    named = dictionary_names(view.placed)
    return Connections(str(name), stamp(model).name, best.found(), routes.reach(), best.seen, named, convention)


def _point(bank: Bank) -> int:
    assert bank.read_point is not None  # `readers` has refused such a bank
    return bank.read_point


class _Routes:
    """Every way into the target that is to be compared: a label and the direction read at its beginning."""

    def __init__(
        self, view: WeightView, readers: dict[str, Tensor], point: int, through: "str | Sequence[tuple[int, int]]"
    ):
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

    def _paths(self, point: int, through: "str | Sequence[tuple[int, int]]") -> list[Heads]:
        if not isinstance(through, str):
            return [tuple((int(a), int(b)) for a, b in through)]
        if through not in ("direct", "heads", "all"):
            raise BadInput(f"through is '{through}'; use direct, heads, all, or a list of heads.")
        model = self.view.model
        layers = [i for i in range(model.cfg.n_layers) if attention_span(model, i)[1] <= point]
        single = [((i, h),) for i in layers for h in range(model.blocks[i].attn.W_O.shape[0])]
        found = [() for _ in range(through != "heads")] + (single if through != "direct" else [])
        if not found:
            raise BadInput("No head writes before this unit reads; ask for direct connections.")
        return found

    def reach(self) -> list[HeadReach]:
        """Single heads by how much of the reader they carry."""
        found = []
        for (reader, heads), row in zip(self.labels, self.rows, strict=True):
            if len(heads) == 1:
                norm, whole = float(row.norm()), float(self.readers[reader].norm())
                found.append(HeadReach(_head(heads[0]), reader, norm, norm / whole if whole else 0.0))
        return sorted(found, key=lambda h: -h.norm)


def _head(head: tuple[int, int]) -> str:
    return f"L{head[0]}H{head[1]}"


class _Best:
    """The k largest connections seen so far."""

    def __init__(self, k: int):
        self.k, self.seen, self.kept = k, 0, []

    def add(self, strength: Float[Tensor, "unit route"], make: Any) -> None:
        """Keep the block's k largest; `make(unit, route, value)` builds the row of one that stays."""
        self.seen += strength.numel()
        flat = strength.flatten()
        top = flat.abs().topk(min(self.k, flat.numel())).indices.tolist()
        width = strength.shape[1]
        self.kept += [(abs(v), make(i // width, i % width, v)) for i, v in zip(top, flat[top].tolist(), strict=True)]
        self.kept = sorted(self.kept, key=lambda pair: -pair[0])[: self.k]

    def found(self) -> list[Connection]:
        """Largest first."""
        return [row for _, row in self.kept]


def _compare(source: Bank, units: slice, routes: _Routes, best: _Best) -> None:
    """Every unit of a block against every route that begins after it has written."""
    # A cross-layer transcoder has written less to a reader at an earlier point, so routes are grouped by their point.
    for point in sorted(set(routes.points)):
        written = source.writers(units, point)
        if written is None:
            continue
        mine = [i for i, p in enumerate(routes.points) if p == point]

        def make(unit: int, route: int, value: float, mine: list[int] = mine) -> Connection:
            reader, heads = routes.labels[mine[route]]
            return Connection(str(source.name(units.start + unit)), tuple(map(_head, heads)), reader, value)

        best.add(written.to(routes.rows) @ routes.rows[mine].T, make)


def _blocks(n: int, width: int) -> list[slice]:
    step = max(1, CELLS // max(width, 1))
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


@dataclass(frozen=True)
class LayerConnections:
    """For every unit of the target layer its k strongest sources in the source layer, by size."""

    source: str
    target: str
    through: tuple[str, ...]
    reader: str
    index: Int[Tensor, "target k"]
    strength: Float[Tensor, "target k"]

    def rows(self, k: int = 20) -> list[dict[str, Any]]:
        """The k strongest of all pairs."""
        top = self.strength.abs().flatten().topk(min(k, self.strength.numel())).indices.tolist()
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

    def _repr_html_(self) -> str:
        by = " ".join(self.through) or "the same token"
        return table_html(self.rows(), f"{self.source}… to {self.target}… through {by}")


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
        for block in _blocks(last.n, int(model.cfg.d_model)):
            units = torch.arange(block.start, block.stop, device=device)
            rows = last.readers(units)[reader or names[0]]
            rows, point = pull_back_along(model, rows, through, _point(last))
            best.append(_strongest_sources(first, rows, point, k))
            step(len(units))
    index, strength = (torch.cat(part) for part in zip(*best, strict=True))
    ends = [str(b.name(0))[:-1] for b in (first, last)]
    return LayerConnections(*ends, tuple(map(_head, through)), reader or names[0], index, strength)


def _strongest_sources(
    source: Bank, rows: Float[Tensor, "target d_model"], point: int, k: int
) -> tuple[Int[Tensor, "target k"], Float[Tensor, "target k"]]:
    """The k strongest sources of each row, from blocks of sources."""
    index = torch.zeros(len(rows), 0, dtype=torch.long, device=rows.device)
    strength = rows.new_zeros(len(rows), 0)
    for block in _blocks(source.n, len(rows)):
        written = source.writers(block, point)
        if written is None:
            raise BadInput(f"Layer {source.layer} writes only after the target reads; give an earlier source layer.")
        some = rows @ written.to(rows).T
        number = torch.arange(block.start, block.stop, device=rows.device).expand(len(rows), -1)
        index, strength = torch.cat([index, number], 1), torch.cat([strength, some], 1)
        top = strength.abs().topk(min(k, strength.shape[1]), 1).indices
        index, strength = index.gather(1, top), strength.gather(1, top)
    return index, strength


__all__ = [
    "Connection",
    "Connections",
    "HeadReach",
    "LayerConnections",
    "connections",
    "layer_connections",
    "pull_back",
]
