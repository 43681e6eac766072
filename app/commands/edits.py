"""`openwork` commands: a prompt run with heads or units changed."""

from collections.abc import Callable

COMMANDS: tuple[Callable[..., None], ...] = ()
