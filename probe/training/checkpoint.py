"""A training run on disk while it lasts: one file that holds all of it, replaced whole, and a log of one JSON line per entry.

While training lasts its folder is `<name>.partial`. The checkpoint is one safetensors file whose header carries the JSON
state, so one rename replaces weights, optimizer and position together, and a process killed at any moment leaves the last one
whole.
"""

import json
import signal
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from probe.artifacts.names import CHECKPOINT
from probe.artifacts.tensors import write_tensors
from probe.artifacts.untrusted import parse_json, plain_file, reason
from probe.errors import Unavailable


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
