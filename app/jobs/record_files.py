"""Records as files: what a job found, as one JSON tree with its arrays beside it, and back.

A record is a frozen dataclass of texts, numbers, arrays, and other records. It is written with the name of its class, and read
back only as one of `CLASSES`: a file can name no other code. Nothing is pickled; what does not fit is refused when it is written.
"""

import math
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from probe.artifacts.json import write_json
from probe.artifacts.untrusted import plain_file, read_json, reading

CLASSES = {
    "app.pages.circuit.suggested": ("Suggested",),
    "circuits.patching.record": ("Control", "PatchingSweep"),
    "circuits.patching.sides": ("Pair", "Side"),
    "circuits.supernodes.groups": ("Group",),
    "circuits.validation.records": ("RootEffect", "SetEffect", "Movements", "PromptTest", "SubgraphTest"),
    "circuits.statistics": ("Agreement",),
    "circuits.faithfulness.sufficiency": ("RootShare", "Sufficiency"),
    "probe.artifacts.manifest": ("ModelStamp",),
    "probe.interventions.edited_run": ("Candidate", "EditedRun"),
    "probe.features.on_text": ("OwnText",),
}
"""Modules and the records of theirs that a file may hold."""
RECORD, ARRAYS = "record.json", "arrays.safetensors"
_DEEPEST = 40
_ODD = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def write_record(folder: Path, record: Any) -> None:
    """Put a record into `record.json` and its arrays into `arrays.safetensors`. TypeError for what is no record."""
    arrays: dict[str, np.ndarray] = {}
    write_json(folder / RECORD, _plain(record, arrays))
    if arrays:
        save_file(arrays, folder / ARRAYS)


def read_record(folder: Path) -> Any:
    """The record of a folder. Unavailable where it is damaged."""
    with reading(f"The result in {folder.name}", "make it again from its page"):
        arrays = load_file(plain_file(folder / ARRAYS)) if (folder / ARRAYS).exists() else {}
        return _record(read_json(folder / RECORD), arrays)


def _plain(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A value for JSON; what JSON has no word for is an object with an `@`."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = np.ascontiguousarray(value)
        return {"@": "array", "name": name}
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else {"@": "number", "value": str(float(value))}
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, list | tuple):
        inner = [_plain(v, arrays) for v in value]
        return inner if isinstance(value, list) else {"@": "tuple", "items": inner}
    if isinstance(value, dict):
        return {"@": "dict", "items": [[_plain(k, arrays), _plain(v, arrays)] for k, v in value.items()]}
    module, name = type(value).__module__, type(value).__name__
    if not is_dataclass(value) or name not in CLASSES.get(module, ()):
        raise TypeError(f"a {module}.{name} cannot be stored as a result")
    return {"@": f"{module}:{name}", **{f.name: _plain(getattr(value, f.name), arrays) for f in fields(value)}}


def _record(plain: Any, arrays: dict[str, np.ndarray], depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deep")
    if isinstance(plain, list):
        return [_record(v, arrays, depth + 1) for v in plain]
    if not isinstance(plain, dict):
        return plain
    what = plain["@"]
    if what == "array":
        return arrays[plain["name"]]
    if what == "number":
        return _ODD[plain["value"]]
    if what == "tuple":
        return tuple(_record(v, arrays, depth + 1) for v in plain["items"])
    if what == "dict":
        return {_record(k, arrays, depth + 1): _record(v, arrays, depth + 1) for k, v in plain["items"]}
    return _made(what, {k: _record(v, arrays, depth + 1) for k, v in plain.items() if k != "@"})


def _made(what: str, values: dict[str, Any]) -> Any:
    module, _, name = what.partition(":")
    if name not in CLASSES.get(module, ()):
        raise ValueError(f"{what[:60]!r} is no record")
    found = getattr(import_module(module), name)
    if not set(values) <= {f.name for f in fields(found)}:  # one that came later has its default, or is missed
        raise ValueError(f"{name} has other fields")
    return found(**values)
