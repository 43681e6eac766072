"""The reference by rooms: of each the public names with their signatures and docstrings, the records they return, and its files.

What is written here are the places for mkdocstrings, which reads the source without importing it.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from probe.public import homes
from scripts.documenting.pages import Page

PACKAGES = ("probe", "circuits")


def reference(root: Path) -> Iterator[Page]:
    """One page for each room that has public names, of both packages, after one that lists them all."""
    pages = [page for package in PACKAGES for page in _rooms(root, package)]
    yield _index(root)
    yield from pages


def by_room(root: Path, package: str) -> dict[str, dict[str, str]]:
    """The public names of each room with the module each lives in; files beside the rooms are in ""."""
    found: dict[str, dict[str, str]] = {}
    for name, module in homes(str(root / package / "__init__.py")).items():
        parts = module.split(".")
        if parts[0] == package:
            room = parts[1] if len(parts) > 2 or (root / package / parts[1]).is_dir() else ""
            found.setdefault(room, {})[name] = module
    return dict(sorted(found.items()))


def _rooms(root: Path, package: str) -> Iterator[Page]:
    for room, names in by_room(root, package).items():
        title = f"{package}: {room}" if room else f"{package}: all rooms"
        yield Page(address(package, room), title, "\n".join(_room(root, package, room, names)), "Reference")


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf8"))


def address(package: str, room: str) -> str:
    return f"reference/{package}-{room or 'every'}.md"


def _room(root: Path, package: str, room: str, names: dict[str, str]) -> Iterator[str]:
    folder = root / package / room
    yield f"# {package}.{room}\n" if room else f"# {package}\n"
    if room:
        yield f"{about(folder / '__init__.py')}\n"
    yield "## Public names\n"
    for name, module in sorted(names.items()):
        defined = _defined_in(root, module, name)
        if other := alias(root, defined, name):
            yield f"### {name} {{ #{defined}.{name} }}\n\nAnother name of `{other}`.\n"
        else:
            yield f"::: {defined}.{name}\n    options:\n      heading_level: 3\n"
    if room and (records := _records(folder, {*names})):
        yield "## What they return\n"
        for module, name in records:
            yield f"::: {package}.{room}.{module}.{name}\n    options:\n      heading_level: 3\n"
    if room:
        yield "## Files of the room\n"
        yield "| file | what it holds |\n| --- | --- |"
        for file in sorted(folder.rglob("*.py")):
            if file.name != "__init__.py":
                said = about(file).split("\n")[0].replace("|", "\\|")
                yield f"| `{file.relative_to(root / package)}` | {said} |"


def _defined_in(root: Path, module: str, name: str) -> str:
    """The module that defines a name which another only hands on."""
    file = _file(root, module)
    tree = parsed(file) if file else ast.Module([], [])
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and any((a.asname or a.name) == name for a in node.names):
            return _defined_in(root, node.module, name)
    return module


def alias(root: Path, module: str, name: str) -> str:
    """The name of the same file that this one is another name of: `Ablate, Add = Zero, Steer`; "" where it is itself."""
    file = _file(root, module)
    for node in parsed(file).body if file else ():
        if isinstance(node, ast.Assign):
            left, right = node.targets[0], node.value
            pairs = (
                zip(left.elts, right.elts)
                if isinstance(left, ast.Tuple) and isinstance(right, ast.Tuple)
                else [(left, right)]
            )
            for one, other in pairs:
                if isinstance(one, ast.Name) and one.id == name and isinstance(other, ast.Name):
                    return other.id
    return ""


def _file(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    return next((f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()), None)


def _records(folder: Path, but: set[str]) -> list[tuple[str, str]]:
    """Classes of records in a room's files: module and name."""
    found = []
    for file in sorted(folder.rglob("*.py")):
        for node in parsed(file).body:
            record = isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Record" for base in node.bases)
            if record and node.name not in but and not node.name.startswith("_"):
                found.append((".".join(file.relative_to(folder).with_suffix("").parts), node.name))
    return found


def about(file: Path) -> str:
    """The docstring of a file."""
    return ast.get_docstring(parsed(file)) or "" if file.is_file() else ""


def summary(root: Path, module: str, name: str) -> str:
    """The first sentence of what a public name is."""
    file = _file(root, _defined_in(root, module, name))
    for node in parsed(file).body if file else ():
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    return ""


def _index(root: Path) -> Page:
    lines = ["# Every public name\n"]
    lines += [
        "`import openwork as ow` has all of them; `probe` (looking) and `circuits` (explaining) each their own.\n"
    ]
    for package in PACKAGES:
        lines += [f"## {package}\n", "| name | what it is | room |", "| --- | --- | --- |"]
        for room, names in by_room(root, package).items():
            page = address(package, room).removeprefix("reference/")
            for name, module in sorted(names.items()):
                said = summary(root, module, name).replace("|", "\\|")
                lines += [f"| [`{name}`]({page}#{_defined_in(root, module, name)}.{name}) | {said} | {room} |"]
        lines += [""]
    return Page("reference/index.md", "Every public name", "\n".join(lines), "Reference")
