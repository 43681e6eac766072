"""The tasks there are: of each its name, what it asks, its paper, how its examples are drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from probe.errors import BadInput, brief
from probe.show.record import Record
from probe.tasks.example import Example
from probe.tasks.greater_than import greater_than
from probe.tasks.ioi import ioi

TaskName = Any
"""A task by its name, a JSONL file of examples, or pairs made already."""


@dataclass(frozen=True, kw_only=True)
class Task(Record):
    """name, asks, paper: what people read. measure: the metric that its paper uses, of `pairs.METRICS`. make: draws an example."""

    name: str
    asks: str
    paper: str
    make: Callable[..., Example]
    measure: str = "logit_diff"


TASKS = {
    task.name: task
    for task in (
        Task(
            name="ioi",
            asks="Who is given something, of two people of whom one gives.",
            paper="Interpretability in the Wild (Wang et al. 2023)",
            make=ioi,
        ),
        Task(
            name="greater-than",
            asks="A span of years ends later than it began.",
            paper="How does GPT-2 compute greater-than? (Hanna et al. 2023)",
            make=greater_than,
            measure="prob_diff",
        ),
    )
}


def task_named(name: str) -> Task:
    """A task by its name; BadInput for one there is not."""
    if name not in TASKS:
        near = get_close_matches(name, TASKS, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise BadInput(f"There is no task {brief(name)}; there are {', '.join(TASKS)}, or a JSONL file of examples.{meant}")
    return TASKS[name]
