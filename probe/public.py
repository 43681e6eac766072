"""The public names of a package: listed once, with their types, in its stub; imported when first used.

    # probe/__init__.pyi
    from probe.model.load import load_model as load_model

Type checkers and editors read the stub, so they know each name and flag any other. At run time the same lines say where a name
lives; importing the package reads them and nothing else, because torch alone takes two seconds.
"""

import ast
import difflib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from probe import moved
from probe.asked_of import asked_of_a_model


def homes(package_file: str) -> dict[str, str]:
    """Where each public name of the package lives, by name: the lines `from MODULE import NAME as NAME` of its stub."""
    stub = Path(package_file).with_suffix(".pyi")
    lines = (line for line in ast.parse(stub.read_text(encoding="utf8")).body if isinstance(line, ast.ImportFrom))
    return {str(one.asname): str(line.module) for line in lines for one in line.names if one.asname}


def attach(package: str, package_file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package with a stub."""
    known = homes(package_file)
    moved.install()

    def find(name: str) -> Any:
        if name not in known:
            raise AttributeError(missing(package, package_file, name, known), name=name)
        return asked_of_a_model(getattr(import_module(known[name]), name))

    return find, lambda: sorted(known), list(known)


def missing(package: str, package_file: str, name: str, known: dict[str, str]) -> str:
    """What is said of a name that is not public: the module it is, or the names that look like it."""
    said = f"{package} has no public name '{name}'."
    if name.startswith("_"):
        return said
    if (Path(package_file).parent / f"{name}.py").is_file() or (Path(package_file).parent / name).is_dir():
        return f"{said} It is a module: `import {package}.{name}`."
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    near = [n for n in known if n.casefold() == name.casefold()]
    return f"{said} Did you mean {' or '.join(dict.fromkeys([*near, *close]))}?" if close or near else said
