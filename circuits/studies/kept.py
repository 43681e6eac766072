"""Parts of a study that are done, kept until all are: `NAME.partial/PART/` beside what was asked for.

Going on is refused where the model, the amounts or the rules are others than it was begun with, so no rule can be changed once
numbers were seen.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from circuits.studies.study import Found
from probe.artifacts.json import Json, write_json
from probe.artifacts.names import partial
from probe.artifacts.renames import discard
from probe.artifacts.untrusted import read_json
from probe.errors import BadInput, Unavailable

ASKED = "asked.json"


@dataclass(frozen=True)
class Kept:
    """folder: where parts are kept; None for nowhere."""

    folder: Path | None

    @classmethod
    def begin(cls, result: Path | None, asked: Json, resume: bool) -> "Kept":
        """Parts of the result that will be stored there. BadInput where some are there and are not to be gone on with, or are of
        something else."""
        if result is None:
            return cls(None)
        folder = partial(result)
        if (folder / ASKED).is_file():
            if not resume:
                raise BadInput(f"{folder} holds a study that was interrupted; go on with --resume, or delete it.")
            _require_same(read_json(folder / ASKED), asked, folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / ASKED, asked)
        return cls(folder)

    def get(self, part: str) -> Found | None:
        """What a part found; None where it is to be measured, since it was not or is damaged."""
        if self.folder is None or not (self.folder / part).is_dir():
            return None
        try:
            return Found.load(self.folder / part)
        except (BadInput, Unavailable):
            return None

    def put(self, part: str, found: Found) -> None:
        """Keep what a part found."""
        if self.folder is not None:
            found.save(self.folder / part, replace=True)

    def end(self) -> None:
        """All parts are in the result."""
        if self.folder is not None:
            discard(self.folder)


def _require_same(old: Any, new: Json, folder: Path) -> None:
    old = old if isinstance(old, dict) else {}
    if changed := [key for key in new if old.get(key) != new[key]]:
        raise BadInput(
            f"{folder} was begun with other {', '.join(changed)}. Go on with the same, or delete it and begin again."
        )
