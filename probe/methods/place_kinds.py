"""The kinds of parameter that name files and folders of this machine: read, or written.

Only a tool takes them, whose two doors are Python and the shell: no page and no address may name a file here.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from probe.methods.plain_kinds import Kind, Plain

FileToRead = FileToWrite = FolderToRead = FolderToWrite = str | os.PathLike[str]


@dataclass(frozen=True)
class PlaceKind(Kind):
    """A file or a folder. What is none of it, the tool says, where it opens it."""

    def check(self, value: Plain) -> Plain:
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError
        return value

    def plain(self, given: Any) -> Plain:
        return self.check(os.fspath(given) if isinstance(given, os.PathLike) else given)

    def given(self, plain: Plain, model: Any = None) -> Any:
        return Path(plain)


@dataclass(frozen=True)
class WrittenKind(PlaceKind):
    """A file that will be written: looked at before the work, not after it."""

    writes: ClassVar[bool] = True

    def ready(self, plain: Plain) -> None:
        from probe.artifacts.folder import require_writable

        require_writable(Path(plain))
