"""What is told of a record beside it, in files of its room: `figures.py` draws it, `html.py` shows it to a notebook, `store.py`
keeps it.

A record imports none of them; they are found when they are first asked for. A function there says of which record it is by the
type of its first parameter, or of what it returns where it reads one:

    @draws
    def lens_figure(lens: "LensResult", colour: str = "probability") -> go.Figure: ...

Found by the name of the class, along its bases. `functools.singledispatch` would ask for the class itself, and importing it
brings torch into a dashboard that only draws.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class Beside:
    """Functions of records, by the room and the name of the record's class; a decorator that adds one.

    file: the module of a room that holds them. of_any: the module that holds the one of every record. by: which annotation names
    the record, `first` or `return`.
    """

    def __init__(self, file: str, of_any: str = "", by: str = "first") -> None:
        self.file, self.of_any, self.by = file, of_any, by
        self._known: dict[tuple[str, str], Callable[..., Any]] = {}

    def __call__(self, function: Function) -> Function:
        hints = function.__annotations__
        hint = hints["return"] if self.by == "return" else next(iter(hints.values()))
        for name in (hint if isinstance(hint, str) else hint.__name__).split(" | "):
            self._known[_room(function.__module__), name] = function
        return function

    def of(self, kind: type) -> Callable[..., Any] | None:
        """The function of the nearest of a class and its bases; None if there is none."""
        for base in kind.__mro__:
            room = _room(base.__module__)
            _bring(f"{room}.{self.file}" if room else "")
            if found := self._known.get((room, base.__name__)):
                return found
        _bring(self.of_any)
        return self._known.get((_room(self.of_any), "Record"))


def _room(module: str) -> str:
    return module.rpartition(".")[0]


@cache
def _bring(module: str) -> None:
    """Import a module if there is one of that name."""
    try:
        there = bool(module) and find_spec(module) is not None
    except ImportError:  # a name that is known to be gone
        there = False
    if there:
        import_module(module)


draws = Beside("figures")
shows = Beside("html", of_any="probe.show.html")
saves = Beside("store", of_any="probe.artifacts.records")
loads = Beside("store", of_any="probe.artifacts.records", by="return")
