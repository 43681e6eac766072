"""`openwork` commands: what heads do on a prompt, and what one head reads and writes."""

from collections.abc import Callable

COMMANDS: tuple[Callable[..., None], ...] = ()
