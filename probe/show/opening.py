"""From a record in a notebook to its view in the dashboard.

The looking half knows no dashboard. What shows records announces itself under the entry point `openwork.views` as a function
that takes the record; here it is found and called. What a record came from (the model that was run, the table a unit
is in) is remembered beside it and weakly: it is no field, so it is neither compared, nor printed, nor stored.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, TypeVar

from probe.errors import Unavailable

GROUP, VIEW = "openwork.views", "open_record"
Record = TypeVar("Record")
_origins: dict[int, list["_Source"]] = {}


def open_record(record: Any, model: Any = None, *, height: int = 720) -> Any:
    """Hand a record to whatever shows records; Unavailable where nothing does."""
    return opener()(record, model, height=height)


def opener() -> Any:
    """The function that opens records; Unavailable with a plain sentence where the dashboard is not installed."""
    for found in entry_points(group=GROUP, name=VIEW):
        try:
            return found.load()
        except ImportError as error:
            raise Unavailable(
                f"The dashboard is installed but cannot be loaded ({error}). Install openwork again: `pip install openwork`."
            ) from error
    raise Unavailable(
        "No dashboard is installed beside this library, so the record cannot be opened in one. Install openwork as a whole "
        "(`pip install openwork`, or `pip install -e .` in a checkout). The record shows itself in a notebook without it."
    )


def came_from(record: Record, *sources: Any) -> Record:
    """Remember, for as long as all live, what a record was made from; returns the record.

    A source is a model, a table, a graph, a dictionary, or the folder of one as text. Of what was itself read from a folder,
    the folder is remembered; of a model, also whether its weights are edited later.
    """
    key = id(record)
    if key not in _origins:
        weakref.finalize(record, _origins.pop, key, None)
    _origins[key] = [_Source.of(source) for source in sources if source is not None]
    return record


def origin(record: Any) -> Any | None:
    """The first of what `came_from` remembered, if it is still there."""
    found = origins(record)
    return found[0] if found else None


def origins(record: Any) -> list[Any]:
    """All of what `came_from` remembered, None for what is gone."""
    return [source.find() for source in _origins.get(id(record), [])]


def unchanged(record: Any) -> bool:
    """Whether every model that the record came from, and that is still there, has the weights it had then."""
    known = [source for source in _origins.get(id(record), []) if source.edition is not None]
    return all(
        model is None or edition_of(model) == edition for model, edition in ((s.find(), s.edition) for s in known)
    )


def edition_of(source: Any) -> int | None:
    """A number that changes with a model's weights; None for anything else."""
    if not hasattr(source, "original_model"):
        return None
    from probe.identity import edition  # torch comes with it, and is there when a model is

    return edition(source)


@dataclass(frozen=True)
class _Source:
    find: Callable[[], Any]
    edition: int | None = None

    @classmethod
    def of(cls, source: Any) -> "_Source":
        found = source if isinstance(source, str) else origin(source)
        if isinstance(found, str):
            return cls(lambda: found)
        return cls(weakref.ref(source), edition_of(source))
