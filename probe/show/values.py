"""A value as it is shown and told: in a few words, ready for JSON, as arrays by name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from probe.words import clip


def quoted(text: Any, most: int = 48) -> str:
    """A text in quotes, its middle left out where it is long: a prompt's end is where the prediction is read."""
    line = text if isinstance(text, str) else str(text)
    if len(line) > most:
        line = f"{line[: most // 2].rstrip()} … {line[-(most // 2 - 3) :].lstrip()}"
    return repr(line)


def gist(value: Any, most: int = 40) -> str:
    """A value in a few words: an array's shape, how many things a list holds, a name for what would print pages."""
    if isinstance(value, str):
        return quoted(value, most)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Path):
        return clip(value.name, most)
    if (shape := getattr(value, "shape", None)) is not None:
        if len(shape) == 0:
            return f"{float(value):.4g}"
        return f"{str(value.dtype).removeprefix('torch.')}[{', '.join(map(str, shape))}]"
    if isinstance(value, Mapping | Sequence | set | frozenset):
        return _collection(value, most)
    if isinstance(value, type(None) | bool | int | slice):
        return clip(repr(value), most)
    written = type(value).__str__ is not object.__str__ and not is_dataclass(value) and not hasattr(value, "parameters")
    return clip(str(value), most) if written and len(str(value)) <= most else type(value).__name__


def _collection(value: Any, most: int) -> str:
    items = list(value.values() if isinstance(value, Mapping) else value)[:200]
    plain = all(isinstance(i, str | int | float | bool | None) for i in items)
    if plain and len(items) <= 8 and len(text := _plain(value)) <= most:
        return text
    kinds = {type(i).__name__ for i in items}
    return f"{len(value)} {kinds.pop() if len(kinds) == 1 else 'entries'}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {gist(v)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(gist(v) for v in value) + "]"


def as_json(value: Any) -> Any:
    """A copy that JSON can hold: arrays as lists, records as mappings, NaN as null, anything else in a few words."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return writable(value)
    if (array := as_array(value)) is not None:
        return as_json(array.tolist())
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if isfinite(value) else None
    if isinstance(value, Mapping):
        return {writable(str(k)): as_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(v) for v in value]
    if is_dataclass(value):
        return {f.name: as_json(getattr(value, f.name)) for f in fields(value)}
    return str(value) if isinstance(value, Path) else gist(value)


def writable(text: str) -> str:
    """A text that any file can hold: lone halves of characters are written out."""
    return text.encode("utf8", "backslashreplace").decode()


def as_array(value: Any) -> np.ndarray | None:
    """An array or a tensor as an array; None for anything else. bfloat16, which numpy lacks, becomes float32."""
    if isinstance(value, np.ndarray):
        return value
    if not (hasattr(value, "detach") and hasattr(value, "cpu")):
        return None
    found = value.detach().cpu()
    return (found.float() if str(found.dtype) == "torch.bfloat16" else found).numpy()


def arrays_of(value: Any) -> dict[str, np.ndarray]:
    """The arrays in the fields of a record, of records inside of it, and in mappings by text, by dotted names."""
    return dict(_arrays(value, ""))


def _arrays(value: Any, name: str) -> Iterator[tuple[str, np.ndarray]]:
    if (array := as_array(value)) is not None:
        yield name, array
        return
    inside: dict[Any, Any] = {}
    if isinstance(value, Mapping):
        inside = dict(value)
    elif is_dataclass(value):
        inside = {f.name: getattr(value, f.name) for f in fields(value)}
    for key, part in inside.items():
        if isinstance(key, str):
            yield from _arrays(part, f"{name}.{key}" if name else key)


def largest_of_blocks(values: Float[np.ndarray, "..."], block: int, axes: int) -> Float[np.ndarray, "..."]:
    """An array too long to be drawn, of which every strong entry is still seen: the largest entry of each block of `block` along
    each of the last `axes` axes; what is missing at an end counts as 0."""
    if block == 1:
        return values
    kept = values.ndim - axes
    many = [-(-n // block) for n in values.shape[kept:]]
    pad = [m * block - n for m, n in zip(many, values.shape[kept:], strict=True)]
    wide = np.pad(values, [(0, 0)] * kept + [(0, p) for p in pad])
    split = wide.reshape(*values.shape[:kept], *(size for m in many for size in (m, block)))
    return split.max(axis=tuple(kept + 1 + 2 * i for i in range(axes)))
