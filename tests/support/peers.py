"""The libraries Openwork exchanges dictionaries with, for tests and benchmarks: `sae_lens()`, `sparsify()` and one more.

sae-lens asks for a transformer-lens below 4, of which its dictionary classes use next to nothing: a base class with hooks
that version 4 still has under another name, and names in signatures. Installed without its dependencies, it runs unmodified
here on stand-ins for the modules version 4 no longer has; they are taken away again once it is imported. In the same way
dictionary_learning's classes need nothing of nnsight but its name.
"""

import contextlib
import importlib
import importlib.util
import io
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from torch import nn


def sae_lens() -> ModuleType:
    """The real `sae_lens` package; the calling test is skipped where it is not installed."""
    return _load("sae_lens")


def sparsify() -> ModuleType:
    """EleutherAI's real `sparsify` package; the calling test is skipped where it is not installed."""
    return _load("sparsify")


def dictionary_learning() -> ModuleType:
    """The real `dictionary_learning` package, with its classes of trainers (`.trainers.top_k.AutoEncoderTopK`, ...)."""
    _load("dictionary_learning")
    for name in ("top_k", "batch_top_k", "matryoshka_batch_top_k"):
        _load(f"dictionary_learning.trainers.{name}")
    return sys.modules["dictionary_learning"]


def _load(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed; `make env` installs it.")
    with _stand_ins(), contextlib.redirect_stdout(io.StringIO()):
        return importlib.import_module(name)


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """The modules of transformer-lens 3 that sae-lens imports and transformer-lens 4 lacks, while it is imported."""
    import transformer_lens

    made = _modules()
    sys.modules.update(made)
    transformer_lens.HookedTransformer = made["transformer_lens.HookedTransformer"].HookedTransformer
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]
        del transformer_lens.HookedTransformer


def _modules() -> dict[str, ModuleType]:
    from transformer_lens.HookedRootModule import HookedRootModule

    class HookedTransformer(HookedRootModule):
        """Only a name to be annotated with and inherited from."""

    given: dict[str, dict[str, Any]] = {
        "HookedTransformer": {
            "HookedTransformer": HookedTransformer,
            "HookedRootModule": HookedRootModule,
            "Loss": Any,
            "Output": Any,
        },
        "components": {},
        "components.mlps": {},
        "components.mlps.can_be_used_as_mlp": {"CanBeUsedAsMLP": type("CanBeUsedAsMLP", (nn.Module,), {})},
        "utils": {"USE_DEFAULT_VALUE": None, "get_tokens_with_bos_removed": None, "lm_cross_entropy_loss": None},
    }
    made = {}
    for name, names in given.items():
        module = ModuleType(f"transformer_lens.{name}")
        module.__dict__.update(names, __path__=[])
        made[module.__name__] = module
    if importlib.util.find_spec("nnsight") is None:
        made["nnsight"] = ModuleType("nnsight")
        made["nnsight"].__dict__["LanguageModel"] = nn.Module
    return made
