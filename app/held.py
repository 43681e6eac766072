"""Models that a notebook already has: the pages run their twins and load no second copy.

A model is known to the pages by its own name. Another model of that name with other weights (edited, say) gets a name that ends
in `@` and the beginning of its fingerprint. When the notebook lets go of a model, so do the pages.
"""

import threading
import weakref
from typing import Any

_lock = threading.Lock()
_twins: dict[str, Any] = {}
_weights: dict[str, str] = {}


def hold(model: Any) -> str:
    """Make a loaded model known to the pages and return its name there."""
    from probe.models import stamp
    from probe.twin import twin

    mine = stamp(model)
    with _lock:
        other = weights_of(mine.name) not in (None, mine.weights)
        name = f"{mine.name}@{mine.weights[:8]}" if other else mine.name
        if name not in _twins:
            _twins[name], _weights[name] = twin(model), mine.weights
            weakref.finalize(model, _let_go, name)
    return name


def _let_go(name: str) -> None:
    """The weights stay on record, so that the name never comes to mean another model."""
    _twins.pop(name, None)


def weights_of(name: str) -> str | None:
    """The fingerprint that a name stands for: of the model held, or loaded from disk, under it first."""
    from app.analyses import stamp_in_memory  # that module imports this one

    loaded = stamp_in_memory(name)
    return _weights.get(name) or (loaded.weights if loaded else None)


def held(name: str) -> Any | None:
    """The twin of a held model by its name on the pages; none once its weights, which the notebook's model shares, were edited:
    what is found in it would stand under the name of what it was."""
    if (found := _twins.get(name)) is None:
        return None
    from probe.models import stamp

    return found if stamp(found).weights == _weights[name] else None


def names() -> list[str]:
    """Names of the models that are held."""
    return list(_twins)
