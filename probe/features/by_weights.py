"""What the weights alone say of one unit, where nobody has measured it yet: no cache and no table are needed.

The same numbers as in a table (`effects`), for one unit: tokens it promotes and suppresses, tokens that would excite it, units of
its layer or dictionary that write in its direction.
"""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from probe.errors import BadInput
from probe.features.effects import EMBEDDING, Ranked, decoder_neighbours, input_ranks, logit_ranks
from probe.features.measuring.latents import AnyDictionary, latent_directions
from probe.features.measuring.neurons import neuron_directions
from probe.features.measuring.sources import Reads
from probe.features.unit import Near, TokenScore, Unit
from probe.interventions.places import Place
from probe.interventions.unit_edits import require_there, unit_named
from probe.model.unit_names import UnitName, unit_name
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.record import Record
from probe.text.display import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, kw_only=True)
class UnitWeights(Record, figure=True, page=True):
    """One latent or neuron by its weights. Lists that have no meaning for it are empty, and `convention` says why."""

    name: str
    kind: str
    layer: int
    unit: int
    promoted: list[TokenScore] = field(repr=False)
    suppressed: list[TokenScore] = field(repr=False)
    inputs: list[TokenScore] = field(repr=False)
    near: list[Near] = field(repr=False)
    convention: dict[str, str] = field(repr=False, default_factory=dict)
    measured: tuple[()] = ()
    coactive: tuple[()] = ()

    lists = Unit.lists

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        plain = asdict(self)
        for name in ("promoted", "suppressed", "inputs", "near"):
            plain[name] = [item._asdict() for item in getattr(self, name)]
        return plain

    def rows(self) -> list[dict[str, Any]]:
        """The tokens it promotes and suppresses, one row each."""
        return [s._asdict() for s in (*self.promoted, *reversed(self.suppressed))]


def unit_weights(
    model: "TransformerBridge",
    what: AnyDictionary | int,
    unit: int | str | UnitName | Place,
    *,
    k: int = 10,
    progress: Progress = SILENT,
) -> UnitWeights:
    """What the weights say of a dictionary's latent, or of a neuron of the layer of that number. BadInput if there is none.

    >>> weights = ow.unit_weights(model, 1, "L1N5")
    >>> len(weights.promoted)
    10
    """
    unit = _number(what, unit)
    if isinstance(what, int):
        require_there(model, unit, what, None)
    told = neuron_directions(model, what) if isinstance(what, int) else latent_directions(model, what)
    if not 0 <= unit < told.n:
        raise BadInput(f"Unit {unit} was asked for; there are units 0 to {told.n - 1}.")
    layer, number = told.place(unit)
    up, down = ([], [])
    if told.writers is not None:
        up, down = (_tokens(model, r) for r in logit_ranks(model, told.writers[unit : unit + 1], k, progress))
    inputs = input_ranks(model, _one(told.reads, unit), k, progress)
    near = _nearest(told.decoder, unit, k)
    found = UnitWeights(
        name=unit_name(told.kind, layer, number),
        kind=told.kind,
        layer=layer,
        unit=unit,
        promoted=up,
        suppressed=down,
        inputs=[] if inputs is None else _tokens(model, inputs),
        near=[Near(u, unit_name(told.kind, *told.place(u)), c) for u, c in near],
        convention={"inputs": EMBEDDING, **told.convention},
    )
    return came_from(found, model, None if isinstance(what, int) else what)


def _one(reads: tuple[Reads, ...], unit: int) -> tuple[Reads, ...]:
    """What a single unit reads, as if it were the only one."""
    part = next(r for r in reads if r.low <= unit < r.high)
    at = unit - part.low
    return (Reads(0, 1, tuple((site, weights[at : at + 1]) for site, weights in part.sites)),)


def _number(what: Any, unit: Any) -> int:
    layer, dictionary = (what, None) if isinstance(what, int) else (None, what)
    return unit_named(unit, layer, dictionary)[0]


def _nearest(rows: Tensor, unit: int, k: int) -> list[tuple[int, float]]:
    if len(rows) < 2:
        return []
    found = decoder_neighbours(rows, k, block=lambda n, width: [slice(unit, unit + 1)])
    return list(zip(found.which[0].tolist(), found.score[0].tolist(), strict=True))


def _tokens(model: "TransformerBridge", ranked: Ranked) -> list[TokenScore]:
    ids = ranked.which[0].tolist()
    plain = getattr(model, "tokenizer", None) is None
    words = [f"⟨id {i}⟩" for i in ids] if plain else display_tokens(model, ids)
    return [TokenScore(i, w, s) for i, w, s in zip(ids, words, ranked.score[0].tolist(), strict=True)]
