"""Openwork under one name: everything that `probe` (looking) and `circuits` (explaining) offer.

    import openwork as ow
    model = ow.load_model("smollm2-135m")
    graph = ow.trace(model, "The capital of France is")
    ow.methods()                                  # what can be asked of a model, by group
    ow.Call.checked("sinks", "smollm2-135m", {"prompt": "The capital of France is"}).run(model)

`ow.probe` and `ow.circuits` are the two packages, `ow.notebook` serves the dashboard in a notebook. Importing does no work. A
project with an `app` of its own imports this name, which finds Openwork's packages wherever Python was started.
"""

from openwork import interrupts

interrupts.install()

from importlib import import_module
from typing import Any

from openwork.own import own

_PACKAGES = ("probe", "circuits")
_CATALOGUE = {"methods": "probe.methods.catalogue", "Call": "probe.methods.call", "call_of": "probe.methods.call"}
"""What is asked by name: where it is, since `probe.methods` is the room itself."""
__all__ = [
    "__version__",
    "notebook",
    *_CATALOGUE,
    *_PACKAGES,
    *dict.fromkeys(name for p in _PACKAGES for name in own(p).__all__),
]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return own(name)
    if name in _CATALOGUE:
        own("probe")
        return getattr(import_module(_CATALOGUE[name]), name)
    if name == "notebook":
        own("app")
        from app.server import notebook

        return notebook
    if name == "__version__":
        from importlib.metadata import version

        return version("openwork")
    holder = next((p for p in _PACKAGES if name in own(p).__all__), None)
    if holder is None:
        from probe.public import missing

        raise AttributeError(missing("openwork", __file__, name, dict.fromkeys(__all__, "")), name=name)
    return getattr(own(holder), name)


def __dir__() -> list[str]:
    return sorted(__all__)
