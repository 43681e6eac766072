"""Any record as an artifact folder and back: its fields as one JSON tree, its arrays beside it.

    found.save("runs/results/lens-of-paris")        LensResult.load("runs/results/lens-of-paris")

A record is a frozen dataclass of texts, numbers, arrays, lists and other records. It is written with the name of its class, and a
file can name no other code: what is read back is a frozen dataclass or a named tuple of ours, or a record of a module that
somebody has loaded already. Nothing is pickled; what does not fit is refused when it is written. Records of before a module had
its present name are found by its old one.
"""

import json
import math
import re
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from probe.artifacts.json import write_json
from probe.artifacts.manifest import (
    Manifest,
    ModelStamp,
    check_files,
    found_folder,
    has_manifest,
    read_manifest,
    writing,
)
from probe.artifacts.names import as_path
from probe.artifacts.untrusted import plain_file, read_json, reading
from probe.errors import BadInput, Unavailable
from probe.moved import moved
from probe.show.beside import loads, saves
from probe.show.made import made_by, remember
from probe.show.opening import came_from, origins, unchanged
from probe.show.record import Record
from probe.show.values import as_json, writable

RECORD, ARRAYS, TENSORS, REPORT = "record.json", "arrays.safetensors", "tensors.safetensors", "report.json"
OURS = ("probe", "circuits", "app")
Allowed = Mapping[str, Sequence[str]] | None
"""Modules and the classes of theirs that a file may hold; None for every one of ours that holds values."""
_stamps: dict[int, ModelStamp] = {}
"""Of records that were read from disk, the model that they were made of, while they live."""
_DEEPEST = 40
_ODD = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@saves
def save_record(
    record: Record, folder: Path | str, *, replace: bool = False, command: str = "", model: ModelStamp | None = None
) -> Path:
    """Write a record as an artifact folder, with what it says of itself beside it in `report.json`. model: which model it
    was made of; by default the one that it remembers.

    BadInput where it holds what no file can (a model, a function), or stands in a folder of its own, or where something is there,
    unless replace says it may go.
    """
    folder, kind = as_path(folder), type(record)
    if isinstance(there := getattr(record, "folder", None), Path):
        raise BadInput(f"A {kind.__name__} is stored already, in {there}; copy that folder.")
    facts, made = {"what": kind.__name__, "title": writable(repr(record).split("\n")[0])}, made_by(record)
    facts = {**as_json(record.in_lists()), **facts}
    if made is not None:
        facts, command = {**facts, "call": made}, command or made.get("command", "")
    manifest = Manifest("result", folder.name, model or stamp_known(record), command=command, facts=facts)
    try:
        with writing(folder, manifest, replace=replace) as scratch:
            write_record(scratch, record)
            write_json(scratch / REPORT, as_json(record.to_dict()))
    except TypeError as error:
        raise BadInput(
            f"This {kind.__name__} cannot be stored: {error}. Its numbers are in .to_dict() and .arrays()."
        ) from error
    return folder


def stamp_known(record: Record) -> ModelStamp | None:
    """Of the model that a record came from, or that it was stored with; None where that is not known, is
    gone, or has other weights by now."""
    for source in origins(record):
        if isinstance(source, str):
            return read_manifest(Path(source)).model if has_manifest(Path(source)) else None
        if hasattr(source, "original_model"):
            stamp = import_module("probe.model.fingerprint").stamp  # by name: models stand in a room above
            return stamp(source) if unchanged(record) else None
    return _stamps.get(id(record))


@loads
def load_record(folder: Path | str) -> Record:
    """The record of a folder, or of a result by its name under `home()`. Unavailable where it is damaged.

    >>> ow.load_record("lens").tokens[-1]
    ' went'
    """
    folder = found_folder("result", folder, "Write one with a record's `save`.")
    manifest = read_manifest(folder, "result")
    if not (folder / RECORD).exists():
        raise BadInput(f"{folder} holds a report and no record; what it says is in {REPORT}.")
    if broken := check_files(folder, manifest):
        raise Unavailable(f"In {folder}, {broken[0][:60]} is missing or damaged; restore it or make the record again.")
    record = read_record(folder)
    if manifest.model is not None and isinstance(record, Record):
        _stamp(record, manifest.model)
    return remember(record, manifest.facts.get("call"))


def of_same_model(record: Record, source: Record) -> Record:
    """Remember of a record that it was made of the model that another one was; returns the record."""
    if found := origins(source):
        return came_from(record, *found)
    if (stamp := _stamps.get(id(source))) is not None:
        _stamp(record, stamp)
    return record


def _stamp(record: Record, stamp: ModelStamp) -> None:
    _stamps[id(record)] = stamp
    weakref.finalize(record, _stamps.pop, id(record), None)


def write_record(folder: Path, record: Any, allowed: Allowed = None) -> None:
    """Put a record into `record.json` and its arrays and tensors beside it. TypeError for what is no record."""
    written = _Written(allowed)
    write_json(folder / RECORD, written.plain(record))
    if written.arrays:
        save_file(written.arrays, folder / ARRAYS)
    if written.tensors:
        from safetensors.torch import save_file as save_tensors

        save_tensors(written.tensors, folder / TENSORS)


