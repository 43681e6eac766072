"""The names that a run of several processes writes: claimed once, by its first process, for all of them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from probe.artifacts.locks.claims import claim
from probe.distributed import world


@contextmanager
def claimed(folders: Sequence[Path]) -> Iterator[None]:
    """The names of a run are this run's alone; its first process holds them (see `probe.artifacts.locks.claims`)."""
    with ExitStack() as held:
        with world().agreed():
            for folder in folders if world().first else ():
                held.enter_context(claim(folder))
        yield
