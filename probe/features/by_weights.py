"""What the weights alone say of one unit, where nobody has measured it yet: no cache and no table are needed.

The same numbers as in a table (`effects`), for one unit: tokens it promotes and suppresses, tokens that would excite it, units of
its layer or dictionary that write in its direction.
"""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from torch import Tensor

from probe.dictionaries.owners import part_with
from probe.errors import BadInput, brief
from probe.features.effects import EMBEDDING, Ranked, decoder_neighbours, input_ranks, logit_ranks
from probe.features.measuring.latents import AnyDictionary, latent_directions
from probe.features.measuring.neurons import neuron_directions
from probe.features.measuring.sources import Reads
from probe.features.unit import Near, TokenScore
from probe.features.unit import Unit as Measured
from probe.features.unit_tables import told
from probe.interventions.places import Place
from probe.interventions.unit_edits import require_there, unit_named
from probe.methods import DictionaryName, Doc, Unit, method
from probe.model.unit_names import UnitName, unit_name
from probe.progress import SILENT, Progress
from probe.show.html import shown
from probe.show.opening import came_from
from probe.show.panels import Figure, Panel, Sentence
from probe.show.record import Record
from probe.text.display import display_tokens
from probe.words import figures

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

    lists = Measured.lists

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        plain = asdict(self)
        for name in ("promoted", "suppressed", "inputs", "near"):
            plain[name] = [item._asdict() for item in getattr(self, name)]
        return plain

    def rows(self) -> list[dict[str, Any]]:
        """The tokens it promotes and suppresses, one row each."""
        return [s._asdict() for s in (*self.promoted, *reversed(self.suppressed))]

    def panels(self) -> list[Panel]:
        """The logits it writes, and its tokens and neighbours."""
        title = f"What it does to the logits ({self.convention.get('writes', '')})"
        return [Sentence(self.summary()), *([Figure(title, self.figure)] if self.promoted else []), *told(self)]

    def summary(self) -> str:
        """One sentence: what it writes and reads most."""
        lists = {"promotes": self.promoted, "suppresses": self.suppressed, "would be excited by": self.inputs}
        said = [
            f"{word} {shown(found[0].token)} most ({figures(found[0].score)})" for word, found in lists.items() if found
        ]
        return f"{self.name} by its weights alone {', '.join(said) or 'says nothing about tokens'}."


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


@method("unit-by-weights", group="neurons")
def unit_by_weights(
    model: "TransformerBridge",
    unit: Unit,
    *,
    dictionary: Annotated[DictionaryName | None, Doc("Whose latent it is.")] = None,
    k: Annotated[int, Doc("Tokens and units of each list.", least=1)] = 10,
    progress: Progress = SILENT,
) -> UnitWeights:
    """What the weights alone say of one unit by its name: tokens it promotes and suppresses, tokens that would excite it, units
    that write in its direction. The same as `unit_weights`.

    >>> [near.name for near in ow.unit_by_weights(model, "L1N5", k=2).near][0][:3]
    'L1N'
    """
    if dictionary is not None:
        return unit_weights(model, dictionary, unit, k=k, progress=progress)
    number, layer, _ = unit_named(unit, None, None)
    if layer is None:
        raise BadInput(
            f"{brief(unit)} names no unit; write L5N120 for a neuron, or L4F650 for a latent of a dictionary."
        )
    return unit_weights(model, layer, number, k=k, progress=progress)


def _one(reads: tuple[Reads, ...], unit: int) -> tuple[Reads, ...]:
    """What a single unit reads, as if it were the only one."""
    part = next(r for r in reads if r.low <= unit < r.high)
    at = unit - part.low
    return (Reads(0, 1, tuple((site, weights[at : at + 1]) for site, weights in part.sites)),)


def _number(what: Any, unit: Any) -> int:
    if isinstance(what, int):
        return unit_named(unit, what, None)[0]
    part, unit, before = part_with(what, unit)
    return unit_named(unit, None, part)[0] + before


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
