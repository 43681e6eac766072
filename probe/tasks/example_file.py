"""A file of one's own examples: JSONL, one example a line.

    {"clean": "...", "corrupted": "...", "right": [" Mary"], "wrong": [" John"], "template": "store"}

An answer may stand by itself, without the brackets; `template` may be left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probe.artifacts.untrusted import json_lines
from probe.errors import BadInput, brief
from probe.tasks.example import Example

_WRITE = 'write {"clean": ..., "corrupted": ..., "right": [" Mary"], "wrong": [" John"]}'


def read_examples(path: Path) -> Iterator[tuple[int, Example]]:
    """Each example and the number of its line, as they are asked for. BadInput, with the line, for what is none."""
    for number, told in json_lines(path):
        if not isinstance(told, dict):
            raise BadInput(f"{path}, line {number} is no example ({brief(told)} came); {_WRITE}.")
        if why := _wrong(told):
            raise BadInput(f"{path}, line {number} is no example: {why}; {_WRITE}.")
        sides = {side: [told[side]] if isinstance(told[side], str) else told[side] for side in ("right", "wrong")}
        yield (
            number,
            Example(clean=told["clean"], corrupted=told["corrupted"], template=told.get("template") or "", **sides),
        )


def _wrong(told: dict[str, Any]) -> str:
    """What is wrong with an example, "" where nothing is."""
    if lost := [name for name in ("clean", "corrupted", "right", "wrong") if name not in told]:
        return f"it lacks {lost[0]}"
    for name in ("clean", "corrupted"):
        if not isinstance(told[name], str):
            return f"{name} is {brief(told[name])}, where a text was wanted"
    for name in ("right", "wrong"):
        answers = told[name]
        if not isinstance(answers, str | list) or not all(isinstance(one, str) for one in answers):
            return f"{name} is {brief(answers)}, where a text or a list of texts was wanted"
    template = told.get("template")
    return "" if template is None or isinstance(template, str) else f"template is {brief(template)}, and no text"
