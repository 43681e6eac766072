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
        name = mine.name if _weights.get(mine.name, mine.weights) == mine.weights else f"{mine.name}@{mine.weights[:8]}"
        if name not in _twins:
            _twins[name], _weights[name] = twin(model), mine.weights
            weakref.finalize(model, _let_go, name)
    return name


def _let_go(name: str) -> None:
    """The weights stay on record, so that the name never comes to mean another model."""
    _twins.pop(name, None)


def held(name: str) -> Any | None:
    """The twin of a held model by its name on the pages."""
    return _twins.get(name)


def names() -> list[str]:
    """Names of the models that are held."""
    return list(_twins)
