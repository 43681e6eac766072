"""The tasks there are: of each its name, what it asks, its paper, how its examples are drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from probe.errors import BadInput, brief
from probe.show.record import Record
from probe.tasks.agreement import TEMPLATES as AGREEMENT
from probe.tasks.agreement import agreement
from probe.tasks.arithmetic import arithmetic
from probe.tasks.automata import automata
from probe.tasks.docstring import docstring
from probe.tasks.example import Example
from probe.tasks.facts import TEMPLATES as FACTS
from probe.tasks.facts import capitals, languages
from probe.tasks.gender import TEMPLATES as GENDER
from probe.tasks.gender import gender
from probe.tasks.greater_than import TEMPLATES as GREATER_THAN
from probe.tasks.greater_than import greater_than
from probe.tasks.induction import induction
from probe.tasks.ioi import TEMPLATES as IOI
from probe.tasks.ioi import ioi

if TYPE_CHECKING:
    from os import PathLike

    from probe.tasks.pairs import Pairs

    TaskName = str | PathLike[str] | Pairs
else:
    TaskName = Any  # what it stands for would bring torch
"""A task by its name, a JSONL file of examples, or pairs made already."""


@dataclass(frozen=True, kw_only=True)
class Task(Record):
    """name, asks, paper: what people read. measure: the metric that its paper uses, of `pairs.METRICS`. make: draws one.
    templates: names of the ways it is worded in, where there are several."""

    name: str
    asks: str
    paper: str
    make: Callable[..., Example]
    measure: str = "logit_diff"
    templates: tuple[str, ...] = ()


TASKS = {
    task.name: task
    for task in (
        Task(
            name="ioi",
            asks="Who is given something, of two people of whom one gives.",
            paper="Interpretability in the Wild (Wang et al. 2023)",
            make=ioi,
            templates=tuple(IOI),
        ),
        Task(
            name="greater-than",
            asks="A span of years ends later than it began.",
            paper="How does GPT-2 compute greater-than? (Hanna et al. 2023)",
            make=greater_than,
            measure="prob_diff",
            templates=tuple(GREATER_THAN),
        ),
        Task(
            name="capitals",
            asks="The capital of a country.",
            paper="ROME (Meng et al. 2022)",
            make=capitals,
            templates=tuple(FACTS["capitals"]),
        ),
        Task(
            name="languages",
            asks="The language that is spoken in a country.",
            paper="ROME (Meng et al. 2022)",
            make=languages,
            templates=tuple(FACTS["languages"]),
        ),
        Task(
            name="arithmetic",
            asks="A sum of one digit, after worked examples.",
            paper="Interpreting and Improving Large Language Models in Arithmetic Calculation (Zhang et al. 2024)",
            make=arithmetic,
        ),
        Task(
            name="docstring",
            asks="The next argument of a function in its docstring.",
            paper="A circuit for Python docstrings (Heimersheim & Janiak 2023)",
            make=docstring,
        ),
        Task(
            name="agreement",
            asks="The verb agrees with its subject past another noun.",
            paper="Assessing the Ability of LSTMs to Learn Syntax-Sensitive Dependencies (Linzen et al. 2016)",
            make=agreement,
            templates=tuple(AGREEMENT),
        ),
        Task(
            name="gender",
            asks="The pronoun of the person named.",
            paper="Causal Mediation Analysis (Vig et al. 2020)",
            make=gender,
            templates=tuple(GENDER),
        ),
        Task(
            name="induction",
            asks="What came after a word the last time comes again.",
            paper="In-context Learning and Induction Heads (Olsson et al. 2022)",
            make=induction,
        ),
        Task(
            name="automata",
            asks="The next letter of strings of a hidden automaton.",
            paper="In-Context Language Learning (Akyürek et al. 2024)",
            make=automata,
        ),
    )
}


def task_named(name: str) -> Task:
    """A task by its name; BadInput for one there is not."""
    if name not in TASKS:
        near = get_close_matches(name, TASKS, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise BadInput(
            f"There is no task {brief(name)}; there are {', '.join(TASKS)}, or a JSONL file of examples.{meant}"
        )
    return TASKS[name]
