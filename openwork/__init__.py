"""Openwork under one name: everything that `probe` (looking) and `circuits` (explaining) offer.

    import openwork
    model = openwork.load_model("smollm2-135m")
    graph = openwork.trace(model, "The capital of France is")

`openwork.probe` and `openwork.circuits` are the two packages, `openwork.notebook` serves the dashboard in a notebook. Importing
does no work. A project with an `app` of its own imports this name, which finds Openwork's packages wherever Python was started.
"""

from openwork import interrupts

interrupts.install()

from typing import Any

from openwork.own import own

_PACKAGES = ("probe", "circuits")
__all__ = ["__version__", "notebook", *_PACKAGES, *dict.fromkeys(name for p in _PACKAGES for name in own(p).__all__)]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return own(name)
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
