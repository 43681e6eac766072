"""`openwork` commands: training runs and evaluations that are stored."""

from collections.abc import Callable

COMMANDS: tuple[Callable[..., None], ...] = ()
