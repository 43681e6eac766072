"""Sparsifiers by name, for files and command lines."""

from typing import Any

from probe.dictionaries.sparsifiers.base import ReLU, Sparsifier, TopK
from probe.dictionaries.sparsifiers.batchtopk import BatchTopK
from probe.dictionaries.sparsifiers.gated import Gated
from probe.dictionaries.sparsifiers.jumprelu import JumpReLU
from probe.dictionaries.sparsifiers.matryoshka import Matryoshka
from probe.errors import BadInput

SPARSIFIERS: dict[str, type[Sparsifier]] = {
    kind.name: kind for kind in (ReLU, TopK, BatchTopK, JumpReLU, Gated, Matryoshka)
}


def sparsifier(config: dict[str, Any]) -> Sparsifier:
    """The sparsifier that `config` (from `Sparsifier.config`) describes, with nothing learned."""
    rest = dict(config)
    name = rest.pop("name", None)
    if name not in SPARSIFIERS:
        raise BadInput(f"There is no sparsifier '{name}'; known are {', '.join(SPARSIFIERS)}.")
    if isinstance(rest.get("inner"), dict):
        rest["inner"] = sparsifier(rest["inner"])
    try:
        return SPARSIFIERS[name](**rest)
    except TypeError as error:
        raise BadInput(f"'{name}' cannot be made of {rest}: {error}") from error
