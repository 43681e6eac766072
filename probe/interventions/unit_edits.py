"""Edits of single units: neurons, and latents of a dictionary whose model runs on as it is.

    with intervene(model, edit_units(model, [UnitEdit("zero", 120, layer=5, pos=3),
                                             UnitEdit("scale", 650, dictionary=sae, amount=2.0, pos=slice(4, None))])):
        logits = model(tokens)

A neuron is set where it is: `mlp_post`. A latent is no part of the model, but what it writes is known, so

    output <- output + (new - current) W_dec[latent]

at each site the dictionary writes; `current` is encoded from what the model computes in this very pass. What the dictionary
fails to reconstruct and its linear path stay as they are (Ameisen et al. 2025). Latents of a cross-layer transcoder are given by
one of its `parts` and write to all its later layers. Every mode is  new = factor * current + level,  so a factor of 1 changes
no bit. Positions are those of `probe.interventions.running`: they count from the start of the text, in cached generation too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.owners import layer_read, owner_name
from probe.errors import BadInput, OpenworkError
from probe.interventions.change_text import SYNONYMS, WORDS
from probe.interventions.forward import capture, per_token
from probe.interventions.places import Place
from probe.interventions.values import Function
from probe.model.padding import without_padding
from probe.model.sites import Site, in_model, parse_site, width
from probe.model.unit_names import UnitName, as_text, nearly, require_unit, unit_name
from probe.plain_values import look_at_config
from probe.show.record import Record
from probe.show.values import gist
from probe.text.prompts import Prompts

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

MODES = ("zero", "scale", "clamp", "restore", "steer")
"""To 0; times `amount`; to `amount`; to the recorded values `amount`; plus `amount` (steering along what the unit writes)."""


@dataclass(frozen=True, eq=False)
class UnitEdit(Record):
    """One unit's change: neuron `unit` of `layer`, or latent `unit` of `dictionary`; either by its name, `L5N120@3`, too.

    pos: a position, a range of them (open-ended reaches into generation), or None for all. amount: factor of `scale`, level of
    `clamp`, what `steer` adds; for `restore` the unit's values by position in another run, or one number.

    >>> ow.UnitEdit("scale", "L2N5@-1", amount=2.0).name
    'scale L2N5@-1'
    """

    mode: str
    unit: int
    pos: int | slice | None = None
    amount: float | Float[Tensor, " pos"] = 0.0
    layer: int | None = None
    dictionary: Any | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            mode: str,
            unit: int | str | UnitName | Place,
            pos: int | slice | None = None,
            amount: float | Tensor = 0.0,
            layer: int | None = None,
            dictionary: Any | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        named = unit_named(self.unit, self.layer, self.dictionary)
        for name, one in zip(("unit", "layer", "pos"), named, strict=True):
            if one is not None and not (name == "pos" and self.pos is not None):
                object.__setattr__(self, name, one)
        look_at_config(self)
        object.__setattr__(self, "mode", SYNONYMS.get(self.mode, self.mode))

    def __repr__(self) -> str:
        return f"UnitEdit({self.name}, amount {gist(self.amount)})"

    @property
    def name(self) -> str:
        """`scale L5N120@3`, `clamp L4F650`."""
        word = WORDS.get(self.mode, self.mode)
        if self.dictionary is None:
            return f"{word} {unit_name('neuron', self.layer, self.unit, self.pos)}"
        return f"{word} {unit_name('latent', layer_read(self.dictionary), self.unit, self.pos)}"


def unit_named(unit: Any, layer: int | None, dictionary: Any) -> tuple[Any, int | None, int | slice | None]:
    """Number, layer and position of a unit given by name, which must be what is given beside it; others as they are."""
    if not isinstance(text := as_text(unit), str):
        return unit, layer, None
    found = UnitName.parse(text, "neuron", "latent")
    if found is None:
        raise BadInput(f"'{text[:40]}' names no unit; write L5N120 for a neuron or L4F650 for a latent.{nearly(text)}")
    at = found.layer if dictionary is None else layer_read(dictionary)
    if (found.kind == "latent") != (dictionary is not None) or at != found.layer or layer not in (None, found.layer):
        raise BadInput(
            f"{found} and what was given beside it are not one unit: a latent needs its dictionary, a neuron none."
        )
    return found.unit, layer if dictionary is not None else found.layer, found.pos


def edit_units(model: "TransformerBridge", edits: Sequence[UnitEdit]) -> list[Function]:
    """Interventions for `intervene`, one for all units of a layer or dictionary that share their positions.

    Raises BadInput for a unit, layer or mode there is not, and for edits of one unit that overlap.

    >>> changes = ow.edit_units(model, [ow.UnitEdit("clamp", "L2N5", amount=3.0)])
    >>> with ow.intervene(model, changes):
    ...     logits = model(ids)
    """
    single = [one for edit in edits for one in _by_position(edit)]
    for edit in single:
        _check(edit, model)
    _refuse_overlap(single)
    taps, changes = [], []
    for group in _grouped(single):
        first = group[0]
        made = _neurons(group) if first.dictionary is None else _latents(group, model)
        taps += made[0]
        changes += made[1]
    return [*taps, *changes]  # what is read at a site is read before anything there is changed


def unit_values(
    model: "TransformerBridge",
    tokens: Prompts,
    *,
    layer: int | None = None,
    dictionary: Any | None = None,
) -> Float[Tensor, "batch pos unit"]:
    """Activations of a layer's neurons, or of a dictionary's latents, in one run: what `restore` restores. Of several prompts NaN
    stands behind those that are shorter.

    >>> ow.unit_values(model, "When Mary and John went to", layer=2).shape  # batch, position, neuron
    torch.Size([1, 8, 128])
    """
    site = _neuron_site(layer) if dictionary is None else parse_site(dictionary.site_in, model)
    found = capture(model, tokens, [site])
    value = found[site.name]
    if dictionary is None:
        return value
    read = encoded(dictionary, per_token(value).nan_to_num() if len(set(found.lengths)) > 1 else per_token(value))
    return without_padding(read, found.lengths, 1)


def encoded(dictionary: Any, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_dict"]:
    """Latents by the rule of inference, whatever mode the dictionary was left in."""
    training = bool(getattr(dictionary, "training", False))
    if training:
        dictionary.eval()
    try:
        with torch.no_grad():
            return dictionary.encode(x.to(dictionary.W_enc))
    finally:
        if training:
            dictionary.train()


def _neuron_site(layer: int | None) -> Site:
    if layer is None:
        raise BadInput("An edit needs the layer of a neuron, or the dictionary of a latent.")
    return Site("mlp_post", layer)


def _by_position(edit: UnitEdit) -> list[UnitEdit]:
    """Values recorded by position become one edit each."""
    if not (isinstance(edit.amount, Tensor) and edit.amount.ndim):
        return [edit]
    n, pos = len(edit.amount), edit.pos
    at = [pos] if isinstance(pos, int) else range(*(pos or slice(None)).indices(n))
    if any(not -n <= p < n for p in at):
        raise BadInput(f"'{edit.name}' asks for position {pos}, but the recorded run has {n} positions.")
    return [UnitEdit(edit.mode, edit.unit, p, float(edit.amount[p]), edit.layer, edit.dictionary) for p in at]


def _check(edit: UnitEdit, model: "TransformerBridge") -> None:
    if edit.mode not in MODES:
        raise BadInput(f"There is no edit '{edit.mode}'; choose one of {', '.join(WORDS.get(m, m) for m in MODES)}.")
    if (edit.layer is None) == (edit.dictionary is None):
        raise BadInput("An edit needs the layer of a neuron or the dictionary of a latent, and not both.")
    require_there(model, edit.unit, edit.layer, edit.dictionary)
    if not torch.isfinite(torch.as_tensor(edit.amount)).all():
        raise BadInput(f"'{edit.name}' has an amount of {edit.amount}; a finite number was wanted.")


def require_there(model: "TransformerBridge", unit: int, layer: int | None, dictionary: Any | None) -> None:
    """BadInput for a neuron the model lacks, or a latent that its dictionary lacks."""
    if dictionary is not None:
        if len(getattr(dictionary, "sites_in", ())) > 1:
            raise BadInput(
                f"{owner_name(dictionary)} reads several places at once, so one of its latents has no single input to encode."
            )
        parse_site(dictionary.site_in, model)
        if not 0 <= unit < (n := dictionary.W_enc.shape[1]):
            name = unit_name("latent", layer_read(dictionary), unit)
            raise BadInput(f"There is no latent {name}: its dictionary has latents 0 to {n - 1}.")
        return
    site = _neuron_site(layer)
    there = site.layer is not None and 0 <= site.layer < model.cfg.n_layers
    n = width(in_model(site, model), model) if there else int(model.cfg.d_mlp or 0)
    require_unit("neuron", site.layer or 0, unit, model.cfg.n_layers, n)


def _owner(edit: UnitEdit) -> tuple[int, int]:
    return (-1 if edit.layer is None else edit.layer, 0 if edit.dictionary is None else id(edit.dictionary))


def _refuse_overlap(edits: Sequence[UnitEdit]) -> None:
    """Two edits of one unit at one position would each start from the unit's untouched value."""
    seen: dict[tuple[Any, int], list[UnitEdit]] = {}
    for edit in edits:
        for other in seen.setdefault((_owner(edit), edit.unit), []):
            if _overlap(edit.pos, other.pos):
                raise BadInput(
                    f"'{other.name}' and '{edit.name}' change one unit at one position; give one edit there."
                )
        seen[_owner(edit), edit.unit].append(edit)


