"""The folder in which fetched and converted models are kept, and whether one of them is still what was stored there."""

import json
import os
from pathlib import Path

from probe.artifacts.digest import recent_sha256, sha256
from probe.errors import BadInput, Unavailable

SUMS = "openwork.json"
"In a model's folder: the checksums of its files."
CHECKED = ".checked.json"
"Beside the models: which files were read and found whole within the last day."


def model_cache() -> Path:
    """Where models are kept: `$OPENWORK_CACHE`, else `~/.cache/openwork`."""
    folder = Path(os.environ.get("OPENWORK_CACHE") or Path.home() / ".cache" / "openwork").expanduser()
    if folder.exists() and not folder.is_dir():
        raise BadInput(
            f"Models are kept in {folder}, which is a file and no folder. Name a folder with OPENWORK_CACHE."
        )
    return folder


def check_folder(folder: Path, *, read: bool = False) -> None:
    """Refuse a converted model whose files differ from the checksums written at conversion. read: every byte, whatever was read
    within the last day."""
    try:
        sums = dict(json.loads((folder / SUMS).read_text()))
    except (ValueError, TypeError) as error:
        raise Unavailable(f"{folder / SUMS} is damaged; delete {folder} and the model is made again.") from error
    found = sha256 if read else lambda path: recent_sha256(path, model_cache() / CHECKED)
    for name, digest in sums.items():
        if not (folder / name).is_file() or found(folder / name) != digest:
            raise Unavailable(
                f"{folder / name} is missing, truncated or was changed after it was converted. "
                f"Delete the folder {folder}; the model is then made and checked again."
            )
