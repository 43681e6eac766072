"""Where artifacts are: the home, a place of each kind, and a folder written beside and renamed into place."""

import os
import tempfile
from pathlib import Path

from probe.artifacts.names import require_name
from probe.errors import BadInput

KINDS = {
    "cache": "caches",
    "dictionary": "dictionaries",
    "graph": "graphs",
    "result": "results",
    "text": "texts",
    "features": "features",
    "study": "studies",
}


def home() -> Path:
    """Where artifacts live: `$OPENWORK_HOME`, else `runs/` in the working directory. Raises BadInput if that is a file.

    >>> ow.home().is_dir()  # $OPENWORK_HOME, else runs/
    True
    """
    named = os.environ.get("OPENWORK_HOME")
    folder = Path(named or "runs").expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        whose = "OPENWORK_HOME names" if named else "artifacts are kept in"
        raise BadInput(f"{whose} {folder}, which is a file and no folder. Name a folder with OPENWORK_HOME.")
    return folder


def place(kind: str, name: str) -> Path:
    """The folder an artifact of this kind and name has under `home()`."""
    return home() / KINDS[kind] / require_name(name)


def require_writable(path: Path) -> None:
    """Raise BadInput unless a file can be written at `path`; its folder is made. Called before long work, not after."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name a file to write, like {path / 'graph.json'}.")
    if path.exists() and not path.is_file():
        raise BadInput(f"{path} is a device or a pipe, which a file would replace; name a file to write.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise BadInput(
            f"Nothing can be written to {path} ({error.strerror}). Name a file in another folder."
        ) from error
