"""How full folders are, how long files and functions, how many parameters, how many of them are `Any`."""

import ast
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.measuring.sources import Function, Source


def fullest_folder(files: Iterable[Source]) -> tuple[int, Path]:
    """How many Python files lie directly in the folder that holds most, its `__init__` not counted, and that folder."""
    counts = Counter(file.path.parent for file in files if file.path.stem != "__init__")
    return max(((n, folder) for folder, n in counts.items()), default=(0, Path()))


def length(function: Function) -> int:
    """Lines from `def` to the last statement, docstring and comments and all; decorators stand before it."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters(function: Function) -> int:
    """How many there are to know when calling it: `self` and `cls` are not."""
    a = function.args
    placed = [*a.posonlyargs, *a.args]
    bound = bool(placed) and placed[0].arg in ("self", "cls")
    return len(placed) - bound + len(a.kwonlyargs) + (a.vararg is not None) + (a.kwarg is not None)


def annotations(function: Function) -> list[ast.expr]:
    """What is said of the types of parameters and result."""
    a = function.args
    given = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]
    return [one for one in (*(g.annotation for g in given if g), function.returns) if one]


def anys(files: Iterable[Source]) -> int:
    """How often `Any` stands in a signature."""
    said = (note for file in files for function in file.functions for note in annotations(function))
    return sum(isinstance(node, ast.Name) and node.id == "Any" for note in said for node in ast.walk(note))


def percentile(values: Sequence[int], share: float = 0.9) -> int:
    """The least value that this share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else 0
