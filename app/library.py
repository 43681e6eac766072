"""What is stored under `home()`, sorted for the pages. Artifacts are reached by registered kind and name, never by path."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app import held
from probe.artifact import KINDS, Manifest, ModelStamp, home, read_manifest
from probe.claims import all_returned
from probe.errors import BadInput, OpenworkError

MODELS = ("smollm2-135m", "toy")
"""Models the dashboard offers; equal to `probe.models.ALIASES`, repeated here because that module imports torch."""

_offered: list[str] = []


def offer(name: str) -> str:
    """Offer a model that no artifact is of yet, named by whoever starts the server: an alias, folder, GGUF file or hub id.

    Returns the name that pages know it by. Raises BadInput for a path where nothing is.
    """
    path = Path(name).expanduser()
    if name not in MODELS:
        if path.exists():
            name = str(path.resolve())
        elif not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or path.suffix.lower() == ".gguf" or name.startswith("."):
            raise BadInput(
                f"There is no model file or folder {path}; give an alias, a hub id, a model folder or a .gguf file."
            )
    if name not in _offered:
        _offered.append(name)
    return name


def first_model() -> str:
    """The model that a menu begins with: the one the server was started with, else the default."""
    return _offered[0] if _offered else MODELS[0]


@dataclass
class Library:
    """Readable artifacts by kind, newest first, and the names and reasons of those that could not be read."""

    kinds: dict[str, list[tuple[Path, Manifest]]] = field(default_factory=lambda: {k: [] for k in KINDS})
    damaged: list[tuple[str, str]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not any(self.kinds.values()) and not self.damaged


def library() -> Library:
    """Read every manifest under `home()`."""
    found = Library()
    for kind, folder in KINDS.items():
        all_returned(home() / folder)
        for path in sorted((home() / folder).glob("[!.]*/")):
            if path.suffix == ".partial":  # being written, or to be resumed
                continue
            try:
                found.kinds[kind].append((path, read_manifest(path, kind)))
            except OpenworkError as error:
                found.damaged.append((f"{folder}/{path.name}", str(error)))
        found.kinds[kind].sort(key=lambda pair: pair[1].created, reverse=True)
    return found


def registered(kind: str, name: str) -> Path:
    """The folder of the artifact of this kind and name, chosen from those that exist; BadInput when there is none."""
    all_returned(home() / KINDS[kind])
    for path in (home() / KINDS[kind]).glob("[!.]*/"):
        if path.name == name and not path.is_symlink():
            return path
    raise BadInput(
        f"No {kind} named '{name}' is stored here. It may have been removed, or made under another OPENWORK_HOME."
    )


def models() -> list[str]:
    """Names to offer in a model menu: those the server was started with, the built-in ones, those that artifacts are of."""
    used = [m.model.name for pairs in library().kinds.values() for _, m in pairs if m.model]
    there = [n for n in used if not Path(n).is_absolute() or Path(n).exists()]
    return list(dict.fromkeys([*_offered, *MODELS, *held.names(), *there]))


def require_offered(model: Any) -> str:
    """The model's name; BadInput where no menu offers it. Addresses and requests may say anything, and load nothing else."""
    if not isinstance(model, str) or model not in models():
        known = ", ".join(map(short_model, models()))
        raise BadInput(
            f"'{str(model)[:60]}' is none of the models known here ({known}). For another start  openwork serve --model NAME."
        )
    return model


def short_model(name: str) -> str:
    """A model's name for people: of a local folder or file, which is stored by its whole path, the last part."""
    return Path(name).name if Path(name).is_absolute() else name


def newest_dictionaries(fits: Callable[[ModelStamp], bool]) -> list[Path]:
    """The folders of the stored dictionaries whose model `fits`: for each pair of sites the newest."""
    found: dict[tuple[str, ...], Path] = {}
    for folder, manifest in library().kinds["dictionary"]:
        if manifest.model and fits(manifest.model):
            found.setdefault(manifest.sites, folder)
    return list(found.values())


def stale(manifest: Manifest) -> str | None:
    """Why an artifact no longer fits its model, or None. Compares with what was loaded here under that name; loads nothing."""
    from app.analyses import stamp_in_memory  # that module imports this one

    made = manifest.model
    now = stamp_in_memory(made.name) if made else None
    if made is None or now is None or (made.weights, made.tokenizer) == (now.weights, now.tokenizer):
        return None
    part = "weights" if made.weights != now.weights else "tokenizer"
    return f"Made from other {part} than {short_model(made.name)} has now; make it again, or load the model it was made from."
