"""Models at hand: those that are offered, those in memory, and those that a notebook handed over."""

import re
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.library import recent_records
from app.library.artifacts import library, registered
from app.library.recent_records import Recent
from probe.artifacts.manifest import Manifest, ModelStamp, read_manifest
from probe.errors import BadInput, OpenworkError
from probe.model.aliases import ALIASES
from probe.model.aliases import short_model as short_model
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


_lock = threading.Lock()
_models: Recent[Any] = Recent(2)
_twins: dict[str, Any] = {}
"""Of the models that notebooks handed over, which share their weights."""
_for_plans: "weakref.WeakKeyDictionary[TransformerBridge, TransformerBridge]" = weakref.WeakKeyDictionary()
"""Twins that plans run: some measure a pass, and the worker may be running the model itself."""
_stamps: dict[str, ModelStamp] = {}
"""What each name stood for last; it stays when the model is let go, so that no name comes to mean another model unnoticed."""


def hand_over(model: "TransformerBridge") -> str:
    """Make a loaded model known to the pages and return its name there."""
    from probe.model.load import stamp
    from probe.model.shared_weights import copy_sharing_weights

    mine = stamp(model)
    with _lock:
        known = _stamps.setdefault(mine.name, mine)
        name = mine.name if known.weights == mine.weights else f"{mine.name}@{mine.weights[:8]}"
        if name not in _twins:
            twin = copy_sharing_weights(model)
            _prepare(twin)
            _twins[name], _stamps[name] = twin, mine
            weakref.finalize(model, _twins.pop, name, None)
    return name


def handed_over(name: str) -> "TransformerBridge | None":
    """The twin of a model that a notebook handed over, by its name on the pages.

    None once its weights, which the notebook's model shares, were edited: what is found in it would stand under the name of what
    it was.
    """
    if (found := _twins.get(name)) is None:
        return None
    from probe.model.load import stamp

    return found if stamp(found).weights == _stamps[name].weights else None


def names_handed_over() -> list[str]:
    """Names of the models that notebooks handed over."""
    return list(_twins)


def loaded() -> list[str]:
    """Names, as people read them, of the models in memory."""
    return [short_model(str(k)) for k in dict.fromkeys([*_models.keys(), *names_handed_over()])]


def in_memory(name: str) -> "TransformerBridge | None":
    """The model of this name if it is loaded; never loads one. Pages may read its config, and only the worker may run it."""
    model = handed_over(name)
    return _models.get(name) if model is None else model


def for_plans(name: str) -> "TransformerBridge | None":
    """What a page may run to tell what something will take, or None where the model is not loaded: it shares its weights with the
    model that the worker runs, and no hook."""
    return None if (model := in_memory(name)) is None else _for_plans.get(model)


def _prepare(model: "TransformerBridge") -> None:
    """What pages ask of a model while the worker runs it, made before it does."""
    from probe.model.anatomy import anatomy
    from probe.model.shared_weights import copy_sharing_weights

    anatomy(model)
    _for_plans[model] = copy_sharing_weights(model)


def model_named(name: str, progress: Progress = SILENT) -> "TransformerBridge":
    """A loaded model by name, from memory when it is there. BadInput for a name that no menu offers: whatever a request says
    reaches this place at last, and must not load any folder of the machine."""
    if (model := in_memory(name)) is not None:
        return model
    require_offered(name)
    with progress.stage(f"load {name}", total=2, unit="step") as step:
        from probe.model.load import load_model, stamp  # torch comes with it

        step(1)
        model = load_model(name, progress=progress)
        _prepare(model)
        found = stamp(model)
        if (before := _stamps.get(found.name)) is not None and before.weights != found.weights:
            recent_records.forget()  # what was found in another model of this name
        _stamps[found.name] = found
        step(1)
    return _models.put(name, model)


def stamp_in_memory(name: str) -> ModelStamp | None:
    """Fingerprints of the model of this name, if it was loaded here or handed over; never loads one."""
    return _stamps.get(name)


MODELS = ALIASES
"""Models the dashboard offers."""
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


def models() -> list[str]:
    """Names to offer in a model menu: those the server was started with, the built-in ones, those that artifacts are of."""
    used = [m.model.name for pairs in library().kinds.values() for _, m in pairs if m.model]
    there = [n for n in used if not Path(n).is_absolute() or Path(n).exists()]
    return list(dict.fromkeys([*_offered, *MODELS, *names_handed_over(), *there]))


def require_offered(model: object) -> str:
    """The model's name; BadInput where no menu offers it. Addresses and requests may say anything, and load nothing else."""
    if not isinstance(model, str) or model not in models():
        known = ", ".join(map(short_model, models()))
        raise BadInput(
            f"'{str(model)[:60]}' is none of the models known here ({known}). For another start  openwork serve --model NAME."
        )
    return model


def model_of_stored(kind: str, name: str) -> str:
    """The model that a stored artifact is of, where pages offer it; "" for any other."""
    try:
        made = read_manifest(registered(kind, name), kind).model
    except OpenworkError:
        return ""
    return made.name if made and made.name in models() else ""


def stale(manifest: Manifest) -> str | None:
    """Why an artifact no longer fits its model, or None. Compares with what was loaded here under that name; loads nothing."""
    made = manifest.model
    now = stamp_in_memory(made.name) if made else None
    if made is None or now is None or (made.weights, made.tokenizer) == (now.weights, now.tokenizer):
        return None
    part = "weights" if made.weights != now.weights else "tokenizer"
    return f"Made from other {part} than {short_model(made.name)} has now; make it again, or load the model it was made from."


def forget() -> None:
    """Let go of every model and of what its name meant, as a process that ends does."""
    for kept in (_models, _stamps, _twins, _for_plans):
        kept.clear()
