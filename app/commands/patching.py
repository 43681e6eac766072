"""`openwork` commands: activation patching between a clean and a corrupted prompt."""

from collections.abc import Callable

COMMANDS: tuple[Callable[..., None], ...] = ()
