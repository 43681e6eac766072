"""Declarations read from source text: what a method is called, takes and returns, without importing its file.

The rooms import torch, which takes seconds; a command's help, a form and the catalogue need none of it. So a declaration is
written in plain words that can be read as they stand: texts, numbers, names of kinds (`probe.methods.kinds`) and constants of the
same file. A test holds every declaration against what Python makes of it.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from probe.methods.kinds import KINDS
from probe.methods.plain_kinds import Kind, choice, number

REQUIRED = object()
"""The default of a parameter that has none."""
_HANDED = ("model", "progress")
"""Not asked for as values: the loaded model and the progress are handed in."""


class Undeclared(Exception):
    """A declaration that cannot be read; whoever writes a method sees it in the test of all declarations."""


@dataclass(frozen=True, eq=False)
class Parameter:
    """One parameter: its kind, default (plain) and sentence. optional: None is let in, and means what the sentence says.
    several: a list of the kind. by_name: given by keyword alone."""

    name: str
    kind: Kind
    default: Any
    doc: str
    optional: bool = False
    several: bool = False
    by_name: bool = True

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, eq=False)
class Method:
    """A method as it is declared. module, function: where it lives. summary: the docstring's first sentence; about: all of it.
    of_model: whether it is asked of a loaded model; reports: whether it takes a progress."""

    name: str
    group: str
    paper: str
    plan: str
    module: str
    function: str
    summary: str
    about: str
    parameters: tuple[Parameter, ...]
    of_model: bool
    reports: bool

    def parameter(self, name: str) -> Parameter | None:
        return next((p for p in self.parameters if p.name == name), None)

    def run(self, *given: Any, **named: Any) -> Any:
        """The function itself, imported now."""
        return getattr(_module(self.module), self.function)(*given, **named)

    def planned(self, *given: Any, **named: Any) -> Any:
        """What a call would take; None where the method announces nothing."""
        return getattr(_module(self.module), self.plan)(*given, **named) if self.plan else None


def _module(name: str) -> Any:
    from importlib import import_module

    return import_module(name)


@cache
def declared_in(module: str) -> tuple[Method, ...]:
    """The methods that a module declares, in its order."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ()
    text = Path(spec.origin).read_text(encoding="utf8")
    if "@method(" not in text:
        return ()
    tree = ast.parse(text)
    constants = dict(_constants(tree))
    return tuple(
        _method(module, node, call, constants)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        for call in node.decorator_list
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "method"
    )


