"""Names of artifacts: what may name a folder that others must find, and that nothing else may take for its own.

A leading dot hides a folder from every list, and some endings mean something else: `NAME.partial` is the unfinished NAME,
`.NAME.old` and `.NAME.lock` are a writer's. So neither may be given, by any door.
"""

import re
from os import PathLike
from pathlib import Path

from probe.errors import BadInput

LONGEST = 200
"Bytes of a name; file systems take 255, and endings are added."
CHECKPOINT, METRICS, PARTIAL = "checkpoint.safetensors", "metrics.jsonl", ".partial"
"""Of an unfinished training or measurement: all that it needs to go on, its log, and the ending of its folder."""
RESERVED = (PARTIAL, ".old", ".lock", ".new", ".tmp")
_ALLOWED = "use letters, digits, '-', '_' and '.'"


def partial(folder: Path) -> Path:
    """Where an artifact is while it is unfinished and can be resumed."""
    return folder.with_name(f"{folder.name}{PARTIAL}")


def as_path(given: object) -> Path:
    """A path given as text or Path, with `~` for the home folder; BadInput for anything else and for an empty text."""
    if not isinstance(given, str | PathLike) or not str(given).strip():
        raise BadInput(f"A path was wanted, as text or Path; {type(given).__name__} {str(given)[:40]!r} came.")
    return Path(given).expanduser()


def require_name(name: object) -> str:
    """The name itself; BadInput where it cannot name an artifact."""
    if not isinstance(name, str):
        raise BadInput(f"A name is a text; this is a {type(name).__name__}.")
    shown = "".join(c if c.isprintable() else "�" for c in name[:60])
    if not name.strip() or any(c in "/\\" or not c.isprintable() for c in name) or name != name.strip():
        raise BadInput(f"'{shown}' cannot name an artifact; {_ALLOWED}.")
    if name.startswith("."):
        raise BadInput(f"'{shown}' cannot name an artifact: with a dot first no list would show it; {_ALLOWED}.")
    if name.lower().endswith(RESERVED):
        ending = name[name.rindex(".") :]
        raise BadInput(
            f"'{shown}' cannot name an artifact: the ending '{ending}' marks unfinished work; leave it away."
        )
    if len(name.encode("utf8")) > LONGEST:
        raise BadInput(f"A name of {len(name)} characters is too long for a folder; {LONGEST} are enough.")
    return name


def usable_name(text: str, otherwise: str = "imported") -> str:
    """A name made of the letters, digits and `-_.` of a text, such as a file's name."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:80].strip("-.")
    while name.lower().endswith(RESERVED):
        name = name[: name.rindex(".")].strip("-.")
    return name or otherwise
