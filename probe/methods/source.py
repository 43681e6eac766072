"""Modules as text: the statement that gives a name its meaning, there or where it is imported from. Nothing is imported here."""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class Undeclared(Exception):
    """A declaration that cannot be read; whoever writes one sees it in the test of all declarations."""


@cache
def text_of(module: str) -> str:
    """The text of a module; "" where there is no file of it. Looked for below its first package, since `find_spec` of what is
    further in imports all between."""
    first, *rest = module.split(".")
    spec = find_spec(first)
    if spec is None or spec.origin is None:
        return ""
    there = Path(spec.origin).parent.joinpath(*rest) if rest else Path(spec.origin)
    path = next(
        (p for p in (there, there.with_suffix(".py"), there / "__init__.py") if p.suffix == ".py" and p.is_file()), None
    )
    return path.read_text(encoding="utf8") if path is not None else ""


@cache
def tree_of(module: str) -> ast.Module:
    """The same as a tree."""
    return ast.parse(text_of(module))


@cache
def statement(module: str, name: str) -> tuple[str, ast.stmt] | None:
    """The definition or assignment of a name, and the module where it stands; None where it is none of text."""
    for node in _statements(module):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if found := next((a for a in node.names if (a.asname or a.name) == name), None):
                return statement(node.module, found.name)
        elif name in _names(node):
            return module, node
    return None


def _statements(module: str) -> Iterator[ast.stmt]:
    """Those of the module itself, and what stands in an `if` for type checkers."""
    for node in tree_of(module).body:
        yield from [*node.body, *node.orelse] if isinstance(node, ast.If) else [node]


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def value_of(module: str, name: str) -> ast.expr | None:
    """What is assigned to a name."""
    found = statement(module, name)
    return found[1].value if found and isinstance(found[1], ast.Assign | ast.AnnAssign) else None


def plain(node: ast.expr, module: str, where: str) -> Any:
    """The plain value of an expression: a literal, or a constant's name."""
    value = value_of(module, node.id) if isinstance(node, ast.Name) else None
    try:
        return ast.literal_eval(node if value is None else value)
    except ValueError as error:
        raise Undeclared(f"{where}: {ast.unparse(node)} is no plain value and no constant of the file.") from error
