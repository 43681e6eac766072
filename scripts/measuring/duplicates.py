"""The same thing written twice: bodies of functions, or runs of statements inside them, that are equal under other names.

Parameters and local names are numbered in the order in which they appear; names from outside, attributes, strings and numbers
stay as they are. Two pieces that are then equal, and large enough that it is no coincidence, are one thing written twice. What is
alike but for a constant is not counted: whether that is one thing is for a reader to judge.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from scripts.measuring.sources import Function, Source

WHOLE = 15
"""Nodes of a body's syntax tree, without its docstring; `return [f(x) for x in xs if x]` has about as many."""
RUN = 3, 20
"""Statements in a row, and nodes of their trees together."""
NAMED = {
    ast.Name: "id",
    ast.arg: "arg",
    ast.ExceptHandler: "name",
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
}
"""Where a node keeps a name that its author chose."""
IGNORED = ("ctx", "kind", "type_comment")
Shape = tuple[int, int]
"""A hash of a syntax tree in which chosen names do not count, and how many nodes it has."""


@dataclass(frozen=True)
class Piece:
    """Statements that follow one another in a function."""

    function: str
    statements: tuple[ast.stmt, ...]
    own: frozenset[str]

    @property
    def place(self) -> str:
        return f"{self.function}:{self.statements[0].lineno}"


def duplicates(files: Iterable[Source]) -> list[list[str]]:
    """Groups of places, `module.function:line`; of two functions that share several pieces the first is named."""
    alike: dict[tuple[int, ...], list[Piece]] = defaultdict(list)
    for file in files:
        for shape, piece in pieces(file):
            alike[shape].append(piece)
    equal: dict[tuple[tuple[int, ...], str], list[Piece]] = defaultdict(list)
    for shape, some in alike.items():
        for piece in some if len(some) > 1 else ():  # few are alike in shape, and spelling takes time
            equal[shape, spelled(piece.statements, piece.own, {})].append(piece)
    groups: dict[frozenset[str], list[str]] = {}
    for some in equal.values():
        places = sorted({piece.place for piece in some})
        if len(places) > 1:
            groups.setdefault(frozenset(piece.function for piece in some), places)
    return sorted(groups.values())


def pieces(file: Source) -> Iterator[tuple[tuple[int, ...], Piece]]:
    """Every body and every shortest run that counts, with the shapes of its statements."""
    known: dict[ast.stmt, Shape] = {}
    for function, name in named_functions(file.tree, file.module):
        own = frozenset(names(function))
        body = function.body[ast.get_docstring(function, clean=False) is not None :]
        for block in (body, *inner_blocks(body)):
            shapes = [shape(statement, known) for statement in block]
            for start, end in windows([n for _, n in shapes], whole=block is body):
                yield tuple(h for h, _ in shapes[start:end]), Piece(name, tuple(block[start:end]), own)


def windows(nodes: list[int], whole: bool) -> set[tuple[int, int]]:
    """Where the pieces of a block begin and end, by the sizes of its statements."""
    statements, least = RUN
    runs = ((i, i + statements) for i in range(len(nodes) - statements + 1))
    body = {(0, len(nodes))} if whole and sum(nodes) >= WHOLE else set()
    return body | {(i, j) for i, j in runs if sum(nodes[i:j]) >= least}


def named_functions(node: ast.AST, inside: str) -> Iterator[tuple[Function, str]]:
    """Every function with its whole name."""
    for child in ast.iter_child_nodes(node):
        name = f"{inside}.{child.name}" if isinstance(child, Function | ast.ClassDef) else inside
        if isinstance(child, Function):
            yield child, name
        yield from named_functions(child, name)


def inner_blocks(statements: Iterable[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """The blocks inside loops, conditions and the like, but not in inner functions, which speak for themselves."""
    for node in statements:
        if isinstance(node, Function | ast.ClassDef):
            continue
        parts: list[Any] = [node, *getattr(node, "handlers", []), *getattr(node, "cases", [])]
        for block in (getattr(part, field, []) for part in parts for field in ("body", "orelse", "finalbody")):
            if block:
                yield block
                yield from inner_blocks(block)


def names(function: Function) -> set[str]:
    """The parameters and local names: what the author was free to choose."""
    nodes = [node for node in ast.walk(function) if node is not function]
    own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    own |= {node.name for node in nodes if isinstance(node, Function | ast.ExceptHandler) and node.name}
    return own - {name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}


def shape(value: Any, known: dict[ast.stmt, Shape]) -> Shape:
    """The shape of a syntax tree; of a statement it is kept, since blocks lie in one another."""
    if isinstance(value, list):
        below = [shape(one, known) for one in value]
        return hash(tuple(h for h, _ in below)), sum(n for _, n in below)
    if not isinstance(value, ast.AST):
        return hash(repr(value)), 0
    if value in known:
        return known[value]
    chosen = (NAMED.get(type(value)), *IGNORED)
    below = [shape(part, known) for field, part in ast.iter_fields(value) if field not in chosen]
    made = hash((type(value).__name__, *(h for h, _ in below))), 1 + sum(n for _, n in below)
    if isinstance(value, ast.stmt):
        known[value] = made
    return made


def spelled(value: Any, own: frozenset[str], numbers: dict[str, int]) -> str:
    """A syntax tree as a text in which each name of the author's own is a number."""
    if isinstance(value, list | tuple):
        return f"[{','.join(spelled(one, own, numbers) for one in value)}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    parts = [type(value).__name__]
    for field, part in ast.iter_fields(value):
        if field == NAMED.get(type(value)) and part in own:
            parts.append(f"#{numbers.setdefault(part, len(numbers))}")
        elif field not in IGNORED:
            parts.append(spelled(part, own, numbers))
    return f"({' '.join(parts)})"
