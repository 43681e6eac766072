"""Changes as people write them, made into what `intervene` runs: the same words in Python, on the command line and on a page.

    ablate:L9H6               a head set to zero; `zero:` says the same
    scale=2:L5N120@3          a neuron doubled at position 3
    clamp=8:L4F650@-1         a latent held at 8 at the last position of the prompt; its dictionary is given beside
    add=5:L4F650@4:           5 added along what a latent writes, from position 4 on; `steer=` says the same
    ablate:mlp_out.4@2        a whole site
    mean:L9H6                 held at its mean over the positions of the prompt that is run (a head, unit or site)
    patch:L9H6@-1             its values of another prompt's run, position for position; that prompt is given beside

Interventions name their units alike: `Zero("L9H6")`, `Clamp("L4F650@3", 8.0)`. A latent is no part of the model: it needs the
dictionary it belongs to, and becomes an edit of what that writes (`probe.interventions.unit_edits`).
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from probe.dictionaries.owners import layer_read, owner_name, owner_names, parts_of
from probe.errors import BadInput, brief
from probe.interventions import values as on
from probe.interventions.change_text import EXAMPLES, WORDS, Change, parse_change
from probe.interventions.forward import capture
from probe.interventions.places import Place, head, place, require_named_unit, where_name
from probe.interventions.unit_edits import UnitEdit, edit_units, unit_values
from probe.model.sites import parse_site
from probe.model.unit_names import UnitName, unit_name

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Runs = tuple[Sequence[int] | None, Sequence[int] | None]
"""Token ids of the prompt that is changed, and of the one that values are taken of."""


def read_changes(
    model: "TransformerBridge",
    changes: Any,
    dictionaries: Sequence[Any] = (),
    ids: Sequence[int] | None = None,
    other: Sequence[int] | None = None,
) -> list[Any]:
    """Interventions and unit edits from changes in any form: texts, interventions at units by name, unit edits. ids: of the
    prompt that they are for, over which means are taken; other: of the prompt that `patch:` takes values of."""
    given = [changes] if isinstance(changes, str | UnitEdit) or hasattr(changes, "at") else changes
    if not isinstance(given, Iterable) or isinstance(given, Mapping | bytes):
        raise BadInput(f"Changes are a list, each an intervention or text like {EXAMPLES}; {brief(changes)} came.")
    learned = [part for one in dictionaries for part in parts_of(one)]
    return [_read(model, one, learned, (ids, other)) for one in given]


def interventions_of(model: "TransformerBridge", changes: Any, dictionaries: Sequence[Any] = ()) -> list[Any]:
    """What `intervene` runs: interventions as they are, unit edits grouped."""
    read = read_changes(model, changes, dictionaries)
    units = [c for c in read if isinstance(c, UnitEdit)]
    return [*(c for c in read if not isinstance(c, UnitEdit)), *(edit_units(model, units) if units else ())]


def names_of(changes: Sequence[Any]) -> list[str]:
    """Each change as people read it; latents of two dictionaries of one layer with their dictionary beside them."""
    learned = [c.dictionary if isinstance(c, UnitEdit) else None for c in changes]
    owners = iter(owner_names([d for d in learned if d is not None]))
    told = [next(owners) if d is not None else "" for d in learned]
    return [name_of(c) + (f" of {owner}" if owner else "") for c, owner in zip(changes, told, strict=True)]


def name_of(change: Any) -> str:
    """`ablate L9H6`, `ablate L5N120@3`, `add resid_post.6`, `knockout L1H0@2←0`: a change as people read it."""
    if isinstance(change, UnitEdit):
        return change.name
    if isinstance(change, on.Knockout):
        which = f"L{change.layer}" if change.head is None else unit_name("head", change.layer, change.head)
        return f"knockout {which}@{change.query}←{change.key}"
    if isinstance(change, on.Splice):
        return f"splice {owner_name(change.dictionary)} at {place(change.at).site.short}"
    if not hasattr(change, "at"):
        return type(change).__name__.lower()
    word = type(change).__name__.lower()
    return f"{WORDS.get(word, word)} {where_name(change.at)}"


def _read(model: "TransformerBridge", change: Any, dictionaries: Sequence[Any], prompts: Runs) -> Any:
    if isinstance(change, UnitEdit):
        return change
    if isinstance(change, str):
        asked = parse_change(change)
        if asked.how in ("mean", "restore"):
            return (_at_mean if asked.how == "mean" else _of_other)(model, asked, dictionaries, prompts)
        return _from_text(model, asked, dictionaries)
    if not hasattr(change, "at") or not hasattr(change, "change"):
        raise BadInput(
            f"{type(change).__name__} {str(change)[:60]} is no change. Give interventions like Zero('L9H6'), unit edits, or text "
            f"like {EXAMPLES}."
        )
    unit = UnitName.parse(change.at) if isinstance(change.at, str) else None
    if unit is not None and unit.kind == "latent":
        return _of_latent(change, unit, dictionaries)
    placed = _placed(model, change) if isinstance(change.at, str) else change
    if isinstance(placed, on.Steer) and placed.direction is None and place(placed.at).unit is None:
        raise BadInput(f"Steer at {change.at} needs a direction; only a single neuron or latent has its own.")
    return placed


def _placed(model: "TransformerBridge", change: Any) -> Any:
    """The same intervention at the place that its text names in this model."""
    where = place(change.at) if UnitName.parse(change.at) else Place(parse_site(change.at, model))
    placed = copy.copy(change)
    object.__setattr__(placed, "at", where)  # these are frozen
    return placed


def _from_text(model: "TransformerBridge", change: Change, dictionaries: Sequence[Any]) -> Any:
    """A unit edit for a neuron or latent; an intervention for a head or a site."""
    how, amount, where, pos = change
    if isinstance(where, UnitName) and where.kind != "head":
        if where.kind == "neuron":
            return UnitEdit(how, where.unit, pos, amount, layer=where.layer)
        return UnitEdit(how, where.unit, pos, amount, dictionary=_owner(where, dictionaries))
    if how == "steer":
        raise BadInput(f"{where} has no direction of its own; add=... is for neurons and latents. See Steer in Python.")
    if isinstance(where, UnitName):
        at = head(where.layer, where.unit, pos)
        require_named_unit(at, model)
    else:
        at = Place(parse_site(where, model), pos)
    return {"zero": lambda: on.Zero(at), "scale": lambda: on.Scale(at, amount), "clamp": lambda: on.Clamp(at, amount)}[
        how
    ]()


def _at_mean(model: "TransformerBridge", change: Change, dictionaries: Sequence[Any], prompts: Runs) -> Any:
    """A head, neuron, latent or site held at its mean over the positions of a prompt."""
    ids = prompts[0]
    if ids is None:
        raise BadInput(
            f"The mean of {change.where} is over the positions of a prompt, and none is known here. Ask for it in edited_run "
            "or generate_with, or give the number itself: Mean(place, value)."
        )
    tokens, where = torch.tensor([list(ids)], device=model.W_E.device), change.where
    if isinstance(where, UnitName) and where.kind == "latent":
        owner = _owner(where, dictionaries)
        mean = unit_values(model, tokens, dictionary=owner)[0, :, where.unit].mean()
        return UnitEdit("clamp", where.unit, change.pos, float(mean), dictionary=owner)
    at = place(where, change.pos) if isinstance(where, UnitName) else Place(parse_site(where, model), change.pos)
    require_named_unit(at, model)
    if "pos" not in at.site.axes:
        raise BadInput(f"{at.site.short} has no axis of positions to take a mean over.")
    value = capture(model, tokens, [at.site])[at.site.name][0]
    index = next((i for i in (at.head, at.unit) if i is not None), None)
    return on.Mean(at, (value if index is None else value[:, index]).mean(0))


def _of_other(model: "TransformerBridge", change: Change, dictionaries: Sequence[Any], prompts: Runs) -> Any:
    """A head, neuron, latent or site with the values that it has in another prompt's run, position for position."""
    (ids, other), where = prompts, change.where
    if ids is None or other is None:
        raise BadInput(
            f"patch:{where} puts in what another prompt's run has there, and no other prompt is known here. Give it to "
            "edited_run as other='...' (--with on the command line), or your own numbers: Patch(place, value)."
        )
    mine, theirs = _windows_of(change, len(ids), len(other))
    tokens = torch.tensor([list(other)], device=model.W_E.device)
    if isinstance(where, UnitName) and where.kind != "head":
        owner = {"dictionary": _owner(where, dictionaries)} if where.kind == "latent" else {"layer": where.layer}
        amounts = torch.zeros(len(ids), dtype=torch.float64)
        amounts[mine] = unit_values(model, tokens, **owner)[0, theirs, where.unit].double().cpu()
        return UnitEdit("restore", where.unit, mine, amounts, **owner)
    at = place(where, mine) if isinstance(where, UnitName) else Place(parse_site(where, model), mine)
    require_named_unit(at, model)
    if "pos" not in at.site.axes:
        raise BadInput(
            f"{at.site.short} has no axis of positions to put another run's values in; patch z or q, k, v there."
        )
    value = capture(model, tokens, [at.site])[at.site.name][:, theirs]
    return on.Patch(at, value if at.head is None else value[:, :, at.head])


