"""What a job found, as files: records of these classes and no others, written and read by `probe.artifacts.records`."""

import inspect
from pathlib import Path
from typing import Any

from probe.artifacts import records
from probe.artifacts.manifest import ModelStamp
from probe.artifacts.records import RECORD
from probe.show.beside import saves

__all__ = ["CLASSES", "RECORD", "read_record", "write_record"]

CLASSES = {
    "app.pages.circuit.suggested": ("Suggested",),
    "circuits.patching.record": ("Control", "PatchingSweep"),
    "circuits.patching.sides": ("Pair", "Side"),
    "circuits.supernodes.groups": ("Group",),
    "circuits.validation.records": ("RootEffect", "SetEffect", "Movements", "PromptTest", "SubgraphTest"),
    "probe.statistics": ("Agreement",),
    "circuits.faithfulness.sufficiency": ("RootShare", "Sufficiency"),
    "probe.artifacts.manifest": ("ModelStamp",),
    "probe.interventions.edited_run": ("Candidate", "EditedRun"),
    "probe.features.on_text": ("OwnText",),
}
"""Modules and the records of theirs that a file may hold."""


def write_record(folder: Path, record: object) -> None:
    """Put a record into `record.json` and its arrays into `arrays.safetensors`. TypeError for what is no record."""
    records.write_record(folder, record, CLASSES)


def save_named(record: Any, folder: Path, model: ModelStamp | None) -> Path:
    """Store what a method found under a name that somebody chose, with its model's stamp where the files have a place for one."""
    takes = inspect.signature(saver).parameters if (saver := saves.of(type(record))) else {}
    return record.save(folder, **({"model": model} if "model" in takes else {}))


def read_record(folder: Path) -> Any:
    """The record of a folder. Unavailable where it is damaged."""
    return records.read_record(folder, CLASSES)
