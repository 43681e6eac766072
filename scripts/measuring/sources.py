"""The Python files of a package, read and parsed once, each with the name that it is imported by."""

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file."""

    path: Path
    module: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The package that it lies in: itself, where it is an `__init__`."""
        return self.module if self.path.stem == "__init__" else self.module.rpartition(".")[0]

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method, those inside others too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())


def sources(root: Path, *packages: str) -> list[Source]:
    """All files of these packages, in order of their paths."""
    return [_read(path, root) for package in packages for path in sorted((root / package).rglob("*.py"))]


def _read(path: Path, root: Path) -> Source:
    parts = path.relative_to(root).with_suffix("").parts
    text = path.read_text(encoding="utf8")
    return Source(path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts), text, ast.parse(text))
