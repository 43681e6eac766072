"""From a record in a notebook to its view in the dashboard.

The looking half knows no dashboard. What shows records announces itself under the entry point `openwork.views` as a function
that takes the record; here it is found and called. What a record came from (the model that was run, the table a unit
is in) is remembered beside it and weakly: it is no field, so it is neither compared, nor printed, nor stored.
"""

import weakref
from importlib.metadata import entry_points
from typing import Any, TypeVar

from probe.errors import Unavailable

GROUP, VIEW = "openwork.views", "open_record"
Record = TypeVar("Record")
_origins: dict[int, Any] = {}


class Opens:
    """A record with a view in the dashboard."""

    def open(self, model: Any = None, *, height: int = 720) -> Any:
        """The matching page of the dashboard: in a notebook as a frame of that height, elsewhere in the browser.

        model: the model that the page may run; by default the one that the record came from.
        """
        return open_record(self, model, height=height)


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


def came_from(record: Record, source: Any) -> Record:
    """Remember, for as long as both live, what a record was made from (of a text, such as a folder: that text); returns it."""
    key = id(record)
    if key not in _origins:
        weakref.finalize(record, _origins.pop, key, None)
    _origins[key] = (lambda: source) if isinstance(source, str) else weakref.ref(source)
    return record


def origin(record: Any) -> Any | None:
    """What `came_from` remembered, if it is still there."""
    found = _origins.get(id(record))
    return found() if found is not None else None
