"""Files whose content is far larger than they are: what they would take is added up from their headers before it is read.

A zip archive can name one stretch of bytes many times, or unfold zeros a thousandfold; a tensor can be rebuilt from one storage
again and again; a YAML file can repeat a part by name, and that one another. What people exchange is numbers that hardly shrink.
"""

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from probe.artifacts.untrusted import plain_file
from probe.errors import BadInput

FOLD, FREE = 8, 64 << 20
"""How many times its own length a file may unfold to; up to `FREE` bytes any file may."""
YAML_BYTES, YAML_VALUES = 512 << 10, 100_000


def room(path: Path) -> int:
    """Bytes that the content of a file may take."""
    return max(FOLD * plain_file(path).stat().st_size, FREE)


def require_archive(path: Path) -> None:
    """BadInput where the entries of a zip archive, unfolded, would take far more than the file."""
    with zipfile.ZipFile(plain_file(path)) as archive:
        total = sum(info.file_size for info in archive.infolist())
    if total > room(path):
        raise BadInput(
            f"{path} has {path.stat().st_size / 1e6:,.1f} MB and would unfold to {total / 1e6:,.0f}; it was not read."
        )


def require_room(tensors: Iterable[Any], path: Path) -> None:
    """BadInput where tensors that share their numbers would take far more than their file once each has its own."""
    total = sum(t.numel() * t.element_size() for t in tensors if isinstance(t, Tensor))
    if total > room(path):
        raise BadInput(
            f"{path} has {path.stat().st_size / 1e6:,.1f} MB and makes tensors of {total / 1e6:,.0f} of it; it was not read."
        )


class _Loader(yaml.SafeLoader):
    """The safe loader, which neither goes down for ever nor merges what is merged of what is merged."""

    merged = depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > 100:
            raise yaml.YAMLError("it is nested too deeply")
        found = super().compose_node(parent, index)
        self.depth -= 1
        return found

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        self.merged += len(node.value)
        if self.merged > YAML_VALUES:
            raise yaml.YAMLError("it merges mappings into each other without end")


def load_yaml(text: str) -> Any:
    """What a short YAML file holds. YAMLError or ValueError where it is none, or holds more than it spells out."""
    if len(text) > YAML_BYTES:
        raise ValueError(f"it has {len(text):,} characters; settings have at most {YAML_BYTES:,}")
    found = yaml.load(text, _Loader)
    if _values(found) > YAML_VALUES:
        raise ValueError(f"its parts, each as often as it is named, are more than {YAML_VALUES:,} values")
    return found


def _values(value: Any) -> float:
    """Values in a tree, with what is named twice counted twice; infinite where a part holds itself."""
    level, total = [value], 0
    for _ in range(200):
        total += len(level)
        if total > YAML_VALUES:
            return math.inf
        inside = [
            part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list | tuple)
        ]
        level = [one for parts in inside for one in parts]
        if not level:
            return total
    return math.inf
