"""Openwork's own packages, whatever else is called `app`, `probe` or `circuits` where Python was started.

Python puts the folder it was started in before what is installed, so a project's own `app.py` would be taken for the dashboard.
Here they are imported from beside this package. Where the other one was imported first, a sentence says which it is.
"""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

PACKAGES = ("probe", "circuits", "app")
ROOT = Path(__file__).resolve().parent.parent


def own(name: str) -> ModuleType:
    """Openwork's package of that name. ImportError where another one has it already."""
    there = sys.modules.get(name) or _imported(name)
    if not is_own(there, name):
        raise ImportError(
            f"Openwork's package '{name}' is at {ROOT / name}, but another '{name}' was imported first, from {_where(there)}. "
            f"One Python can hold one of them: rename the other, or import openwork{'.notebook' * (name == 'app')} before it."
        )
    return there


def is_own(module: ModuleType, name: str) -> bool:
    """Whether a module is Openwork's package of that name."""
    return any(Path(folder).resolve() == ROOT / name for folder in getattr(module, "__path__", ()))


def _imported(name: str) -> ModuleType:
    sys.path.insert(0, str(ROOT))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(ROOT))


def _where(module: ModuleType) -> str:
    return str(getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "an unknown place"))
