"""One artifact, one folder: `manifest.json` beside safetensors or parquet files.

A folder is written beside its final place and renamed into it, so a reader sees all of it or none (see
`probe.artifacts.locks.claims` and `probe.artifacts.renames`). The manifest says what it is, which model it belongs to (by
fingerprint, not by name), how it was made and from what, and the SHA-256 of every file. Nothing is pickled.
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from probe.artifacts.digest import digest_of, fresh_digest, sha256
from probe.artifacts.folder import home, place
from probe.artifacts.json import write_json
from probe.artifacts.locks.claims import claim, returned
from probe.artifacts.names import as_path, partial
from probe.artifacts.renames import put, scratch
from probe.artifacts.schemas import faults
from probe.artifacts.untrusted import read_json, reading, sealed, unsealed
from probe.errors import BadInput, Unavailable, brief
from probe.show.record import Record

SCHEMA = 1
MANIFEST = "manifest.json"
_LOOKS = 4
_LARGEST = 64 << 20  # bytes of a manifest; one of a thousand shards has a tenth of a megabyte


def found_folder(kind: str, given: object, make: str = "") -> Path:
    """The folder as given, or the artifact of that name under `home()`; a half-made one too. BadInput where there is none.

    make: what to do where there is none, for the message.
    """
    path = as_path(given)
    named = [place(kind, path.name)] if len(path.parts) == 1 and path.name not in ("", "..") else []
    if (found := _there(path, *named)) is not None:
        return found
    if path.exists():
        raise BadInput(f"{path} is a file; an artifact is a folder with a {MANIFEST}.")
    known = f", neither as a folder nor by name under {home()}" if named else ""
    words = {"features": "feature table", "result": "stored result"}
    raise BadInput(f"There is no {words.get(kind, kind)} {str(given)!r}{known}.{f' {make}' if make else ''}")


def model_made_from(kind: str, what: Any, advice: str = "") -> str:
    """The name of the model that a stored artifact was made from; "" where its manifest does not say. BadInput where there is
    none of this kind."""
    stamp = read_manifest(found_folder(kind, what, advice), kind).model
    return stamp.name if stamp else ""


def is_place(given: str | os.PathLike[str]) -> bool:
    """Whether this names a file or the folder of an artifact; other folders are nothing that is stored."""
    return os.path.isfile(given) or has_manifest(given)


def has_manifest(folder: str | os.PathLike[str]) -> bool:
    """Whether this is the folder of an artifact; it is not where no system can have a folder of that name."""
    return os.path.isfile(os.path.join(folder, MANIFEST))  # Path.is_file raises for a long name


def _there(*places: Path) -> Path | None:
    """Which of these is a folder, finished ones first.

    Looked at again before it is said that there is none: where the system cannot exchange two folders, one that is being replaced
    is for a moment not there, and may have gone after it was waited for.
    """
    for _ in range(_LOOKS):
        for one in places:
            returned(one)
        for one in sorted(places, key=lambda p: not (p / MANIFEST).is_file()):
            if one.is_dir() or partial(one).exists():
                return one
    return None


@dataclass(frozen=True)
class ModelStamp:
    """Which model: its name for people, and fingerprints of its weights and tokenizer for checks."""

    name: str
    weights: str
    tokenizer: str


@dataclass(frozen=True)
class Manifest(Record):
    """The description of one artifact; `files` maps each file's name to its SHA-256 (shards: `crc32:...`).

    created: when it was made, and by which versions; changed: when it was last rewritten (a pin, a label, a repair), or "".
    """

    kind: str
    name: str
    model: ModelStamp | None = None
    sites: tuple[str, ...] = ()
    dtype: str = "float32"
    seed: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    command: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    changed: str = ""
    schema: int = SCHEMA


def versions() -> dict[str, str]:
    """The versions that can change a number."""
    found = {"python": platform.python_version()}
    for package in ("openwork", "torch", "transformer-lens", "transformers", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def this_command() -> str:
    """The shell line that runs this process again."""
    import shlex

    line = shlex.join(["openwork", *sys.argv[1:]] if Path(sys.argv[0]).stem == "openwork" else ["python", *sys.argv])
    return line.encode("utf8", "backslashreplace").decode()  # arguments may hold bytes that are no text


def write_manifest(folder: Path, manifest: Manifest, hashed: dict[str, str] | None = None) -> Manifest:
    """Complete a manifest with file hashes (`hashed` are known already), versions and the date, and write it. One that has its
    date was made before: it keeps that and the versions, and gets the moment of this change."""
    known, now = hashed or {}, datetime.now(UTC).isoformat(timespec="seconds")
    files = {name: known.get(name) or sha256(folder / name) for name in _listed(folder)}
    full = Manifest(
        **{
            **{k: getattr(manifest, k) for k in manifest.__dataclass_fields__},
            "files": files,
            "versions": manifest.versions or versions(),
            "created": manifest.created or now,
            "changed": now if manifest.created else "",
            "command": manifest.command or this_command(),
        }
    )
    write_json(folder / MANIFEST, sealed(asdict(full)))
    return full


def _listed(folder: Path) -> list[str]:
    """The files of an artifact; hidden ones are what a killed writer left, and no part of it. Raises where it cannot be read."""
    found: list[str] = []
    for top, _, names in os.walk(folder, onerror=_raise):
        found += [str((Path(top) / n).relative_to(folder)) for n in names if n != MANIFEST and not n.startswith(".")]
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def writing(
    folder: Path, manifest: Manifest, *, replace: bool = False, hashed: dict[str, str] | None = None
) -> Iterator[Path]:
    """Yield a scratch folder to write files into; on success it gets its manifest, is brought to disk and becomes `folder`.

    BadInput where somebody else writes that name, or it is taken and not to be replaced. hashed: checksums that are known
    already, which may be put in meanwhile.
    """
    with claim(folder, free=not replace):
        beside = scratch(folder)
        try:
            yield beside
            write_manifest(beside, manifest, hashed)
            put(beside, folder, replace=replace)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def read_manifest(folder: Path, kind: str | None = None) -> Manifest:
    """Read a folder's manifest; `kind` refuses an artifact of another kind.

    Its name is the folder's, whatever the file says: folders are copied and renamed, and everything is reached by folder.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        returned(Path(folder))
    if not path.is_file():
        raise BadInput(f"{folder} is not an Openwork artifact: it has no {MANIFEST}.")
    raw = _sound(path)
    stamp = raw.pop("model", None)
    with reading(path, "restore it or make the artifact again"):
        manifest = Manifest(**{k: v for k, v in raw.items() if k in Manifest.__dataclass_fields__})
        model = ModelStamp(**stamp) if stamp else None
    if kind and manifest.kind != kind:
        raise BadInput(f"{folder} holds a {manifest.kind}; a {kind} was wanted.")
    name = Path(folder).name or Path(folder).resolve().name  # "." has none
    fixed = {"name": name, "model": model, "sites": tuple(manifest.sites), "parents": tuple(manifest.parents)}
    return Manifest(**{**{k: getattr(manifest, k) for k in manifest.__dataclass_fields__}, **fixed})