def _overlap(a: int | slice | None, b: int | slice | None) -> bool:
    """Whether two sets of positions can meet; from the end and from the start together, they can."""
    (first, last), (start, stop) = _ends(a), _ends(b)
    if (first < 0) != (start < 0):
        return True
    return max(first, start) < min(last, stop)


def _ends(pos: int | slice | None) -> tuple[float, float]:
    if pos is None:
        return 0, float("inf")
    if isinstance(pos, int):
        return pos, pos + 1
    first = pos.start or 0
    last = pos.stop if pos.stop is not None else float("inf") if first >= 0 else 0
    return first, float("inf") if last < 0 <= first else last


def _grouped(edits: Sequence[UnitEdit]) -> list[list[UnitEdit]]:
    groups: dict[Any, list[UnitEdit]] = {}
    for edit in edits:
        pos = (edit.pos.start, edit.pos.stop, edit.pos.step) if isinstance(edit.pos, slice) else edit.pos
        groups.setdefault((_owner(edit), pos), []).append(edit)
    return list(groups.values())


class _Rule:
    """new = factor * current + level, for the units of one group."""

    def __init__(self, group: Sequence[UnitEdit]):
        self.units = torch.tensor([e.unit for e in group])
        factor = [float(e.amount) if e.mode == "scale" else float(e.mode == "steer") for e in group]
        level = [float(e.amount) if e.mode in ("clamp", "restore", "steer") else 0.0 for e in group]
        self.factor = torch.tensor(factor, dtype=torch.float64)
        self.level = torch.tensor(level, dtype=torch.float64)

    def new(self, current: Float[Tensor, "*batch unit"]) -> Float[Tensor, "*batch unit"]:
        return current * self.factor.to(current) + self.level.to(current)


