"""Where a module of before the rooms is now: importing it by its old name says so, instead of "no module named ...".

`moved.txt` holds a line for each: the old name, then the new one, or several where its parts went different ways. A module whose
name is a room's now has a line for each thing that was imported from it, since `from app.library import x` looks for a module
`app.library.x` when the room has no `x`.
"""

import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

PACKAGES = ("probe", "circuits", "app")


@cache
def moved() -> dict[str, list[str]]:
    """The new names of each old module; read when an import fails for the first time."""
    lines = Path(__file__).with_suffix(".txt").read_text(encoding="utf8").splitlines()
    return {old: new for old, *new in (line.split() for line in lines)}


class _Finder(MetaPathFinder):
    """Asked last, when nothing of that name was found."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if fullname.partition(".")[0] in PACKAGES and fullname in moved():
            # Not a ModuleNotFoundError, which `from probe import x` swallows.
            raise ImportError(said(fullname), name=fullname)


def said(old: str) -> str:
    """The sentence about a module that has moved."""
    new = moved()[old]
    where = " and ".join(new) if len(new) < 3 else f"{', '.join(new[:-1])} and {new[-1]}"
    package = old.partition(".")[0]
    public = f" Public names are best taken from the package: `from {package} import ...`." if package != "app" else ""
    return f"There is no {old} any more: look in {where}.{public}"


def install() -> None:
    """Answer for moved modules, once a process."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
