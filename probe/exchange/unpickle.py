"""Tensors out of a file that `torch.save` wrote, without running anything the file asks for.

Such a file is a zip archive with one pickle and the raw numbers of each storage. A pickle is a program: it names functions and
calls them. Here no name is ever looked up. A handful of names that rebuild tensors and ordered dicts stand for functions
of this module; every other one becomes an inert object that remembers what it was called and given, and does nothing. So a
pickled settings object can still be read (`Inert.state`), and `os.system` is a label.
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from probe.artifacts.untrusted import reason
from probe.errors import BadInput, Unavailable
from probe.exchange.bounded import require_archive, room

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
LARGEST_PICKLE = 64 << 20
"Bytes of a pickle that is read; weights are not in it."


class Inert:
    """What stands for an object of an unknown kind: `arguments` it was made with, `state` it was given. It does nothing."""

    arguments: tuple[Any, ...]
    state: Any


def _inert_kind() -> type[Inert]:
    """A new class for each file, so that nothing a pickle does to it outlives the reading."""

    class Stub(Inert):
        def __new__(cls, *arguments: Any, **_: Any) -> "Stub":
            made = object.__new__(cls)
            made.arguments, made.state = arguments, None
            return made

        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __setstate__(self, state: Any) -> None:
            self.state = state

        def append(self, item: Any) -> None: ...

        def extend(self, items: Any) -> None: ...

        def __setitem__(self, key: Any, value: Any) -> None: ...

    return Stub


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, folder: str, source: str):
        super().__init__(io.BytesIO(_entry(archive, f"{folder}data.pkl", LARGEST_PICKLE, source)))
        self.archive, self.folder, self.source, self.inert = archive, folder, source, _inert_kind()
        self.loaded: dict[str, Tensor] = {}
        self.room = room(Path(source))

    def find_class(self, module: str, name: str) -> Any:
        """Never imports: a name is one of ours or inert."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
            return _tensor_maker(self) if name == "_rebuild_tensor_v2" else _parameter_maker()
        return self.inert

    def persistent_load(self, pid: Any) -> Any:
        """The numbers of one storage, of exactly the size the archive holds."""
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage" and isinstance(pid[1], torch.dtype)):
            raise BadInput(f"{self.source} refers to storage of a kind that is not read.")
        key = str(pid[2])
        if key not in self.loaded:
            raw = _entry(self.archive, f"{self.folder}data/{key}", 1 << 40, self.source)
            self.loaded[key] = torch.frombuffer(bytearray(raw), dtype=pid[1]) if raw else torch.empty(0, dtype=pid[1])
        return self.loaded[key]


def _tensor_maker(reader: _Reader) -> Callable[..., Tensor]:
    def tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
        if not (isinstance(storage, Tensor) and math.prod(size) <= storage.numel()):
            raise BadInput("a tensor is larger than the numbers stored for it")
        reader.room -= math.prod(size) * storage.element_size()
        if reader.room < 0:
            raise BadInput("its tensors, each with its own numbers, would take far more than the file")
        return torch.as_strided(storage, size, stride, offset).clone()

    return tensor


def _parameter_maker() -> Callable[..., Any]:
    return lambda data, *_: data


def read_torch(path: Path) -> Any:
    """What `torch.save` wrote: dicts, lists, numbers, strings and tensors; all else is `Inert`.

    Raises Unavailable for a truncated file and BadInput for one that torch did not write as a zip archive (before 1.6).
    """
    source = str(path)
    try:
        require_archive(path)
        with zipfile.ZipFile(path) as archive:
            pickles = [n for n in archive.namelist() if n == "data.pkl" or n.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise BadInput(f"{source} is a zip archive, but none that torch.save writes: it has no data.pkl.")
            return _Reader(archive, pickles[0].removesuffix("data.pkl"), source).load()
    except zipfile.BadZipFile as error:
        raise Unavailable(
            f"{source} is truncated, or not a file of torch.save in its zip form. Fetch it again."
        ) from error
    except OSError as error:
        raise BadInput(f"{source} cannot be read ({error.strerror or error}).") from error
    except (BadInput, Unavailable):
        raise
    except Exception as error:
        # Hostile bytes can make the unpickler raise anything (also what our own stand-ins raise when wrongly called).
        raise BadInput(
            f"{source} does not hold what torch.save writes ({type(error).__name__}: {reason(error)})."
        ) from error


def _entry(archive: zipfile.ZipFile, name: str, largest: int, source: str) -> bytes:
    """One entry, which torch never compresses: a small file cannot unfold into a huge one."""
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise Unavailable(f"{source} is incomplete: it lacks {name}. Fetch it again.") from error
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > largest:
        raise BadInput(f"{source}: {name} is compressed or too large for what torch.save writes; it was not read.")
    return archive.read(info)
