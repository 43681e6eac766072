"""How a unit is written: `L5H3` a head, `L5N120` an MLP neuron, `L5F650` a dictionary's latent, `@3` at one position.

    unit_name("latent", 4, 650, pos=3)      L4F650@3
    UnitName.parse("L4F650@3")              UnitName(layer=4, kind="latent", unit=650, pos=3)

The field's own forms (SAELens, Neuronpedia and papers number layers and units so). A latent is known by its layer and number only
beside its dictionary: `probe/dictionaries/owners.py` says whose each is where latents of two of one layer stand in one list.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probe.errors import BadInput, brief

if TYPE_CHECKING:
    from probe.interventions.places import Place

LETTERS = {"head": "H", "neuron": "N", "latent": "F"}
"""The letter of each kind of unit that has a number."""
KINDS_BY_LETTER = {letter: kind for kind, letter in LETTERS.items()}
_WRITTEN = re.compile(r"[Ll](?P<layer>\d{1,4})(?P<letter>[HNF])(?P<unit>\d{1,9})(?:@(?P<pos>.*))?")
_TYPED = re.compile(r"[Ll]?(?P<layer>\d{1,4})(?P<letter>[HhNnFf.])(?P<unit>\d{1,9})")


@dataclass(frozen=True, order=True)
class UnitName:
    """One unit: `L5H3` is head 3 of layer 5, `L5N120` neuron 120 of its MLP, `L5F650` latent 650 of the dictionary that reads
    there; `L5N120@3` is that neuron at one position."""

    layer: int
    kind: str
    unit: int
    pos: int | slice | None = None

    def __str__(self) -> str:
        return unit_name(self.kind, self.layer, self.unit, self.pos)

    @classmethod
    def parse(cls, text: str, *kinds: str) -> "UnitName | None":
        """The unit that a text names, of one of these kinds (any, where none are told); None where it names no such unit."""
        found = _WRITTEN.fullmatch(text.strip())
        if found is None or KINDS_BY_LETTER[found["letter"]] not in (kinds or KINDS_BY_LETTER.values()):
            return None
        kind, pos = KINDS_BY_LETTER[found["letter"]], position_of(found["pos"], text)
        return cls(int(found["layer"]), kind, int(found["unit"]), pos)

    @classmethod
    def typed(cls, text: str) -> "UnitName | None":
        """As `parse`, forgiving what people type in a hurry: `l5h3`, `5n120`, and `5.3` for a head."""
        found = _TYPED.fullmatch(text.strip())
        if found is None:
            return None
        letter = found["letter"].upper().replace(".", LETTERS["head"])
        return cls(int(found["layer"]), KINDS_BY_LETTER[letter], int(found["unit"]))


def as_text(unit: Any) -> Any:
    """A unit's name where one was given as a `UnitName` or as its `Place`; anything else as it is."""
    if isinstance(unit, UnitName):
        return str(unit)
    numbered = getattr(unit, "head", None) is not None or getattr(unit, "unit", None) is not None
    return place_name(unit) if hasattr(unit, "site") and numbered else unit


def unit_name(kind: str, layer: int | None, unit: int, pos: int | slice | None = None, dictionary: str = "") -> str:
    """`L5N120`, `L5N120@3`, `L5N120@3:`, `L5F650 of NAME`; `L5N?` where a file does not know the unit's number."""
    number = str(unit) if unit >= 0 else "?"
    return f"L{layer}{LETTERS[kind]}{number}{position_name(pos)}" + (f" of {dictionary}" if dictionary else "")


def position_name(pos: int | slice | None) -> str:
    """`@3` for a position, `@4:9` and `@4:` for a range, nothing for all of them."""
    if pos is None:
        return ""
    if isinstance(pos, int):
        return f"@{pos}"
    return f"@{'' if pos.start is None else pos.start}:{'' if pos.stop is None else pos.stop}"


def place_name(where: Any) -> str:
    """`L9H6`, `L5N120@3`, `resid_post.6@2:`: a place of the model as people write it."""
    site, layer = where.site.short, where.site.layer
    if where.head is not None:
        site = unit_name("head", layer, where.head)
    if where.unit is not None:
        site = unit_name("neuron", layer, where.unit) if where.site.kind == "mlp_post" else f"{site}[{where.unit}]"
    return site + position_name(where.pos)


_LOOSE = re.compile(r"L?[ .]*(\d{1,4})[ .:_-]*([HNF])[ .]*(\d{1,9})(@.*)?", re.IGNORECASE)
_LAYER = re.compile(r"L(?:ayer)?[ .]*(\d{1,4})", re.IGNORECASE)


def nearly(text: str) -> str:
    """What is said about the unit that a text nearly names: `l1h0`, `L1.H0`, `1h0`, or a layer alone; nothing for other texts."""
    if found := _LOOSE.fullmatch(text.strip()):
        name = f"L{int(found[1])}{found[2].upper()}{int(found[3])}{found[4] or ''}"
        return f" Did you mean {name}?" if name != text else ""
    if found := _LAYER.fullmatch(text.strip()):
        at = int(found[1])
        return f" That is a layer: a head of it is written L{at}H0, a neuron L{at}N0, its stream resid_post.{at}."
    return ""


def require_unit(kind: str, layer: int, unit: int, n_layers: int, n: int) -> None:
    """BadInput unless a model of so many layers, this one with `n` units of the kind, has the unit."""
    if 0 <= layer < n_layers and 0 <= unit < n:
        return
    name = unit_name(kind, layer, unit) if unit >= 0 else f"{unit} in layer {layer}"
    none = (
        f", and there no {kind}s" if 0 <= layer < n_layers else ""
    )  # of a layer that is not there nothing else is said
    has = f", {kind}s 0 to {n - 1}" if n else none
    raise BadInput(f"There is no {kind} {name}: this model has layers 0 to {n_layers - 1}{has}.")


def require_position(pos: int, n_tokens: int) -> None:
    """BadInput unless a prompt of so many tokens has the position, counted from the start or from the end."""
    if not -n_tokens <= pos < n_tokens:
        raise BadInput(f"The prompt has tokens 0 to {n_tokens - 1}; there is no position {pos}.")


def head_of(layer: "int | str | UnitName | Place", head: int | None = None) -> tuple[int, int]:
    """A head by layer and number, or by its name `L5H3` in place of both."""
    layer = as_text(layer)
    if isinstance(layer, str):
        named = UnitName.parse(layer, "head")
        if named is None or head is not None or named.pos is not None:
            said = nearly(layer) or " Write its name like L5H3, or its layer and its number."
            raise BadInput(f"'{layer[:40]}' is no head.{said}")
        return named.layer, named.unit
    if not isinstance(layer, int):
        raise BadInput(f"{brief(layer)} is no head. Write its name like L5H3, or its layer and its number.")
    if head is None:
        raise BadInput(f"Which head of layer {layer}? Give its number too, or its name like L5H3.")
    return layer, head


def position_of(text: str | None, whole: str = "") -> int | slice | None:
    """Positions as written behind `@`: `3`, `-1`, `4:9`, `4:`; None where nothing is."""
    if text is None:
        return None
    found = re.fullmatch(r"(-?\d{1,7})|(-?\d{1,7})?:(-?\d{1,7})?", text.strip())
    if found is None:
        raise BadInput(
            f"'{text[:20]}' in '{whole[:60]}' is no position; write @3, @-1 for the last, or @4:9 for a range."
        )
    if found[1] is not None:
        return int(found[1])
    return slice(*(int(i) if i is not None else None for i in (found[2], found[3])))
