"""Which tasks a model does: accuracy, metric and its gap to the corrupted prompts, and which are worth studying on it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from probe.errors import BadInput
from probe.methods import Doc, method, tool
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record
from probe.tasks.catalogue import TASKS, Task, TaskName
from probe.tasks.pairs import METRICS, Drawn, Pairs, pairs_of
from probe.words import counted, percent

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

WORTH = 0.7
"""Share of pairs that a model must get right, and whose corrupted prompt must change the answer, for a circuit to be worth it."""


@dataclass(frozen=True)
class TaskList(Record):
    """The tasks there are."""

    tasks: list[dict[str, str]]

    def rows(self) -> list[dict[str, Any]]:
        """One row a task: what it asks, its metric, its paper, the templates it is worded in."""
        return list(self.tasks)

    def to_dict(self) -> Any:
        """Ready for JSON: a list of `{name, summary, metric, paper, templates}`."""
        return list(self.tasks)

    def summary(self) -> str:
        """How many, and what else is one."""
        return (
            f"{counted(len(self.tasks), 'task')}; a JSONL file of pairs is one too, a line each: "
            '{"clean": ..., "corrupted": ..., "right": [" Mary"], "wrong": [" John"]}. '
            "`openwork tasks check` says which a model does."
        )


@tool("tasks")
def list_tasks() -> TaskList:
    """The tasks there are: prompts with and without a behaviour, drawn for the model at hand.

    >>> ow.list_tasks().tasks[0]["name"]
    'ioi'
    """
    return TaskList([_told(task) for task in TASKS.values()])


def _told(task: Task) -> dict[str, str]:
    said = {"name": task.name, "summary": task.asks, "metric": METRICS[task.measure], "paper": task.paper}
    return {**said, "templates": ", ".join(task.templates)}


@dataclass(frozen=True, kw_only=True)
class TaskCheck(Record):
    """How a model does at tasks. found: a row a task; refused: why others could not be made for this model."""

    n: int
    found: list[dict[str, Any]]
    refused: dict[str, str]

    def rows(self) -> list[dict[str, Any]]:
        """One row a task."""
        return list(self.found)

    def panels(self) -> list[Panel]:
        """What is worth studying, the numbers, what could not be made."""
        left = [{"task": name, "why not": why} for name, why in self.refused.items()]
        rows = Rows("How this model does", self.found, kinds={"accuracy": "share", "answer changes": "share"})
        return [Sentence(self.summary()), rows, *([Rows("Not for this model", left)] if left else [])]

    def summary(self) -> str:
        """Which are worth studying."""
        worth = [row["task"] for row in self.found if row["worth studying"]]
        said = (
            f"worth studying on this model: {', '.join(worth)}"
            if worth
            else "none of them is worth studying on this model"
        )
        left = "; ".join(f"{row['task']} {row['why not']}" for row in self.found if row.get("why not"))
        return f"Of {counted(len(self.found), 'task')} on {counted(self.n, 'pair')} each, {said}." + (
            f" Not, with {percent(WORTH)} wanted of each: {left}." if left else ""
        )


@method("check", group="tasks")
def check_tasks(
    model: "TransformerBridge",
    *,
    tasks: Annotated[list[TaskName] | None, Doc("Which; by default all there are.")] = None,
    n: Annotated[int, Doc("Pairs of each.", least=2, most=10_000)] = 32,
    seed: Annotated[int, Doc("Of the pairs that are drawn.", least=0)] = 0,
    progress: Progress = SILENT,
) -> TaskCheck:
    """How well a model does at each task, and whether its corrupted prompts change what it answers.

    accuracy: the right answer is above the wrong one. answer changes: the corrupted prompt lowers the metric. A circuit is worth
    looking for where both hold for most pairs: what a model does not do has no circuit. metric, corrupted: the mean of `measure`
    over the clean and the corrupted prompts (logits, or a probability). drawn in vain: examples that did not fit this tokenizer.

    >>> ow.check_tasks(model, tasks=["greater-than"], n=2).rows()[0]["task"]
    'greater-than'
    """
    found, refused = [], {}
    names = list(TASKS) if tasks is None else [tasks] if isinstance(tasks, str | Pairs) else list(tasks)
    with progress.stage("tasks", total=len(names), unit="task") as step:
        for name in names:
            try:
                found.append(_checked(model, pairs_of(model, name, n, Drawn(seed=seed))))
            except BadInput as why:
                if tasks is not None:
                    raise
                refused[str(name)] = str(why)
            step(1)
    return came_from(TaskCheck(n=n, found=found, refused=refused), model)


def _checked(model: "TransformerBridge", pairs: Pairs) -> dict[str, Any]:
    clean, corrupted, above = metrics_of(model, pairs)
    right, changes = float(above.mean()), float((corrupted < clean).mean())
    return {
        "task": pairs.task,
        "accuracy": right,
        "measure": pairs.measure,
        "metric": float(clean.mean()),
        "corrupted": float(corrupted.mean()),
        "answer changes": changes,
        "drawn in vain": sum(pairs.refused.values()),
        "worth studying": right >= WORTH and changes >= WORTH,
        "why not": _why_not(right, changes),
    }


def _why_not(right: float, changes: float) -> str:
    """What speaks against it; nothing where it is worth studying."""
    little = f"is right on {percent(right)}" if right < WORTH else ""
    same = f"has its metric lowered by {percent(changes)} of its corrupted prompts" if changes < WORTH else ""
    return " and ".join(filter(None, (little, same)))


@torch.no_grad()
def metrics_of(
    model: "TransformerBridge", pairs: Pairs
) -> tuple[Float[np.ndarray, " pair"], Float[np.ndarray, " pair"], Bool[np.ndarray, " pair"]]:
    """The metric of every clean and corrupted prompt, and whether the right answer is above the wrong one on the clean."""
    beside = (
        replace(pairs, measure="logit_diff") if pairs.measure == "log_prob" else pairs
    )  # what tells right from wrong
    values, above = np.zeros((2, len(pairs))), np.zeros(len(pairs), bool)
    for some in pairs.groups(64):
        for row, ids in enumerate((pairs.clean, pairs.corrupted)):
            logits = model(torch.tensor([ids[i] for i in some], device=model.W_E.device))[:, -1]
            values[row, some] = pairs.metric(logits, some).double().cpu().numpy()
            if row == 0:
                above[some] = (beside.metric(logits, some) > 0).cpu().numpy()
    return values[0], values[1], above