def _neurons(group: Sequence[UnitEdit]) -> tuple[list[Function], list[Function]]:
    rule = _Rule(group)

    def change(value: Tensor) -> Tensor:
        units = rule.units.to(value.device)
        changed = value.clone()
        changed[..., units] = rule.new(value[..., units])
        return changed

    return [], [Function(Place(_neuron_site(group[0].layer), group[0].pos), change)]


def _latents(group: Sequence[UnitEdit], model: "TransformerBridge") -> tuple[list[Function], list[Function]]:
    """Taps that read what the dictionary reads, and one change for each site it writes."""
    dictionary: Any = group[0].dictionary
    pos, rule = group[0].pos, _Rule(group)
    seen: dict[str, Tensor] = {}
    source = parse_site(dictionary.site_in, model)

    def delta(columns: slice) -> Tensor:
        if "x" not in seen:
            raise OpenworkError(f"{source.short} did not fire before what its latents write to.")
        units = rule.units.to(dictionary.W_dec.device)
        current = encoded(dictionary, per_token(seen["x"]))[..., units]
        return (rule.new(current) - current) @ dictionary.W_dec[units][:, columns].detach()

    ends = torch.tensor(_widths_out(dictionary)).cumsum(0).tolist()
    changes = [
        Function(Place(parse_site(site, model), pos), _adding(delta, slice(end - w, end)))
        for site, end, w in zip(_sites_out(dictionary), ends, _widths_out(dictionary), strict=True)
    ]

    def keep(value: Tensor) -> Tensor:
        seen["x"] = value
        return value

    return [Function(Place(source, pos), keep)], changes


def _adding(delta: Any, columns: slice) -> Any:
    return lambda value: value + delta(columns).to(value).view_as(value)


def _sites_out(dictionary: Any) -> tuple[str, ...]:
    return tuple(getattr(dictionary, "sites_out", None) or (dictionary.site_out,))


def _widths_out(dictionary: Any) -> tuple[int, ...]:
    return tuple(getattr(dictionary, "widths_out", None) or (dictionary.W_dec.shape[1],))
