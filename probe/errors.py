"""What Openwork raises on purpose.

Every message names what came, what was wanted, and what to do. The command line prints the message alone and
exits with 2 for `BadInput` and 1 for the others; anything else that escapes is a bug and keeps its traceback. What
the machine itself refuses (a full disk, no memory left) is said by `probe.system_errors`.
"""

import reprlib
import sys
import warnings
from typing import Any

_PASSED = ("probe", "circuits", "torch", "contextlib", "jaxtyping", "beartype")
"""Packages in whose lines nobody who is warned can mend anything."""


class OpenworkError(Exception):
    """A failure foreseen and explained.

    >>> issubclass(ow.BadInput, ow.OpenworkError)
    True
    """


class BadInput(OpenworkError, ValueError):
    """The caller asked for something that cannot be: an unknown site, an empty text, a cache of another model.

    >>> ow.parse_site("resid_pots.1")
    Traceback (most recent call last):
    probe.errors.BadInput: There is no site 'resid_pots.1'. Did you mean resid_post.1 or resid_pre.1 or resid_mid.1?
    """


class BadCall(BadInput, TypeError):
    """A function called with a word it does not know, or without one it needs."""


class Unavailable(OpenworkError, RuntimeError):
    """The machine cannot do it now: no network, no disk space, a damaged file.

    >>> issubclass(ow.Unavailable, ow.OpenworkError)
    True
    """


class Cancelled(OpenworkError):
    """Somebody pressed cancel; what was finished is kept."""


def warn(message: str) -> None:
    """Warn whoever called this project from outside: the warning points at his line, whatever wrappers stand between."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _PASSED:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


class _Brief(reprlib.Repr):
    """`repr` whose cost does not grow with the value: a few entries, two levels, short texts."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 2, 60, 60
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 4

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < 1000 else f"a number of {x.bit_length()} bits"

    def repr_instance(self, x: Any, level: int) -> str:
        if callable(x) or hasattr(x, "__dict__"):  # a model's own repr is 200 KB
            return f"a {type(x).__name__}" if not isinstance(x, type) else f"the type {x.__name__}"
        return super().repr_instance(x, level)


_BRIEF = _Brief()


def brief(value: object) -> str:
    """A value as a message shows it: what it is, never all of it. Texts are escaped, so no control character gets out."""
    return _BRIEF.repr(value)[:200]
