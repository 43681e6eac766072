"""Records of readings kept in memory, up to so many bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The `size` things used last, by key, of about `most` bytes together (the `least` newest are kept whatever they
    take: what one page shows); safe between threads."""

    def __init__(self, size: int, most: float = float("inf"), least: int = 1):
        self._size, self._most, self._least, self._lock = size, most, least, threading.Lock()
        self._items: OrderedDict[Any, Value] = OrderedDict()
        self._bytes: dict[Any, int] = {}

    def get(self, key: Hashable) -> Value | None:
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)

    def put(self, key: Hashable, value: Value) -> Value:
        size = record_bytes(value) if self._most < float("inf") else 0
        with self._lock:
            self._items[key], self._bytes[key] = value, size
            self._items.move_to_end(key)
            while len(self._items) > self._least and (
                len(self._items) > self._size or sum(self._bytes.values()) > self._most
            ):
                self._bytes.pop(self._items.popitem(last=False)[0])
        return value

    def keys(self) -> list[Hashable]:
        with self._lock:
            return list(self._items)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()
            self._bytes.clear()


_SCALAR = 64  # bytes of a short text or a number in a list, with its place there


def record_bytes(record: object, depth: int = 5) -> int:
    """About the bytes of a record: its arrays, and the texts and numbers in the records, tuples, lists and mappings it holds. A
    lens holds five tokens for each layer and position, which weigh ten times its arrays."""
    if (own := getattr(record, "nbytes", None)) is not None:
        return int(own)
    if isinstance(record, dict):
        inner = list(record.values())
    elif isinstance(record, tuple | list):
        if record and isinstance(record[0], str | int | float):
            return _SCALAR * len(record)
        inner = list(record)
    else:
        inner = list(getattr(record, "__dict__", {}).values())
    return sum(record_bytes(value, depth - 1) for value in inner) if depth else 0


_records: Recent[Any] = Recent(96, most=1.5e8, least=6)


def known(analysis: str, model: str, prompt: str) -> Any | None:
    """A record that is in memory, or None; never computes."""
    return _records.get((analysis, model, prompt))


def remember(analysis: str, model: str, prompt: str, record: Value) -> Value:
    """Keep a record made elsewhere, so that the pages find it."""
    return _records.put((analysis, model, prompt), record)


def forget() -> None:
    """Let go of every record, as a process that ends does."""
    _records.clear()
