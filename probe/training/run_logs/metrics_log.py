"""The metrics of a run, line by line, as they come."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from probe.artifacts.names import METRICS, partial
from probe.artifacts.schemas import number
from probe.artifacts.untrusted import plain_file, reading
from probe.errors import Unavailable

MEANINGS = {
    "loss": "mean squared error on standardised activations, with penalties; the last window",
    "fvu": "fraction of variance unexplained while training: squared error over squared deviation from the training mean, all "
    "dimensions together",
    "l0": "latents active at a token, mean",
    "dead_share": "share of latents silent for the last `dead_tokens` tokens",
}
"What the numbers of a log are, while it trains."


class MetricsLog:
    """Appends one JSON object a line and flushes it, so the file is valid up to its last newline at any moment."""

    def __init__(self, path: Path, keep_until: int = -1):
        """Open for appending; lines of steps after `keep_until` (made by a run that was cut off) are dropped."""
        kept = [line for line in read_metrics(path) if line["step"] <= keep_until]
        beside = path.with_name(f".{path.name}")
        with _refused(path):
            beside.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf8")
            os.replace(beside, path)
            self._file: IO[str] = path.open("a", encoding="utf8")

    def write(self, line: dict[str, Any]) -> None:
        with _refused(self._file.name):
            self._file.write(json.dumps(line, allow_nan=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        with suppress(OSError):  # it tries once more what `write` has already complained of
            self._file.close()


@contextmanager
def _refused(path: Path | str) -> Iterator[None]:
    """Say in a sentence that the disk refused."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{path} could not be written ({error.strerror}). Free some space and resume.") from error


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics file, also while it is being written; nothing if there is none. A folder means its metrics."""
    path = Path(path)
    if path.is_dir():
        path = path / METRICS
    elif not path.exists() and (partial(path) / METRICS).exists():
        path = partial(path) / METRICS
    if not path.is_file():
        return []
    with reading(path, "restore it, or delete it"):
        lines = plain_file(path).read_text(encoding="utf8").splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        if not all(isinstance(line, dict) and number()(line.get("step")) for line in found):
            raise ValueError("a line does not say its step")
    return found
