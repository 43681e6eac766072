"""What Openwork raises on purpose.

Every message names what came, what was wanted, and what to do. The command line prints the message alone and
exits with 2 for `BadInput` and 1 for the others; anything else that escapes is a bug and keeps its traceback.
"""


class OpenworkError(Exception):
    """A failure foreseen and explained."""


class BadInput(OpenworkError, ValueError):
    """The caller asked for something that cannot be: an unknown site, an empty text, a cache of another model."""


class Unavailable(OpenworkError, RuntimeError):
    """The machine cannot do it now: no network, no disk space, a damaged file."""


class Cancelled(OpenworkError):
    """Somebody pressed cancel; what was finished is kept."""
