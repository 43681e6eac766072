"""How a record was made: the call of a method as plain JSON, remembered beside it and weakly, like what it came from (`opening`).

`probe.methods.call_of` gives the call itself; a stored record keeps it in its manifest.
"""

import weakref
from typing import Any, TypeVar

Record = TypeVar("Record")
_calls: dict[int, dict[str, Any]] = {}


def remember(record: Record, call: dict[str, Any] | None) -> Record:
    """Note the call that made a record, returned; None where it is not known."""
    if isinstance(call, dict):
        if id(record) not in _calls:
            weakref.finalize(record, _calls.pop, id(record), None)
        _calls[id(record)] = call
    return record


def made_by(record: Any) -> dict[str, Any] | None:
    """The call that made a record: `method`, `model`, `arguments`, and the `command` that makes it again where there is one."""
    return _calls.get(id(record))
