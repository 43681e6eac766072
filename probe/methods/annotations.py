"""From the text of an annotation to a kind of parameter: `Annotated[int | None, Doc("How many.", least=1)]`."""

import ast
from dataclasses import dataclass, replace

from probe.doc import Doc
from probe.methods.kinds import KINDS
from probe.methods.plain_kinds import Kind, choice, number
from probe.methods.source import Undeclared, plain, value_of

_NONE = "None"


@dataclass(frozen=True)
class Taken:
    """What an annotation lets in. optional: None too. several: a list of the kind. more: what no file can hold, too."""

    kind: Kind
    optional: bool = False
    several: bool = False
    more: bool = False


def documented(node: ast.expr, module: str, where: str) -> tuple[ast.expr, Doc]:
    """An annotation without its `Doc`, and the `Doc`; of a name, what stands behind it."""
    if (
        isinstance(node, ast.Name)
        and node.id not in KINDS
        and isinstance(alias := value_of(module, node.id), ast.Subscript)
    ):
        node = alias
    if not (
        isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple)
    ):
        return node, Doc()
    inner, doc = node.slice.elts[0], node.slice.elts[1]
    if not (isinstance(doc, ast.Call) and ast.unparse(doc.func) == "Doc"):
        raise Undeclared(f"{where}: the annotation's second part is {ast.unparse(doc)}; Doc(...) was wanted.")
    texts = [plain(one, module, where) for one in doc.args]
    return inner, Doc(*texts, **{k.arg: plain(k.value, module, where) for k in doc.keywords if k.arg})


def taken(node: ast.expr, module: str, doc: Doc, where: str) -> Taken:
    """What an annotation lets in. Undeclared where none of it is a kind of parameter."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value, mode="eval").body
    if isinstance(node, ast.BinOp):
        return _union(node, module, doc, where)
    if isinstance(node, ast.Subscript):
        holder = ast.unparse(node.value)
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if holder == "Literal":
            return Taken(choice([str(ast.literal_eval(one)) for one in inside]))
        if holder in ("list", "Sequence", "tuple"):
            return replace(taken(inside[0], module, doc, where), several=True)
    name = ast.unparse(node)
    if name in ("int", "float"):
        return Taken(number(name == "int", doc))
    if name in KINDS:
        return Taken(KINDS[name], optional=name == "Layers")
    if isinstance(node, ast.Name) and isinstance(alias := value_of(module, name), ast.Subscript):
        return taken(alias, module, doc, where)
    raise Undeclared(f"{where}: {name} is no kind of parameter; there are int, float, Literal, {', '.join(KINDS)}.")


def _union(node: ast.BinOp, module: str, doc: Doc, where: str) -> Taken:
    """`K | None`, `K | Sequence[K]`: one alone, or several; what is no kind stands for what only Python can give."""
    parts = _parts(node)
    found: list[Taken] = []
    for part in parts:
        try:
            found += [] if ast.unparse(part) == _NONE else [taken(part, module, doc, where)]
        except Undeclared:
            continue
    if not found or len({one.kind for one in found}) > 1:
        said = " | ".join(map(ast.unparse, parts))
        raise Undeclared(f"{where}: {said} is no kind of parameter; K | None or K | Sequence[K] is.")
    optional = any(ast.unparse(part) == _NONE for part in parts) or any(one.optional for one in found)
    more = len(found) < len([part for part in parts if ast.unparse(part) != _NONE])
    return Taken(found[0].kind, optional, any(one.several for one in found), more)


def _parts(node: ast.expr) -> list[ast.expr]:
    return [*_parts(node.left), *_parts(node.right)] if isinstance(node, ast.BinOp) else [node]
