"""What a method's result looks like: the sorts of panel that its record shows.

Read off the source text of the record's class, as declarations are, since the class itself would bring torch. It says what sorts
of panel there are and not what they show.
"""

import ast
from functools import cache

from probe.methods.parameters import Method
from probe.methods.source import statement

SORTS = {
    "Figure": "Figure",
    "chosen_map": "Figure",
    "Rows": "Rows",
    "Chosen": "Rows",
    "Tokens": "Tokens",
    "Aligned": "Tokens",
}
"""What is called to make a panel, and what it looks like."""


@cache
def sorts_of(about: Method) -> tuple[str, ...]:
    """Sorts of panel that the record of this method shows, in their order, as far as the text of its class tells."""
    found = statement(about.module, about.returns)
    return _of_class(found[1]) if found is not None and isinstance(found[1], ast.ClassDef) else ()


def _of_class(kind: ast.ClassDef) -> tuple[str, ...]:
    methods = {n.name: n for n in kind.body if isinstance(n, ast.FunctionDef)}
    has_figure = any(k.arg == "figure" and ast.unparse(k.value) == "True" for k in kind.keywords)
    standard = [*(["Figure"] if has_figure else []), *(["Rows"] if "rows" in methods else [])]
    if "panels" not in methods:
        return tuple(standard)
    text = ast.unparse(methods["panels"])
    called = [ast.unparse(n.func) for n in ast.walk(methods["panels"]) if isinstance(n, ast.Call)]
    own = sorted((name for name in set(called) & set(SORTS)), key=lambda name: text.index(f"{name}("))
    return tuple(dict.fromkeys([*(standard if "super()" in text else []), *(SORTS[name] for name in own)]))
