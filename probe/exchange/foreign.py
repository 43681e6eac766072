"""A dictionary as read from another library's files: weights without that library's conventions, and where it belongs."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from probe.dictionaries import CrossLayerTranscoder, Dictionary
from probe.dictionaries.store import AnyDictionary
from probe.errors import BadInput
from probe.exchange.weights import Weights
from probe.show.record import Record


@dataclass(frozen=True, eq=False)
class Foreign(Record):
    """weights: one dictionary's, or those of each layer of a cross-layer transcoder, whose part l writes to sites_out[l:].

    Sites are in Openwork's names where the file's could be understood, and empty where it gives none.
    facts: what the file says besides (model, architecture, its own names), kept as provenance.
    """

    source: str
    weights: tuple[Weights, ...]
    sites_in: tuple[str, ...] = ("",)
    sites_out: tuple[str, ...] = ("",)
    facts: dict[str, Any] = field(default_factory=dict)
    norm_is_plain: bool = False
    "Whether a hook after a norm held what the norm computes without its weight and bias, whatever the model."
    centred: bool = False
    "Whether it was trained on a model whose writing weights were centred, where its norms take the mean off anyhow."

    @property
    def cross_layer(self) -> bool:
        return len(self.weights) > 1 or len(self.sites_out) > 1

    def dictionary(self, dtype: torch.dtype = torch.float32) -> AnyDictionary:
        """The dictionary. BadInput for shapes that do not agree and numbers that are not finite."""
        for weights in self.weights:
            weights.sound(self.source)
        if not self.cross_layer:
            return self.weights[0].dictionary(self.sites_in, self.sites_out, self.source, dtype)
        parts = [
            weights.dictionary(self.sites_in[layer : layer + 1], self.sites_out[layer:], self.source, dtype)
            for layer, weights in enumerate(self.weights)
        ]
        return _joined(parts, self.source)


def _joined(parts: Sequence[Dictionary], source: str) -> CrossLayerTranscoder:
    widths_in = [part.d_in for part in parts]
    widths_out = [parts[0].widths_out[layer] for layer in range(len(parts))]
    if any(part.widths_out != tuple(widths_out[layer:]) for layer, part in enumerate(parts)):
        raise BadInput(f"{source}: the layers write to outputs of different widths.")
    sites = {"sites_in": [part.site_in for part in parts], "sites_out": list(parts[0].sites_out)}
    empty = CrossLayerTranscoder(widths_in, parts[0].d_dict, widths_out, sparsifier=parts[0].sparsifier, **sites)
    return empty.changed(lambda _, layer: parts[layer]).eval()


@dataclass(frozen=True)
class Format:
    """How one library's files are found, read and written.

    find: the dictionaries in a folder (or file), by names that are paths in it; none if it is not of this format.
    read: one of them. write: dictionaries into an empty folder, with what is to be said of them; None where only reading
    is offered.
    """

    name: str
    about: str
    find: Callable[[Path], list[str]]
    read: Callable[[Path, str], Foreign]
    write: Callable[[Sequence[AnyDictionary], Path, Mapping[str, Any]], None] | None = None


MOST_FOLDERS = 20_000


def folders_with(root: Path, *files: str) -> list[str]:
    """Sub-folders of `root` (itself is `.`) that hold all of `files`; hidden ones are left out. Sorted by name."""
    if not root.is_dir():
        return []
    inside = []
    for count, (folder, below, there) in enumerate(os.walk(root)):  # which passes over what may not be read
        if count > MOST_FOLDERS:
            raise BadInput(
                f"{root} holds more than {MOST_FOLDERS:,} folders; name one that is nearer to the dictionaries."
            )
        below[:] = [name for name in below if not name.startswith(".")]
        if set(files) <= set(there):
            inside.append(Path(folder).relative_to(root))
    return sorted(path.as_posix() for path in inside)


def one(dictionaries: Sequence[AnyDictionary], format: str) -> Dictionary:
    """The only dictionary of an export; BadInput for several, or for a kind that the format does not have."""
    if len(dictionaries) != 1:
        raise BadInput(
            f"{format} keeps one dictionary a folder; {len(dictionaries)} were given. Export them one by one."
        )
    return plain(dictionaries[0], format)


def plain(dictionary: AnyDictionary, format: str) -> Dictionary:
    """The dictionary, if it is an SAE, a transcoder or a skip transcoder of one site."""
    if not isinstance(dictionary, Dictionary) or dictionary.kind == "crosscoder" or len(dictionary.sites_out) > 1:
        raise BadInput(f"{format} has no {dictionary.kind}; it keeps dictionaries that read one site and write one.")
    return dictionary


def refuse_rule(dictionary: AnyDictionary, format: str, has: str) -> BadInput:
    """What to raise for a sparsifier that a format does not know."""
    return BadInput(
        f"{format} has no {dictionary.kind} with the rule '{dictionary.sparsifier.name}'; it has {has}. "
        "Choose another format, or train with one of these."
    )


def cast(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Tensors in one dtype, laid out row by row, sharing no memory; whole numbers stay whole."""
    return {n: (v.to(dtype) if v.is_floating_point() else v).contiguous().clone() for n, v in tensors.items()}
