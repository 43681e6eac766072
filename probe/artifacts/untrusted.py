"""Reading files that may hold anything: sent by somebody, half written, edited by hand, or no files at all.

    with reading(folder, "make it again"):
        arrays, text = load_file(plain_file(folder / "a.safetensors")), read_json(folder / "a.json")

A pipe or a device is refused before it is opened, since reading one may never end. What a file would become in memory is
judged by its bytes before it is parsed: JSON grows most by brackets (an empty list takes three bytes in a file and fifty in
memory), so these are counted. And whatever fails while a file is read and understood is damage, said in one sentence.
"""

import hashlib
import json
import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from probe.errors import BadInput, OpenworkError, Unavailable, brief

MOST_BYTES, MOST_BRACKETS, DEEPEST = 256 << 20, 4_000_000, 200
"""Of a JSON file: its length, its lists and mappings, and how deep they may be nested."""


def plain_file(path: Path | str, most: int | None = None) -> Path:
    """The path, if an ordinary file of at most `most` bytes is there; Unavailable for anything else. Links are followed."""
    path = Path(path)
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:  # the latter for a zero byte in a name
        raise Unavailable(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if not stat.S_ISREG(found.st_mode):
        raise Unavailable(f"{path} is {_sort(found.st_mode)}; a file was wanted.")
    if most is not None and found.st_size > most:
        raise Unavailable(f"{path} has {found.st_size:,} bytes; up to {most:,} are read.")
    return path


def _sort(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device or a socket"


def read_json(path: Path | str, most: int = MOST_BYTES, *, strict: bool = True, brackets: int = MOST_BRACKETS) -> Any:
    """What a JSON file holds. Unavailable where it is none, or would take far more memory than it is long.

    strict: refuse NaN and Infinity, which JSON lacks and no file of ours holds. brackets: lists and mappings at most.
    """
    path = plain_file(path, most)
    try:
        return parse_json(path.read_bytes(), strict=strict, brackets=brackets)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror}).") from error
    except MemoryError as error:
        raise Unavailable(f"There is not enough memory to read {path}.") from error
    except ValueError as error:
        raise Unavailable(f"{path} is damaged: {reason(error)}.") from error


def parse_json(data: bytes, *, strict: bool = True, brackets: int = MOST_BRACKETS) -> Any:
    """The same of bytes; ValueError where they are no JSON."""
    if sum(data.count(bracket) for bracket in (b"[", b"{")) > brackets:
        raise ValueError(f"it has more than {brackets:,} lists and mappings")
    try:
        found = json.loads(data.decode("utf-8-sig"), parse_constant=_no_number if strict else None)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:  # no JSON, no UTF-8, an integer of thousands of digits
        raise ValueError(f"it is not JSON: {reason(error)}") from error
    _require_shallow(found)
    return found


def json_lines(path: Path | str, *, strict: bool = True) -> Iterator[tuple[int, Any]]:
    """What each line of a JSONL file holds, with its number; a line at a time, blank ones passed over. BadInput, with the line,
    for what is no JSON or no UTF-8; Unavailable for no file."""
    path = plain_file(path)
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip(b" \t\r\n\xef\xbb\xbf"):  # a byte-order mark alone is blank too
                    yield number, _line(line, path, number, strict)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror}).") from error


def _line(line: bytes, path: Path, number: int, strict: bool) -> Any:
    utf8_text(line, path, number)
    try:
        return parse_json(line, strict=strict)
    except ValueError as error:
        raise BadInput(f"{path}, line {number} {_of_it(error)}.") from error


def utf8_text(raw: bytes, path: Path, line: int | None = None) -> str:
    """UTF-8, without a byte-order mark. BadInput says where it is not. line: its number, where it is one of a file."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = line or raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise BadInput(
            f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} in line {at}, byte {column} of the line. "
            f"Convert it, for instance with: iconv -f latin1 -t utf-8"
        ) from error


def _of_it(error: ValueError) -> str:
    """What `parse_json` says of "it", to be said of a file by its name."""
    return reason(error).removeprefix("it ")


def _require_shallow(value: Any) -> None:
    """ValueError for what is nested deeper than anything that is read goes down; a level at a time, without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        inside = (part.values() if isinstance(part, dict) else part for part in level)
        level = [part for parts in inside for part in parts if isinstance(part, dict | list)]
        if not level:
            return
    raise ValueError(f"it is nested more than {DEEPEST} deep")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which is no number in JSON")


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """A mapping for a JSON file, with the digest of its content beside it; `unsealed` finds out whether anything was changed."""
    plain = json.loads(json.dumps(value, allow_nan=False))  # as it will be read
    return {**plain, "digest": _digest(plain)}


def unsealed(raw: Any) -> dict[str, Any]:
    """The mapping without its digest; ValueError where it is none, or not what was sealed. Older files have no digest."""
    if not isinstance(raw, dict):
        raise ValueError(f"it holds {brief(raw)}, where a mapping was wanted")
    value = {k: v for k, v in raw.items() if k != "digest"}
    if (digest := raw.get("digest")) is not None and digest != _digest(value):
        raise ValueError("it is not what was written, by its digest")
    return value


def _digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@contextmanager
def reading(what: Path | str, cure: str) -> Iterator[None]:
    """Whatever fails while a file is read and understood is damage: Unavailable, saying what to do. Our own errors pass."""
    try:
        yield
    except OpenworkError:
        raise
    except MemoryError as error:
        raise Unavailable(f"{what} asks for more memory than there is; {cure}.") from error
    except Exception as error:
        raise Unavailable(f"{what} is damaged ({reason(error)}); {cure}.") from error


def reason(error: BaseException) -> str:
    """An exception's words, short and printable: they may quote the file."""
    words = str(error).strip().split("\n")[0]
    if isinstance(error, KeyError):
        return f"it lacks {brief(error.args[0]) if error.args else 'something'}"
    return "".join(c if c.isprintable() else "?" for c in words)[:200] or type(error).__name__


_SETTINGS = 1 << 20  # bytes of a file of them


def settings(path: Path) -> dict[str, Any]:
    """A flat table from a TOML or JSON file. Raises BadInput where it is neither."""
    try:
        data = plain_file(path, _SETTINGS).read_bytes()
        found = parse_json(data) if path.suffix == ".json" else tomllib.loads(data.decode())
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}).") from error
    except Unavailable as error:
        raise BadInput(str(error)) from error
    except (ValueError, RecursionError) as error:  # both parsers, and bytes that are not UTF-8
        said = _of_it(error) if path.suffix == ".json" else f"is not TOML: {reason(error)}"
        raise BadInput(f"{path} {said}.") from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds {brief(found)}; options by name were wanted.")
    for name, value in found.items():
        if not all(isinstance(v, str | int | float) for v in (value if isinstance(value, list) else [value])):
            raise BadInput(f"{path} sets {name[:60]} to {brief(value)}; a number, a text or a list of them was wanted.")
    return found
