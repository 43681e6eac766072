"""A tool as a contributor would write one, for the tests of declarations: it keeps a text as a corpus, and goes on with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from probe.methods import Doc, FileToRead, FileToWrite, tool
from probe.progress import SILENT, Progress
from probe.show.record import Record


@dataclass(frozen=True, kw_only=True)
class Kept(Record):
    lines: list[str]
    folder: Path | None
    resumed: bool


@dataclass(frozen=True, kw_only=True)
class KeepPlan(Record):
    lines: int

    def summary(self) -> str:
        return f"{self.lines} lines."


def kept_name(source: str, words: Sequence[str]) -> str:
    return f"{Path(source).stem}-{len(words)}"


def plan_keep(source: Path, words: Sequence[str] = ()) -> KeepPlan:
    return KeepPlan(lines=len(source.read_text().splitlines()) + len(words))


@tool("keep-lines", group="sample", leaves="text", named="kept_name", plan="plan_keep")
def keep_lines(
    source: Annotated[FileToRead, Doc("A text.")],
    words: Annotated[Sequence[str], Doc("More lines.")] = (),
    folder: Path | None = None,
    *,
    copy: Annotated[FileToWrite | None, Doc("Where to write them too.")] = None,
    note: Annotated[str, Doc("A remark.")] = "",
    resume: bool = False,
    progress: Progress = SILENT,
) -> Kept:
    """Keep the lines of a text."""
    lines = [*Path(source).read_text().splitlines(), *words]
    if copy is not None:
        Path(copy).write_text("\n".join(lines))
    return Kept(lines=lines, folder=folder, resumed=resume)
