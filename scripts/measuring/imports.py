"""Circles of imports: modules that need each other when they run.

An edge stands for an `import` of one of our modules, at the head of a file or inside a function; not for one under
`TYPE_CHECKING`, which never runs. A name that a package hands on by its stub (`__init__.pyi`) leads on to the module where it
lives, since that is what is loaded. That Python loads a package before what lies in it is not counted, and a module that is named
only in a string (`import_module("probe.x")`) is not seen.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import networkx

from scripts.measuring.sources import Source


def circles(files: Iterable[Source]) -> list[list[str]]:
    """The groups of modules each of which reaches every other, largest first."""
    found = networkx.strongly_connected_components(import_graph(files))
    return sorted((sorted(c) for c in found if len(c) > 1), key=lambda c: (-len(c), c))


def import_graph(files: Iterable[Source]) -> networkx.DiGraph:
    files = list(files)
    modules = {file.module for file in files}
    handed_on = {file.module: homes(file.path) for file in files if file.path.stem == "__init__"}
    graph = networkx.DiGraph()
    graph.add_nodes_from(modules)
    for file in files:
        for module, name in running_imports(file.tree.body, file.package):
            graph.add_edges_from(
                (file.module, to) for to in targets(module, name, modules, handed_on) if to != file.module
            )
    return graph


def running_imports(body: Iterable[ast.AST], package: str) -> Iterator[tuple[str, str]]:
    """The module and the name (or "") of each import that can run."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from running_imports(node.orelse, package)
        elif isinstance(node, ast.Import):
            yield from ((one.name, "") for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module) if part)
            yield from ((module, one.name) for one in node.names)
        else:
            yield from running_imports(ast.iter_child_nodes(node), package)


def targets(module: str, name: str, modules: set[str], handed_on: dict[str, dict[str, str]]) -> Iterator[str]:
    """The modules of ours that an import asks for."""
    if f"{module}.{name}" in modules:
        yield f"{module}.{name}"
    elif module in modules:
        yield module
        if home := handed_on.get(module, {}).get(name):
            yield from targets(home, name, modules, handed_on)


def homes(init: Path) -> dict[str, str]:
    """Where each name lives that the package hands on by its stub."""
    stub = init.with_suffix(".pyi")
    lines = ast.parse(stub.read_text(encoding="utf8")).body if stub.is_file() else []
    return {one.name: str(line.module) for line in lines if isinstance(line, ast.ImportFrom) for one in line.names}
