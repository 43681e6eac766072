"""Progress of long work: a bar on stderr for a person, a callback for the dashboard, silence for a test.

Long functions take `progress: Progress = SILENT` and wrap their loop:

    with progress.stage("harvest", total=n_tokens, unit="tok") as step:
        for batch in batches:
            ...
            step(batch.numel())

`step` raises `Cancelled` when somebody asked the work to stop, so a loop that reports is a loop that can be cancelled.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from tqdm.auto import tqdm

from probe.errors import Cancelled
from probe.words import plural

Step = Callable[[float], None]


@dataclass(frozen=True)
class Snapshot:
    """Where one stage stands; `eta` in seconds, None until something was done."""

    stage: str
    done: float
    total: float | None
    unit: str
    seconds: float

    @property
    def eta(self) -> float | None:
        if not self.total or not self.done:
            return None
        return max(0.0, self.seconds * (self.total - self.done) / self.done)


class Progress(Protocol):
    """Anything that can show stages of work."""

    def stage(self, name: str, total: float | None = None, unit: str = "it") -> AbstractContextManager[Step]: ...


class Silent:
    """Shows nothing and cannot be cancelled."""

    @contextmanager
    def stage(self, name: str, total: float | None = None, unit: str = "it") -> Iterator[Step]:
        yield lambda amount=1: None


SILENT = Silent()


class Bar:
    """A tqdm bar per stage, on stderr, with rate and ETA.

    >>> lens = ow.logit_lens(model, "When Mary and John went to", progress=ow.Bar())
    """

    @contextmanager
    def stage(self, name: str, total: float | None = None, unit: str = "it") -> Iterator[Step]:
        scaled = unit not in ("it", "step")
        with tqdm(
            total=total, desc=name, unit=unit, unit_scale=scaled, file=sys.stderr, dynamic_ncols=True, mininterval=0.5
        ) as bar:
            yield lambda amount=1: (bar.update(amount), None)[1]


_WORDS = {"tok": "token", "pos": "position", "it": "step"}  # units of a bar, in a sentence


@dataclass
class Watched:
    """Calls `listener` with a `Snapshot` at most every `interval` seconds; `cancel()` stops the work at its next step."""

    listener: Callable[[Snapshot], None]
    interval: float = 0.25
    cancelled: bool = field(default=False, init=False)

    def cancel(self) -> None:
        self.cancelled = True

    @contextmanager
    def stage(self, name: str, total: float | None = None, unit: str = "it") -> Iterator[Step]:
        start, done, told = time.monotonic(), 0.0, 0.0

        def tell(now: float) -> None:
            self.listener(Snapshot(name, done, total, unit, now - start))

        def step(amount: float = 1) -> None:
            nonlocal done, told
            if self.cancelled:
                of = "" if total is None else f" of {total:,.10g}"
                word = plural(done if total is None else total, _WORDS.get(unit, unit))
                raise Cancelled(f"'{name}' was cancelled after {done:,.10g}{of} {word}.")
            done += amount
            now = time.monotonic()
            if now - told >= self.interval:
                told = now
                tell(now)

        tell(start)
        yield step
        tell(time.monotonic())


@contextmanager
def retold(progress: Progress) -> Iterator[Callable[[str, float, float | None, str], None]]:
    """Shows here what is told of work elsewhere: a function of the stage, how much of it is done, of how much, and the unit. When
    the stage is another, what was not told of the one before is made up."""
    name, so_far, whole = "", 0.0, None
    with ExitStack() as stages:
        step: Step = lambda amount=1: None  # noqa: E731

        def show(stage: str, done: float, total: float | None, unit: str) -> None:
            nonlocal name, so_far, whole, step
            if stage != name:
                if name and (whole or 0) > so_far:
                    step(whole - so_far)
                stages.close()
                name, so_far, whole = stage, 0.0, total
                if stage:
                    step = stages.enter_context(progress.stage(stage, total, unit))
            if stage and done > so_far:
                step(done - so_far)
                so_far = done

        yield show
