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
from jaxtyping import Float
from torch import Tensor

from circuits.weights.routes import Routes, head_name
from circuits.weights.units import Bank, weight_view
from probe.errors import BadInput
from probe.features.effects import unit_blocks
from probe.model.unit_names import UnitName
from probe.progress import SILENT, Progress
from probe.show.record import Record
from probe.words import signed

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.interventions.places import Place

CELLS = 1 << 24
"Numbers of units by routes (or units by units) in memory at once."


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
class Connections(Record, figure=True):
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

    def summary(self) -> str:
        """One sentence: whose connections, of how many."""
        most = f", first {self.units[0].source} ({signed(self.units[0].strength)})" if self.units else ""
        return f"{self.target}: strongest of {self.n_compared:,} connections by weights{most}."


CONVENTION = {
    "strength": "W_dec[j] . (norm weights, W_V W_O of each head) . W_enc[:, i], ranked by size",
    "left out": "the source's activation, each head's attention weight, one over the divisor of every norm passed",
    "cross-layer": "writes to several layers are summed, each norm's divisor left out",
    "stream": "residual-stream dictionaries are sources and targets; they do not cut the stream",
}


def connections(
    model: "TransformerBridge",
    target: "str | UnitName | Place | tuple[int, int]",
    *,
    dictionaries: Sequence[Any] = (),
    through: "str | Sequence[tuple[int, int]]" = "all",
    k: int = 20,
    progress: Progress = SILENT,
) -> Connections:
    """The k strongest connections into `target` (`L5N120`, `L5F650` or (layer, unit)) from all earlier units.

    through: "direct" (same token), "heads" (any one head), "all" (both), or a path of heads [(layer, head), ...], the one nearest
    to the source first. Raises BadInput for a unit, head or path that does not exist.

    >>> found = ow.connections(model, "L2N5", k=3)
    >>> found.target, len(found.units)
    ('L2N5', 3)
    """
    if k < 1:
        raise BadInput(f"k is {k}; it must be at least 1.")
    view = weight_view(model, dictionaries)
    name = view.name(target)
    bank = view.bank(name)
    routes = Routes(view, bank.readers(torch.tensor([name.unit], device=model.W_E.device)), point_of(bank), through)
    best = _Best(k)
    sources = view.banks(routes.latest)
    with progress.stage("connections", sum(b.n for b in sources), "unit") as step:
        for source in sources:
            for units in unit_blocks(source.n, len(routes.labels), CELLS):
                _compare(source, units, routes, best)
                step(units.stop - units.start)
    from circuits.replacement.placement import dictionary_names
    from probe.model.fingerprint import stamp

    convention = dict(CONVENTION)
    if bank.kind == "neuron" and len(bank.reads) == 2:
        convention["gated"] = "a gated neuron multiplies what `gate` (after its nonlinearity) and `in` read"
    named = dictionary_names(view.placed)
    return Connections(str(name), stamp(model).name, best.found(), _reach(routes), best.seen, named, convention)


def point_of(bank: Bank) -> int:
    """Where its units read."""
    assert bank.read_point is not None  # `readers` has refused such a bank
    return bank.read_point


def _reach(routes: Routes) -> list[HeadReach]:
    """Single heads by how much of the reader they carry."""
    found = []
    for (reader, heads), row in zip(routes.labels, routes.rows, strict=True):
        if len(heads) == 1:
            norm, whole = float(row.norm()), float(routes.readers[reader].norm())
            found.append(HeadReach(head_name(heads[0]), reader, norm, norm / whole if whole else 0.0))
    return sorted(found, key=lambda h: -h.norm)


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


def _compare(source: Bank, units: slice, routes: Routes, best: _Best) -> None:
    """Every unit of a block against every route that begins after it has written."""
    # A cross-layer transcoder has written less to a reader at an earlier point, so routes are grouped by their point.
    for point in sorted(set(routes.points)):
        written = source.writers(units, point)
        if written is None:
            continue
        mine = [i for i, p in enumerate(routes.points) if p == point]

        def make(unit: int, route: int, value: float, mine: list[int] = mine) -> Connection:
            reader, heads = routes.labels[mine[route]]
            return Connection(str(source.name(units.start + unit)), tuple(map(head_name, heads)), reader, value)

        best.add(written.to(routes.rows) @ routes.rows[mine].T, make)