def _sound(path: Path) -> dict[str, Any]:
    """A manifest's JSON, with the digest it was written with and fields of the right sort; Unavailable for another."""
    raw = read_json(path, _LARGEST)
    if isinstance(raw, dict) and isinstance(schema := raw.get("schema"), int) and schema > SCHEMA:
        raise BadInput(
            f"{path.parent} has schema {brief(schema)}; this Openwork reads up to {SCHEMA}. Upgrade Openwork."
        )
    with reading(path, "restore it or make the artifact again"):
        raw = unsealed(raw)
    if found := faults(raw):
        raise Unavailable(f"{path} is damaged: {'; '.join(found[:3])}. Restore it or make the artifact again.")
    return raw


def check_files(folder: Path, manifest: Manifest) -> list[str]:
    """Names of the files that are missing or differ from their checksum."""

    return [
        name
        for name, digest in manifest.files.items()
        if not (folder / name).is_file() or fresh_digest(folder / name, digest) != digest
    ]


def require_files(folder: Path, manifest: Manifest, names: Iterable[str], advice: str = "Make it again.") -> None:
    """Unavailable, naming them, where files are missing or damaged. Each is read for this once in a process, until it changes."""
    broken = [
        name
        for name in names
        if name not in manifest.files
        or not (folder / name).is_file()
        or digest_of(folder / name, manifest.files[name]) != manifest.files[name]
    ]
    if broken:
        raise Unavailable(f"In {folder}, {', '.join(broken)} is missing or damaged. {advice}")
