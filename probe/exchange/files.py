"""Reading other people's files without trusting them, and writing a folder whole or not at all."""

import math
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from probe.artifacts.leftovers import announced
from probe.artifacts.locks.claims import claim
from probe.artifacts.renames import put, scratch
from probe.artifacts.untrusted import parse_json, plain_file, reason
from probe.errors import BadInput, OpenworkError, Unavailable, brief

_SETTINGS = 64 << 20  # bytes of a file of settings
Tensors = dict[str, Tensor]


def read_mapping(path: Path) -> dict[str, Any]:
    """A JSON or YAML file that holds a mapping. Unavailable where it is damaged, BadInput where it holds something else."""
    import yaml

    from probe.exchange.bounded import load_yaml

    try:
        data = plain_file(path, _SETTINGS).read_bytes()
        found = parse_json(data, strict=False) if path.suffix == ".json" else load_yaml(data.decode())
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, yaml.YAMLError, RecursionError, OverflowError, TypeError) as error:
        raise Unavailable(f"{path} is damaged: {reason(error)}. Fetch or write it again.") from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds {brief(found)}; settings by name were wanted.")
    return found


def read_safetensors(path: Path) -> Tensors:
    """All tensors of a safetensors file. Unavailable where it is missing or truncated."""
    try:
        return load_file(plain_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise Unavailable(
            f"{path} is missing, truncated or no safetensors file ({reason(error)}). Fetch it again."
        ) from error


def read_npz(path: Path) -> Tensors:
    """All arrays of a NumPy archive; arrays of Python objects, which would run code, are refused."""
    from probe.exchange.bounded import require_archive

    try:
        require_archive(path)
        with np.load(path, allow_pickle=False) as archive:
            return {name: torch.from_numpy(np.ascontiguousarray(archive[name])) for name in archive.files}
    except OpenworkError:
        raise
    except Exception as error:  # damaged bytes make zip and header parsers raise nearly anything
        raise Unavailable(f"{path} is missing, truncated or no plain NumPy archive ({reason(error)}).") from error


def is_zip(path: Path) -> bool:
    """Whether a file begins and ends as a zip archive does, as those of torch.save do."""
    try:
        return path.is_file() and zipfile.is_zipfile(path)
    except (zipfile.BadZipFile, OSError):
        return False


def take(tensors: Mapping[str, Any], source: str, needed: Iterable[str], known: Iterable[str] = ()) -> Tensors:
    """The needed tensors in float64, and those `known` that are there; BadInput for one that lacks or one nobody knows."""
    needed, known = list(needed), list(known)
    if lacks := [name for name in needed if not isinstance(tensors.get(name), Tensor)]:
        raise BadInput(f"{source} lacks {', '.join(lacks)}; it holds {_some(tensors)}. Is it another format?")
    if strange := sorted(set(tensors) - {*needed, *known}):
        raise BadInput(f"{source} also holds {_some(strange)}, whose meaning is not known. Nothing was imported.")
    return {name: number(tensors[name], f"{source}: {name}") for name in (*needed, *known) if name in tensors}


def number(value: Shaped[Tensor, "..."], what: str) -> Shaped[Tensor, "..."]:
    """A tensor of real numbers in float64; BadInput for any other."""
    if value.is_complex() or value.dtype == torch.bool or value.is_sparse:
        raise BadInput(f"{what} has dtype {value.dtype}; real numbers were wanted.")
    return value.detach().double()


def setting(config: Mapping[str, Any], name: str, kind: type | UnionType, source: str) -> Any:
    """A setting of the wanted type; BadInput where it is missing or of another."""
    value = config.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadInput(f"{source} must give {name} as {getattr(kind, '__name__', kind)}; it has {brief(value)}.")
    return value


def facts_of(config: Any, names: Iterable[str]) -> dict[str, str | int | float]:
    """The settings of these names that are plain values, to be kept as provenance."""
    found = {name: config.get(name) for name in names} if isinstance(config, Mapping) else {}
    plain = {n: v for n, v in found.items() if isinstance(v, int) or (isinstance(v, float) and math.isfinite(v))}
    return plain | {name: value[:200] for name, value in found.items() if isinstance(value, str)}


def write_tensors(tensors: Mapping[str, Tensor], path: Path, dtype: torch.dtype) -> None:
    """A safetensors file, all floating numbers in one dtype."""
    plain = {n: v.to(dtype) if v.is_floating_point() else v for n, v in tensors.items()}
    save_file({name: value.contiguous().clone() for name, value in plain.items()}, path)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder that becomes `folder` once it is complete. BadInput if `folder` holds anything, Unavailable if
    nothing can be written."""
    folder = Path(os.path.abspath(folder))  # `.` has no name
    with claim(folder), announced(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInput(f"{folder} exists already. Name another folder, or remove that one.")
        beside = scratch(folder)
        try:
            yield beside
            put(beside, folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _some(names: Iterable[Any], n: int = 8) -> str:
    names = [str(name)[:60] for name in names]
    return ", ".join(names[:n]) + (f" and {len(names) - n} more" if len(names) > n else "") or "nothing"