def read_record(folder: Path, allowed: Allowed = None) -> Any:
    """The record of a folder. Unavailable where it is damaged."""
    with reading(f"The result in {folder.name}", "make it again from its page"):
        arrays: dict[str, Any] = load_file(plain_file(folder / ARRAYS)) if (folder / ARRAYS).exists() else {}
        if (folder / TENSORS).exists():
            from safetensors.torch import load_file as load_tensors

            arrays |= load_tensors(plain_file(folder / TENSORS))
        return _read(read_json(folder / RECORD), arrays, allowed)


class _Written:
    """A record on its way to JSON; what JSON has no word for is an object with an `@`, arrays and tensors are put aside."""

    def __init__(self, allowed: Allowed) -> None:
        self.allowed, self.arrays, self.tensors = allowed, {}, {}

    def plain(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return value if value == writable(value) else {"@": "text", "value": json.dumps(value)}
        if isinstance(value, np.bool_ | np.integer | int):
            return value.item() if isinstance(value, np.generic) else value
        if isinstance(value, float | np.floating):
            return float(value) if math.isfinite(value) else {"@": "number", "value": str(float(value))}
        if isinstance(value, np.ndarray):
            return self._array(value)
        if hasattr(value, "detach") and hasattr(value, "untyped_storage"):
            name = f"t{len(self.tensors)}"
            self.tensors[name] = value.detach().cpu().contiguous().clone()
            return {"@": "array", "name": name}
        if isinstance(value, list):
            return [self.plain(v) for v in value]
        return self._marked(value)

    def _array(self, value: np.ndarray) -> Any:
        if value.dtype.kind in "UO":
            return {"@": "texts", "shape": list(value.shape), "items": [self.plain(v) for v in value.ravel().tolist()]}
        name = f"a{len(self.arrays)}"
        self.arrays[name] = np.ascontiguousarray(value).reshape(value.shape)  # which would give one of no axis an axis
        return {"@": "array", "name": name}

    def _marked(self, value: Any) -> Any:
        if type(value) in (tuple, set, frozenset):
            items = sorted(value) if not isinstance(value, tuple) else value
            return {"@": type(value).__name__, "items": [self.plain(v) for v in items]}
        if isinstance(value, slice):
            return {"@": "slice", "items": [self.plain(v) for v in (value.start, value.stop, value.step)]}
        if isinstance(value, Path):
            return {"@": "path", "value": str(value)}
        if type(value) is dict:
            return {"@": "dict", "items": [[self.plain(k), self.plain(v)] for k, v in value.items()]}
        module, name = type(value).__module__, type(value).__name__
        if isinstance(value, type) or _found(f"{module}:{name}", self.allowed) is not type(value):
            raise TypeError(f"a {module}.{name} cannot be stored as a result")
        return {"@": f"{module}:{name}", **{n: self.plain(getattr(value, n)) for n in _names(type(value))}}


_MADE: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "slice": lambda items: slice(*items),
}


def _read(plain: Any, arrays: dict[str, Any], allowed: Allowed, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deep")
    if isinstance(plain, list):
        return [_read(v, arrays, allowed, depth + 1) for v in plain]
    if not isinstance(plain, dict):
        return plain
    what = plain["@"]
    if what == "array":
        return arrays[plain["name"]]
    if what == "number":
        return _ODD[plain["value"]]
    if what == "text":
        return json.loads(plain["value"])
    if what == "path":
        return Path(plain["value"])
    inside = {k: _read(v, arrays, allowed, depth + 1) for k, v in plain.items() if k != "@"}
    if what == "texts":
        return np.array(inside["items"]).reshape(inside["shape"])
    return _MADE[what](inside["items"]) if what in _MADE else _made(what, inside, allowed)


def _made(what: str, values: dict[str, Any], allowed: Allowed) -> Any:
    found = _found(what, allowed)
    if found is None:
        raise ValueError(f"{what[:60]!r} is no record")
    renamed = getattr(found, "_renamed", {})
    values = {renamed.get(name, name): value for name, value in values.items()}
    if not set(values) <= set(_names(found)):  # one that came later has its default, or is missed
        raise ValueError(f"{found.__name__} has other fields")
    return found(**values)


def _names(kind: type) -> list[str]:
    return [f.name for f in fields(kind) if f.init] if is_dataclass(kind) else list(getattr(kind, "_fields", ()))


def _found(what: str, allowed: Allowed) -> type | None:
    """The class that a file names, if it may hold it."""
    module, _, name = what.partition(":")
    for home in moved().get(module, [module]):
        found = getattr(_module(home), name, None)
        if not isinstance(found, type) or not _holds_values(found):
            continue
        where = found.__module__  # another than `home` where the class has moved and is imported back
        if where != home and where.split(".")[0] not in OURS:
            continue
        if allowed is None or name in allowed.get(where, ()):
            return found
    return None


def _module(name: str) -> Any:
    """A module of ours; of another's only what somebody has loaded."""
    if name.split(".")[0] in OURS and re.fullmatch(r"[a-z]\w*(\.[a-z]\w*)*", name):
        try:
            return import_module(name)
        except ImportError:
            return None
    return sys.modules.get(name)


def _holds_values(kind: type) -> bool:
    """Whether making one does nothing but hold values."""
    ours = kind.__module__.split(".")[0] in OURS
    frozen = is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return (frozen and (ours or issubclass(kind, Record))) or (
        ours and issubclass(kind, tuple) and hasattr(kind, "_fields")
    )