def _constants(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Names of a file that stand for plain values."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and node.value is not None:  # type: ignore[union-attr]
                try:
                    yield target.id, ast.literal_eval(node.value)  # type: ignore[union-attr]
                except ValueError:
                    continue


def _method(module: str, node: ast.FunctionDef, call: ast.Call, constants: dict[str, Any]) -> Method:
    where = f"{module}.{node.name}"
    about = said_of(ast.get_docstring(node) or "")
    if not about:
        raise Undeclared(f"{where} has no docstring; its first sentence is what people read of it.")
    named = {k.arg: _plain(k.value, constants, where) for k in call.keywords if k.arg}
    taken = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return Method(
        name=_plain(call.args[0], constants, where),
        group=named["group"],
        paper=named.get("paper", ""),
        plan=named.get("plan", ""),
        module=module,
        function=node.name,
        summary=_first_sentence(about),
        about=about,
        parameters=tuple(_parameters(node, constants, where)),
        of_model=taken[:1] == ["model"],
        reports="progress" in taken,
    )


def said_of(docstring: str) -> str:
    """What everyone reads of a docstring: its example and what it raises are for Python."""
    text = _RAISES.sub("", docstring.partition("\n>>> ")[0])
    paragraphs = ("\n".join(line.rstrip() for line in one.split("\n")).strip("\n") for one in text.split("\n\n"))
    return "\n\n".join(one for one in paragraphs if one.strip())


_RAISES = re.compile(r"(?<!\S)Raises [A-Z]\w+(?:[^.]|\.(?!\s|$))*\.(?=\s|$) ?")
"""A sentence that tells which error comes when; a full stop within a name ends none."""


def _first_sentence(text: str) -> str:
    """The first sentence of the first paragraph, on one line."""
    paragraph = " ".join(text.split("\n\n")[0].split())
    found = re.match(r".+?[.!?](?= [A-Z`]| [a-z_]+: |$)", paragraph)
    return found[0] if found else paragraph


def _parameters(node: ast.FunctionDef, constants: dict[str, Any], where: str) -> Iterator[Parameter]:
    by_position = [*node.args.posonlyargs, *node.args.args]
    missing = [None] * (len(by_position) - len(node.args.defaults))
    pairs = [*zip(by_position, [*missing, *node.args.defaults]), *zip(node.args.kwonlyargs, node.args.kw_defaults)]
    for argument, default in pairs:
        if argument.arg in _HANDED:
            continue
        if argument.annotation is None:
            raise Undeclared(f"{where}: {argument.arg} has no annotation.")
        doc, (kind, optional, several) = _annotation(argument.annotation, constants, f"{where}: {argument.arg}")
        plain = REQUIRED if default is None else _plain(default, constants, f"{where}: {argument.arg}")
        yield Parameter(
            argument.arg,
            kind,
            list(plain) if isinstance(plain, tuple) else plain,
            doc,
            optional,
            several,
            by_name=argument in node.args.kwonlyargs,
        )


def _plain(node: ast.expr, constants: dict[str, Any], where: str) -> Any:
    if isinstance(node, ast.Name) and node.id in constants:
        return constants[node.id]
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise Undeclared(f"{where}: {ast.unparse(node)} is no plain value and no constant of the file.") from error


def _annotation(node: ast.expr, constants: dict[str, Any], where: str) -> tuple[str, tuple[Kind, bool, bool]]:
    """The sentence of a parameter, and its kind."""
    if not (
        isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple)
    ):
        return "", _kind(node, {}, where)
    inner, doc = node.slice.elts[0], node.slice.elts[1]
    if not (isinstance(doc, ast.Call) and ast.unparse(doc.func) == "Doc"):
        raise Undeclared(f"{where}: the annotation's second part is {ast.unparse(doc)}; Doc(...) was wanted.")
    told = {k.arg: _plain(k.value, constants, where) for k in doc.keywords if k.arg}
    return _plain(doc.args[0], constants, where), _kind(inner, told, where)


def _union(node: ast.BinOp, bounds: dict[str, Any], where: str) -> tuple[Kind, bool, bool]:
    """`K | None`, and `K | Sequence[K]`: one alone, or several."""
    parts = [ast.unparse(one) for one in (node.left, node.right)]
    if parts[1] == "None":
        kind, _, several = _kind(node.left, bounds, where)
        return kind, True, several
    if parts[1] != f"Sequence[{parts[0]}]":
        raise Undeclared(f"{where}: {' | '.join(parts)} is no kind of parameter; K | None or K | Sequence[K] is.")
    return _kind(node.right, bounds, where)


def _kind(node: ast.expr, bounds: dict[str, Any], where: str) -> tuple[Kind, bool, bool]:
    """The kind that an annotation names, whether None is let in, whether it is a list of them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value, mode="eval").body
    if isinstance(node, ast.BinOp):
        return _union(node, bounds, where)
    if isinstance(node, ast.Subscript):
        holder = ast.unparse(node.value)
        if holder == "Literal":
            options = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return choice([str(ast.literal_eval(one)) for one in options]), False, False
        if holder in ("list", "Sequence"):
            return _kind(node.slice, bounds, where)[0], False, True
    name = ast.unparse(node)
    if name in ("int", "float"):
        return number(name == "int", bounds.get("least"), bounds.get("most")), False, False
    if name in KINDS:
        return KINDS[name], name == "Layers", False
    raise Undeclared(f"{where}: {name} is no kind of parameter; there are int, float, Literal, {', '.join(KINDS)}.")