def _windows_of(change: Change, n: int, m: int) -> tuple[slice, slice]:
    """The positions of a change in the run that is changed, of n tokens, and in the other, of m: equally many."""
    pos = change.pos
    if isinstance(pos, int):
        pos = slice(pos, pos + 1 or None)
    both = [range(*(pos or slice(None)).indices(length)) for length in (n, m)]
    if len(both[0]) != len(both[1]) or not both[0]:
        raise BadInput(
            f"patch:{change.where} puts a position in the place of the same one, and the prompts have {n} and {m} tokens. Name "
            f"positions that both have, like patch:{str(change.where).partition('@')[0]}@-1 for the last."
        )
    mine, theirs = (slice(one.start, one.stop) for one in both)
    return mine, theirs


def _of_latent(change: Any, unit: UnitName, dictionaries: Sequence[Any]) -> UnitEdit:
    """An intervention at a latent as the edit of what its dictionary writes."""
    made: dict[type, tuple[str, Any]] = {
        on.Zero: ("zero", 0.0),
        on.Scale: ("scale", getattr(change, "factor", 0.0)),
        on.Clamp: ("clamp", getattr(change, "level", 0.0)),
        on.Mean: ("restore", getattr(change, "mean", 0.0)),
        on.Patch: ("restore", getattr(change, "value", 0.0)),
        on.Steer: ("steer", getattr(change, "scale", 0.0)),
    }
    if type(change) not in made or getattr(change, "direction", None) is not None:
        raise BadInput(
            f"{type(change).__name__} cannot change {unit}: a latent is zeroed, scaled, clamped, patched, or steered along "
            "what it writes (Steer without a direction)."
        )
    how, amount = made[type(change)]
    return UnitEdit(how, unit.unit, unit.pos, amount, dictionary=_owner(unit, dictionaries))


def _owner(unit: UnitName, dictionaries: Sequence[Any]) -> Any:
    """The one dictionary that a latent's name can mean."""
    fitting = [d for d in dictionaries if layer_read(d) == unit.layer]
    if len(fitting) == 1:
        return fitting[0]
    have = ", ".join(owner_name(d) for d in fitting or dictionaries) or "none"
    raise BadInput(
        f"{unit} is a latent: give the one dictionary of layer {unit.layer} it belongs to, as dictionaries=[...] or "
        f"--dictionary NAME. Given were {have}."
    )
