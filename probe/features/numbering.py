"""Units of a table by their names: `L5N120` is number 120 in the table of layer 5, and a later one in that of several."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from probe.errors import BadInput
from probe.model.unit_names import UnitName, as_text, nearly, unit_name

if TYPE_CHECKING:
    from probe.interventions.places import Place


def layer_of(facts: Mapping[str, Any], unit: int) -> tuple[int, int]:
    """The layer of a unit of a table, and its number within that layer."""
    first, layer = max((f, at) for f, at in facts["layers"] if f <= unit)
    return layer, unit - first


def table_number(facts: Mapping[str, Any], unit: "int | str | UnitName | Place", name: str) -> int:
    """The number of a unit in the table `name`; a number, also as a text, as it is. BadInput for a name of a unit that is not
    there."""
    text = as_text(unit)
    if not isinstance(text, str) or text.isdecimal():
        return int(text) if isinstance(text, str) else text
    found = UnitName.parse(text, facts["units"])
    places = [first + found.unit for first, layer in facts["layers"] if found is not None and layer == found.layer]
    there = [
        n for n in places if 0 <= n < facts["n_units"] and found and layer_of(facts, n) == (found.layer, found.unit)
    ]
    if not there:
        first, last = (unit_name(facts["units"], *layer_of(facts, n)) for n in (0, facts["n_units"] - 1))
        raise BadInput(f"{name} holds no unit '{text[:40]}', but {first} to {last}.{nearly(text)}")
    return there[0]
