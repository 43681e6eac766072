"""What a method's result looks like, in small: a chart, rows, a strip of tokens, a sentence, as its record's panels are.

Read off the source text of the record's class, as declarations are, since the class itself would bring torch. It says what sorts
of panel there are and not what they show; the browser draws it with style alone (`assets/20-methods.css`).
"""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from dash import html

from probe.methods.reading import Method

SORTS = ("Figure", "Rows", "Tokens")


@cache
def sorts_of(about: Method) -> tuple[str, ...]:
    """Sorts of panel that the record of this method shows, in their order; as far as its own file tells, and the file that it has
    the record from."""
    tree = _tree(about.module)
    made = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == about.function), None)
    named = ast.unparse(made.returns).strip("'\"") if made is not None and made.returns is not None else ""
    kind = _class(tree, named)
    return _of_class(kind) if kind is not None else ()


def _tree(module: str) -> ast.Module:
    """The text of a module; nothing where there is no file of it."""
    spec = find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return ast.parse("")
    return ast.parse(Path(spec.origin).read_text(encoding="utf8"))


def _class(tree: ast.Module, name: str, follow: bool = True) -> ast.ClassDef | None:
    """A class that a file defines, or imports from the one that does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
        if follow and isinstance(node, ast.ImportFrom) and node.module and name in [one.name for one in node.names]:
            return _class(_tree(node.module), name, follow=False)
    return None


def picture(about: Method) -> html.Div:
    """The picture."""
    found = sorts_of(about) or ("Rows",)
    return html.Div(
        [html.I(className=sort.lower()) for sort in found[:3]], className="ow-mini", **{"aria-hidden": "true"}
    )


def _of_class(kind: ast.ClassDef) -> tuple[str, ...]:
    methods = {n.name: n for n in kind.body if isinstance(n, ast.FunctionDef)}
    has_figure = any(k.arg == "figure" and ast.unparse(k.value) == "True" for k in kind.keywords)
    standard = [*(["Figure"] if has_figure else []), *(["Rows"] if "rows" in methods else [])]
    if "panels" not in methods:
        return tuple(standard)
    text = ast.unparse(methods["panels"])
    called = [ast.unparse(n.func) for n in ast.walk(methods["panels"]) if isinstance(n, ast.Call)]
    own = sorted((name for name in set(called) & set(SORTS)), key=lambda name: text.index(f"{name}("))
    return tuple(dict.fromkeys([*(standard if "super()" in text else []), *own]))
