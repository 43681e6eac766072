"""Declarations read from source text: what a method or a tool is called, takes and returns, without importing its file.

The rooms import torch, which takes seconds; a command's help, a form and the catalogue need none of it. So a declaration is
written in plain words that can be read as they stand: texts, numbers, names of kinds (`probe.methods.kinds`) and constants of the
same file or one it imports. A test holds every declaration against what Python makes of it.

What a function takes as settings stands in their dataclass, once: `@takes_fields("config", EvalConfig)` below `@method` makes
its fields parameters of the method. Commands and forms of what is no method read a dataclass, or a function, with `taken_by`.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from probe.methods.annotations import documented, taken
from probe.methods.parameters import HANDED, REQUIRED, Asks, Method, Parameter
from probe.methods.source import Undeclared, plain, statement, text_of, tree_of

__all__ = ["HANDED", "REQUIRED", "Asks", "Method", "Parameter", "Undeclared", "declared_in", "taken_by"]
_DECORATORS = ("method", "tool")


@cache
def declared_in(module: str) -> tuple[Method, ...]:
    """The methods and tools that a module declares, in its order."""
    if not any(f"@{name}(" in text_of(module) for name in _DECORATORS):
        return ()
    return tuple(
        _method(module, node, call)
        for node in tree_of(module).body
        if isinstance(node, ast.FunctionDef)
        for name in _DECORATORS
        for call in _calls_of(name, node)
    )


@cache
def taken_by(module: str, name: str) -> Asks:
    """What a dataclass of settings takes, or what a function does that has a `Doc`, read from its module's text."""
    found = statement(module, name)
    if found is None or not isinstance(found[1], ast.ClassDef | ast.FunctionDef):
        raise Undeclared(f"{module} has no {name} to read.")
    module, node = found
    if isinstance(node, ast.FunctionDef):
        return Asks(name=name, module=module, parameters=tuple(_parameters(node, module, documented_alone=True)))
    beyond = [one.target.id for one in _annotated(node) if _only_python(one.annotation, module)]
    return Asks(name=name, module=module, parameters=tuple(_fields(node, module)), in_python=tuple(beyond))


def _calls_of(name: str, node: ast.FunctionDef) -> list[ast.Call]:
    """The decorators of this name."""
    return [one for one in node.decorator_list if isinstance(one, ast.Call) and ast.unparse(one.func) == name]


def _method(module: str, node: ast.FunctionDef, call: ast.Call) -> Method:
    where = f"{module}.{node.name}"
    about = said_of(ast.get_docstring(node) or "")
    if not about:
        raise Undeclared(f"{where} has no docstring; its first sentence is what people read of it.")
    named = {k.arg: plain(k.value, module, where) for k in call.keywords if k.arg}
    taken_in = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    page, parameters = ast.unparse(call.func) == "method", tuple(_parameters(node, module))
    if page and (places := [p.name for p in parameters if p.kind.control in ("file", "folder")]):
        raise Undeclared(f"{where}: {places[0]} names a place of this machine, which no page may; make it a tool.")
    return Method(
        **{"group": "", **named},
        name=plain(call.args[0], module, where),
        module=module,
        function=node.name,
        summary=_first_sentence(about),
        about=about,
        parameters=parameters,
        of_model=taken_in[:1] == ["model"],
        without_model=len(node.args.defaults) == len([*node.args.posonlyargs, *node.args.args]),
        handed=tuple(name for name in taken_in if name in HANDED),
        returns=ast.unparse(node.returns).strip("'\"") if node.returns is not None else "",
        in_python=tuple(_in_python(node, module)),
        page=page,
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


def _arguments(node: ast.FunctionDef) -> list[tuple[ast.arg, ast.expr | None]]:
    """Each argument that is asked for, with its default."""
    by_position = [*node.args.posonlyargs, *node.args.args]
    missing = [None] * (len(by_position) - len(node.args.defaults))
    pairs = [*zip(by_position, [*missing, *node.args.defaults]), *zip(node.args.kwonlyargs, node.args.kw_defaults)]
    return [(argument, default) for argument, default in pairs if argument.arg not in HANDED]


def _only_python(annotation: ast.expr | None, module: str) -> bool:
    return annotation is not None and documented(annotation, module, module)[1].in_python


def _settings(node: ast.FunctionDef, module: str) -> dict[str, Asks]:
    """What a function takes as settings, by argument: `takes_fields("config", EvalConfig, ("max_tokens",))` names the fields."""
    found = {}
    for one in _calls_of("takes_fields", node):
        declared = taken_by(module, ast.unparse(one.args[1]))
        some = plain(one.args[2], module, node.name) if len(one.args) > 2 else ()
        found[plain(one.args[0], module, node.name)] = declared.only(*some) if some else declared
    return found


def _in_python(node: ast.FunctionDef, module: str) -> Iterator[str]:
    """What only Python gives: of its own, and of its settings."""
    yield from (a.arg for a, _ in _arguments(node) if _only_python(a.annotation, module))
    for declared in _settings(node, module).values():
        yield from declared.in_python


def _parameters(node: ast.FunctionDef, module: str, documented_alone: bool = False) -> Iterator[Parameter]:
    """The parameters of a function, the fields of its settings among them. documented_alone: those with a `Doc`."""
    settings = _settings(node, module)
    for argument, default in _arguments(node):
        where = f"{module}.{node.name}: {argument.arg}"
        if argument.annotation is None:
            raise Undeclared(f"{where} has no annotation.")
        if documented_alone and not documented(argument.annotation, module, where)[1].text:
            continue
        if argument.arg in settings:
            yield from (replace(p, settings=argument.arg) for p in settings[argument.arg].parameters)
        elif not _only_python(argument.annotation, module):
            yield _parameter(
                argument.arg, argument.annotation, default, module, where, argument in node.args.kwonlyargs
            )


def _annotated(node: ast.ClassDef) -> list[Any]:
    """The fields of a dataclass, as they are written."""
    return [one for one in node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]


def _fields(node: ast.ClassDef, module: str) -> Iterator[Parameter]:
    """The fields of a dataclass. The sentence of each is the text below it."""
    below = dict(zip(node.body, [*node.body[1:], None]))
    for one in _annotated(node):
        if not _only_python(one.annotation, module):
            where, text = f"{module}.{node.name}: {one.target.id}", below[one]
            found = _parameter(one.target.id, one.annotation, one.value, module, where)
            said = ast.get_docstring(ast.Module([text], [])) if text is not None else None
            yield replace(found, doc=found.doc or " ".join((said or "").split()))


def _parameter(
    name: str, annotation: ast.expr, default: ast.expr | None, module: str, where: str, by_name: bool = True
) -> Parameter:
    inner, doc = documented(annotation, module, where)
    found, value = taken(inner, module, doc, where), REQUIRED if default is None else plain(default, module, where)
    value = list(value) if isinstance(value, tuple) else value
    return Parameter(name, found.kind, value, doc.text, found.optional, found.several, by_name, found.more)
