"""Flat safetensors files, written once and read through memory mapping.

A shard is plain arrays one after the other, nothing compressed, so a reader can pick any token's row straight from the
mapped file. The writer differs from `safetensors.torch.save_file` in three things: it computes the checksum while the
bytes pass through (CRC-32, seven times faster than SHA-256 here, which would take longer than the disk), it starts the
data at a multiple of 64 bytes, and what it leaves behind is either the whole file, safely on disk, or nothing.
"""

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from probe.artifacts.renames import sync_folder
from probe.artifacts.untrusted import plain_file, reason
from probe.errors import Unavailable

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
PIECE = 1 << 20  # bytes checksummed and written at a time, so that the second use finds them in the processor's cache


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """Write tensors beside `path`, bring them to disk, rename them into place. Returns the file's checksum."""
    beside = path.with_name(f".{path.name}.new")
    header, crc = _header(tensors, metadata or {}), 0
    try:
        with beside.open("wb", buffering=0) as file:
            _reserve(file.fileno(), len(header) + sum(t.nbytes for t in tensors.values()))
            for piece in _pieces(header, tensors.values()):
                crc = zlib.crc32(piece, crc)
                _write_all(file.fileno(), piece)
            os.fsync(file.fileno())
        os.replace(beside, path)
        sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)
    return f"crc32:{crc:08x}"


def _reserve(file: int, size: int) -> None:
    """Ask for the whole length at once: a full disk says so before anything is written, and writing is faster."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)


def _write_all(file: int, piece: memoryview) -> None:
    """`os.write` may take only a part, notably on a disk that is filling up."""
    while piece:
        piece = piece[os.write(file, piece) :]


def _pieces(header: bytes, tensors: Iterable[Tensor]) -> Iterator[memoryview]:
    yield memoryview(header)
    for tensor in (one for one in tensors if one.numel()):
        raw = memoryview(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
        for start in range(0, len(raw), PIECE):
            yield raw[start : start + PIECE]


def _header(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Length of the JSON in 8 bytes, then the JSON, padded with spaces to a multiple of 64."""
    entries: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.nbytes
        entries[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries).encode()
    text += b" " * (-(len(text) + 8) % 64)
    return len(text).to_bytes(8, "little") + text


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file, memory-mapped: pages are read when they are touched. Unavailable if it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(plain_file(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
    except (OSError, SafetensorError, ValueError, OverflowError, RuntimeError) as error:
        raise Unavailable(f"{path} is missing or damaged ({reason(error)}).") from error
