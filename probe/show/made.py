"""How a record was made: the call of a method as plain JSON, remembered beside it and weakly, like what it came from (`opening`).

`probe.methods.call_of` gives the call itself; a stored record keeps it in its manifest.
"""

import weakref
from collections.abc import Callable
from typing import Any, TypeVar

Record = TypeVar("Record")
Made = dict[str, Any]
_calls: dict[int, Made | Callable[[], Made]] = {}


def remember(record: Record, call: Made | Callable[[], Made] | None) -> Record:
    """Note the call that made a record, returned; None where it is not known. A function is asked when somebody wants to know."""
    if isinstance(call, dict) or callable(call):
        if id(record) not in _calls:
            weakref.finalize(record, _calls.pop, id(record), None)
        _calls[id(record)] = call
    return record


def made_by(record: Any) -> Made | None:
    """The call that made a record: `method`, `model`, `arguments`, and the `command` that makes it again where there is one."""
    call = _calls.get(id(record))
    if callable(call):
        call = _calls[id(record)] = call()
    return call


def is_made(record: Any) -> bool:
    """Whether the call that made a record is known."""
    return id(record) in _calls
