"""Which earlier units a unit is wired to, whatever the input: at the same token, through one head, or along a path of heads.

    connection(j -> i) = W_dec[j] . N1 W_V W_O P1 ... N2 . W_enc[:, i]

with the norms' weights folded in (`weights_units`). What a target reads on a given input is this number times the factors the
record names: the source's activation, the attention weights, one over the norms' divisors. (Dunefsky et al. 2024;
grouped-query attention shares value matrices between heads.) Units by units is never in memory whole.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.weights.routes import Routes, Through, head_name, path_of
from circuits.weights.tokens import TokenRanking, deembed, promoted
from circuits.weights.units import Bank, weight_view
from probe.errors import BadInput
from probe.features.effects import unit_blocks
from probe.methods import DictionaryName, Doc, Unit, method
from probe.progress import SILENT, Progress
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import signed

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


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
    """A unit's strongest connections, by size; `convention` says what multiplies them on a given input. tokens: by each reader of
    the unit, the tokens that excite it; promotes: those that what it writes raises and lowers."""

    target: str
    model: str
    units: list[Connection]
    heads: list[HeadReach]
    n_compared: int
    dictionaries: dict[str, str] = field(default_factory=dict)
    convention: dict[str, str] = field(default_factory=dict)
    tokens: list[TokenRanking] = field(default_factory=list)
    promotes: TokenRanking | None = None

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

    def panels(self) -> list[Panel]:
        """The connections, the heads that carry them, and the tokens at both ends."""
        found: list[Panel] = [
            Figure("Strongest connections", self.figure),
            Rows("Connections by weights", self.rows()),
            Rows("Heads that carry what it reads", self.head_rows(10)),
        ]
        for one in self.tokens:
            by = " ".join(["Tokens by weights,", one.reader, *one.through])
            found += [Rows("Tokens by the activation each alone gives" if one.reader == "alone" else by, one.rows())]
        if self.promotes:
            found.append(Rows("Tokens it promotes and suppresses", self.promotes.rows()))
        return [*(one for one in found if not isinstance(one, Rows) or one.rows), Sentence(self.summary())]

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


@method(
    "connections", group="circuits", paper="Transcoders find interpretable LLM feature circuits (Dunefsky et al. 2024)"
)
def connections(
    model: "TransformerBridge",
    target: Annotated[Unit, Doc("A unit: L5N120 (neuron) or L5F650 (latent of one of the dictionaries).")],
    *,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("Dictionaries to use, each in its layer.")] = (),
    through: Annotated[
        Through,
        Doc("`direct`, `heads`, `all`, or a path of heads like L2H3,L4H0, the one nearest to the source first."),
    ] = "all",
    k: Annotated[int, Doc("Connections kept.", least=1)] = 20,
    tokens: Annotated[int, Doc("Tokens of each ranking; 0 for none.", least=0)] = 10,
    extended: Annotated[bool, Doc("Add what MLP 0 makes of a token alone to its embedding.")] = False,
    progress: Progress = SILENT,
) -> Connections:
    """Which earlier units, heads and tokens a unit is wired to by its weights, whatever the input.

    A connection is the input-invariant part of what the target reads of a source at the same token, through one head or along a
    path of heads. Raises BadInput for a unit, head or path that does not exist.

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
    found = Connections(str(name), stamp(model).name, best.found(), _reach(routes), best.seen, named, convention)
    if not tokens:
        return found
    given: dict[str, Any] = {"dictionaries": dictionaries, "k": tokens}
    read = deembed(model, target, through=path_of(through) or (), extended=extended, **given)
    return replace(found, tokens=read, promotes=promoted(model, target, **given))


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
