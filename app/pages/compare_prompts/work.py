"""The model work of two prompts compared."""

from dataclasses import dataclass
from typing import Any

from app import links
from app.jobs import readings
from app.jobs.again import Arguments, prompt_in, task
from app.jobs.work import Work, key_of, submit
from app.library import models, prompts
from app.selection import Selection
from probe.progress import Progress


@dataclass(frozen=True)
class Pair:
    """Both lenses and what differs between them."""

    a: Any
    b: Any
    found: Any

    def column(self, selection: Selection | None) -> int:
        """The selected column; else that of the selected token, else the last in which both prompts have a token."""
        columns, chosen = self.found.alignment.columns, selection or {}
        at = chosen.get("column")
        if isinstance(at, int) and 0 <= at < len(columns):
            return at
        both = [i for i, c in enumerate(columns) if c.a is not None and c.b is not None]
        token = chosen.get("token")
        if isinstance(token, int) and 0 <= token < len(self.a.tokens):
            return self.found.alignment.column_of(token)
        return both[-1] if both else len(columns) - 1

    def index(self, column: int) -> int | None:
        """Which pair the column is; None for a gap."""
        columns = self.found.alignment.columns
        if columns[column].a is None or columns[column].b is None:
            return None
        return sum(c.a is not None and c.b is not None for c in columns[:column])


def comparing(model: str, a: prompts.Prompt, b: prompts.Prompt) -> Work:
    """Both lenses, then the comparison."""
    title = f"Compare “{a.text[:24].strip()}…” with “{b.text[:24].strip()}…”"
    return Work(
        key_of("compare", model, a.id, b.id),
        title,
        lambda progress: _compare(model, a.text, b.text, progress),
        links.beside_page(a.id, b.id, model),
        again=["beside", {"model": model, "a": a.id, "b": b.id}],
    )


def _compare(model: str, a: str, b: str, progress: Progress) -> Pair:
    first, second = readings.lens(model, a, progress=progress), readings.lens(model, b, progress=progress)
    from probe.comparison.prompts import compare_prompts

    bridge = models.model_named(model, progress)
    found = compare_prompts(bridge, a, b, readings.dictionaries_of(bridge), progress=progress)
    return Pair(first, second, found)


@task("beside")
def _compare_again(arguments: Arguments) -> None:
    submit(comparing(arguments["model"], prompt_in(arguments, "a"), prompt_in(arguments, "b")))
