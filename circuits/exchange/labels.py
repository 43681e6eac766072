"""Texts of units from a JSON file whose keys are their names: {"L4F650": "years", "L5N120": "..."}."""

from pathlib import Path

from circuits.exchange.read_neuronpedia import load_json
from probe.errors import BadInput
from probe.model.unit_names import UnitName

LARGEST = 64 << 20
"""Bytes of a file of labels."""


def read_labels(path: Path) -> dict[tuple[int, int], str]:
    """Texts by layer and unit, as `write_neuronpedia` takes them. BadInput for what is no unit or no text."""
    given = load_json(path, LARGEST)
    if not isinstance(given, dict):
        raise BadInput(f"{path} holds a {type(given).__name__}; texts by unit were wanted, like {{'L4F650': 'years'}}.")
    found = {}
    for key, text in given.items():
        unit = UnitName.parse(key, "neuron", "latent")
        if unit is None or unit.pos is not None or not isinstance(text, str):
            raise BadInput(f"{path} has the entry {key[:40]!r}; a unit like L4F650 or L5N120 with a text was wanted.")
        found[unit.layer, unit.unit] = text
    return found
