"""The way back: ended jobs that run again, also after a restart, from the task and the arguments that their rows remember.

Whoever queues a job says by `task` how it is started from its arguments; a row names the task. A row is a file, so what it holds
is checked like an address: models are those that are offered, prompts and artifacts those that are stored, and what is of no use
is refused with a sentence before anything is queued.
"""

from collections.abc import Callable
from typing import Any

from app.jobs.job import Job
from app.jobs.table import job_table
from app.library import prompts
from app.library.models import models
from app.library.prompts import Prompt
from probe.errors import BadInput, OpenworkError

Arguments = dict[str, Any]
"""What a row's file holds of a task: JSON, which anybody may have written."""
Start = Callable[[Arguments], object]
TASKS: dict[str, Start] = {}
"""How each task is started, by its name. Filled by the modules that queue them, as they are imported."""


def task(name: str) -> Callable[[Start], Start]:
    """Marks the function that starts this task from what a row remembers of it."""

    def register(start: Start) -> Start:
        if TASKS.setdefault(name, start) is not start:
            raise ValueError(f"two tasks are called {name}")
        return start

    return register


def can_repeat(job: Job) -> bool:
    """Can this ended job be run again?"""
    return not job.active and bool(job.again) and job.again[0] in TASKS


def repeat(job_id: str) -> None:
    """Run an ended job again, from what its row remembers."""
    job = job_table().get(job_id)
    if job is None or not can_repeat(job):
        raise BadInput("This job cannot be run again from here; start it from its page.")
    name, arguments = job.again
    if "model" in arguments and arguments["model"] not in models():
        raise BadInput("The model of this job is not among those known here; start it from its page.")
    try:
        TASKS[name](arguments)
    except OpenworkError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput("What this job's file remembers is damaged; start it from its page.") from error


# -- what rows remember ----------------------------------------------------------------------------------------------------


def whole(arguments: Arguments, *names: str) -> list[int]:
    """Whole numbers. TypeError where something else is there."""
    found = [arguments[name] for name in names]
    if not all(type(n) is int for n in found):
        raise TypeError(f"{', '.join(names)} must be whole numbers")
    return found


def whole_or_none(arguments: Arguments, name: str) -> int | None:
    """A whole number, or None."""
    return None if arguments[name] is None else whole(arguments, name)[0]


def prompt_in(arguments: Arguments) -> Prompt:
    """The stored prompt that a row names by its id."""
    return prompts.load(arguments["prompt"])
