"""What the folder of an unfinished training says: whether anything still writes there, and the state in its last checkpoint.

Nothing here imports torch: of a checkpoint the header alone is read.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from probe.artifacts.names import CHECKPOINT, METRICS
from probe.artifacts.untrusted import parse_json, plain_file
from probe.errors import OpenworkError
from probe.training.run_logs.curves import RunLog

QUIET = 60.0
"Seconds without a sign of life after which a run counts as interrupted; more where its lines come more slowly."
_HEADER = 16 << 20


def alive(folder: Path, log: RunLog, now: float | None = None) -> str:
    """`live` if something was written lately: within a minute, or the time of six lines where lines take longer."""
    gaps = np.diff(log.series("seconds")[-8:]) if log.lines > 1 else np.array([])
    patience = max(QUIET, 6 * float(np.nanmax(gaps))) if len(gaps) and np.isfinite(gaps).any() else QUIET
    return "live" if (now or time.time()) - changed(folder) < patience else "interrupted"


def changed(folder: Path) -> float:
    """When anything in a run's folder was last written."""
    times = [0.0]
    for path in (folder, folder / METRICS, folder / CHECKPOINT):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return max(times)


def checkpoint_state(path: Path) -> tuple[dict[str, Any], str]:
    """The JSON state in a checkpoint's header, without its tensors; or nothing, and why."""
    if not path.is_file():
        return {}, ""
    try:
        with plain_file(path).open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 0 < size <= _HEADER:
                raise ValueError(f"its header would take {size} bytes")
            header = parse_json(file.read(size))
        state = parse_json(header["__metadata__"]["state"].encode())
        sound = isinstance(state, dict) and all(
            isinstance(state.get(k, {}), dict) for k in ("shape", "source", "config")
        )
        return (state, "") if sound else ({}, "The checkpoint is damaged: its state is no table.")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OpenworkError) as error:
        return {}, f"The checkpoint is damaged ({error}); it cannot be resumed. Delete the run and train again."
