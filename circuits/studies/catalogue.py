"""Every study there is, read from the files of this room without importing them, which would bring torch.

A file that says `STUDY = Study(...)` is a study. Its name, title and paper, and each claim's name and sentence, are plain texts
there; its summary is the first paragraph of its docstring. A test holds what is read against what Python makes of it.
"""

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.errors import BadInput, brief

if TYPE_CHECKING:
    from circuits.studies.study import Study


@dataclass(frozen=True)
class Entry:
    """A study as it is listed. claims: their sentences by name. module: the file that declares it."""

    name: str
    title: str
    paper: str
    summary: str
    claims: dict[str, str]
    module: str

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "paper": self.paper,
            "claims": list(self.claims.values()),
            "summary": self.summary,
        }

    def study(self) -> "Study":
        """The study itself, imported now."""
        return import_module(self.module).STUDY


@cache
def studies() -> tuple[Entry, ...]:
    """All studies, by name."""
    here = Path(__file__).parent
    found = [entry for path in sorted(here.rglob("*.py")) for entry in read(path, _package(path.parent, here))]
    return tuple(sorted(found, key=lambda one: one.name))


def _package(folder: Path, here: Path) -> str:
    return ".".join([__package__ or "", *folder.relative_to(here).parts])


def read(path: Path, package: str = __package__ or "") -> Iterator[Entry]:
    """What a file declares: one study, or none."""
    text = path.read_text(encoding="utf8")
    if "STUDY = Study(" not in text:
        return
    tree = ast.parse(text)
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "STUDY"
            and isinstance(node.value, ast.Call)
        ):
            told = {k.arg: k.value for k in node.value.keywords if k.arg}
            name, title, paper = (ast.literal_eval(told[key]) for key in ("name", "title", "paper"))
            summary = " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())
            yield Entry(name, title, paper, summary, dict(_claims(told["claims"])), f"{package}.{path.stem}")


def _claims(node: ast.expr) -> Iterator[tuple[str, str]]:
    for call in node.elts if isinstance(node, ast.List | ast.Tuple) else []:
        told = {k.arg: k.value for k in call.keywords} if isinstance(call, ast.Call) else {}
        yield ast.literal_eval(told["name"]), ast.literal_eval(told["sentence"])


def study_named(name: object) -> Entry:
    """The study of this name. BadInput, with those that look like it, where there is none."""
    known = {one.name: one for one in studies()}
    if isinstance(name, str) and name in known:
        return known[name]
    close = difflib.get_close_matches(str(name)[:80], known, n=3, cutoff=0.5)
    said = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(known)}."
    raise BadInput(f"There is no study {brief(name)}. {said}")
