"""A training run on disk while it lasts: one file that holds all of it, replaced whole, and a log of one JSON line per entry.

While training lasts its folder is `<name>.partial`. The checkpoint is one safetensors file whose header carries the JSON
state, so one rename replaces weights, optimizer and position together, and a process killed at any moment leaves the last one
whole.
"""

import json
import os
import signal
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from probe.errors import Unavailable
from probe.names import partial
from probe.schemas import number
from probe.shards import write_tensors
from probe.stored import parse_json, plain_file, reading, reason

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.jsonl"


def write_checkpoint(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Replace the folder's checkpoint. Raises Unavailable (and keeps the old one) if the disk refuses."""
    widest = sorted(
        tensors, key=lambda name: (-tensors[name].element_size(), name)
    )  # each begins where its numbers may
    plain, text = {name: tensors[name].detach().cpu().contiguous() for name in widest}, json.dumps(state)
    try:
        write_tensors(folder / CHECKPOINT, plain, {"state": text, "checksum": _checksum(plain, text)})
    except OSError as error:
        raise Unavailable(
            f"The checkpoint in {folder} could not be written ({error}); the one before is kept."
        ) from error


def _checksum(tensors: dict[str, Tensor], state: str) -> str:
    """CRC-32 over the state and every tensor's name, type, shape and bytes: a file that is one cannot hold its own sum."""
    crc = zlib.crc32(state.encode())
    for name in sorted(tensors):
        value = tensors[name]
        crc = zlib.crc32(f"{name} {value.dtype} {tuple(value.shape)}".encode(), crc)
        crc = zlib.crc32(memoryview(value.reshape(-1).view(torch.uint8).numpy()), crc)
    return f"{crc:08x}"


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The last checkpoint's tensors and state, or None if there is none yet. Raises Unavailable for a damaged one."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        with safe_open(plain_file(path), "pt") as file:
            told = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if told.get("checksum", "") not in ("", _checksum(tensors, told["state"])):
            raise ValueError("its checksum is another")
        state = parse_json(told["state"].encode())
        if not isinstance(state, dict):
            raise ValueError("its state is no mapping")
        return tensors, state
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        if isinstance(error, Unavailable):
            raise
        raise Unavailable(
            f"{path} is damaged ({reason(error)}); delete {folder} and train again from the start."
        ) from error


@contextmanager
def held_interrupts() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C back until asked: the yielded function says whether it was pressed. Pressed twice, it interrupts at once.

    Half a step cannot be saved, so a loop asks between two of them. Only where Ctrl-C means KeyboardInterrupt (the main
    thread, no other handler); elsewhere nothing is held back.
    """
    pressed: list[int] = []

    before = signal.getsignal(signal.SIGINT)

    def hold(number: int, frame: Any) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    raises = before is signal.default_int_handler or getattr(before, "raises_interrupt", False)
    if threading.current_thread() is not threading.main_thread() or not raises:
        yield lambda: False
        return
    signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:  # after the last time it was asked
        raise KeyboardInterrupt


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
