"""Unit files: what each unit of an exported graph fires at, as the frontends' feature view reads it without a server.

One file a unit, `features/{scan}/{index}.json`: `index` is the node's `feature` (the Cantor pair of layer and number), `scan`
the model as the graph's file names it. Examples come from feature tables (`openwork features`): the strongest first, then those
drawn over the range of activations. Units no table knows get no file and are named.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from circuits.exchange.neuronpedia_ids import Names, cantor
from circuits.exchange.write_neuronpedia import scan
from circuits.graph.graph import KINDS, CircuitGraph
from circuits.graph.unit_tables import unit_of
from probe.artifacts.exports import write_files
from probe.artifacts.json import finite
from probe.artifacts.names import as_path
from probe.errors import Unavailable
from probe.show.record import Record

if TYPE_CHECKING:
    from probe.features import Example, FeatureTable, Unit

_TOP = "Top Activations"


@dataclass(frozen=True)
class UnitFiles(Record):
    """What was written: the folder of the files, how many, and the units that no table knows."""

    folder: Path
    written: int
    unknown: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"folder": str(self.folder), "written": self.written, "unknown": self.unknown}


def write_unit_files(
    graph: CircuitGraph,
    folder: Path | str,
    tables: "Sequence[FeatureTable]",
    *,
    nodes: Iterable[int] | None = None,
    url: str = "",
) -> UnitFiles:
    """Write a file for every neuron and latent of the graph (or of `nodes`) that one of the tables knows.

    A table of latents answers for the layers whose dictionary it was made of, a table of neurons for its layer; the first that
    knows a unit is taken. Raises Unavailable where nothing can be written.

    >>> ow.write_unit_files(graph, folder, [table]).written
    4
    """
    names, place = Names(graph), as_path(folder) / "features" / scan(graph)
    written: set[int] = set()
    unknown: list[str] = []
    chosen = range(len(graph.nodes)) if nodes is None else nodes

    def files() -> Iterator[tuple[str, str]]:
        for node in (int(i) for i in chosen if KINDS[graph.nodes.kind[i]] in ("neuron", "latent")):
            index = cantor(int(graph.nodes.layer[node]), int(names.number[node]))
            found = None if index in written else unit_of(graph, node, tables)
            if found is not None:
                yield f"{index}.json", json.dumps(unit_file(found, index, url), ensure_ascii=False, allow_nan=False)
                written.add(index)
            elif index not in written:
                unknown.append(graph.name(node).split("@")[0])

    try:
        write_files(place, files())
    except OSError as error:
        raise Unavailable(f"{place} could not be written ({error.strerror or error}). Name another place.") from error
    return UnitFiles(place, len(written), list(dict.fromkeys(unknown)))


def unit_file(unit: "Unit", index: int, source: str = "") -> dict[str, Any]:
    """One unit as the feature view reads it."""
    groups = list(dict.fromkeys(e.group for e in unit.examples))
    drawn = [g for g in groups if g.startswith("bin ")]  # "bin 5 of 5" holds the strongest
    titles = {g: f"Subsample Interval {i}" for i, g in enumerate(sorted(drawn, key=lambda g: -int(g.split()[1])))}
    titles |= {"strongest": _TOP, "lowest": "Bottom Activations"}
    return {
        "index": index,
        "transcoder_id": source or unit.name,
        "examples_quantiles": [
            {"quantile_name": titles.get(g, g), "examples": [_example(e) for e in unit.examples if e.group == g]}
            for g in sorted(groups, key=lambda g: (g != "strongest", titles.get(g, g)))
        ],
        "top_logits": [t.token for t in unit.promoted],
        "bottom_logits": [t.token for t in unit.suppressed],
        "act_min": finite(unit.min),
        "act_max": finite(unit.max),
        "quantile_values": [],
        "histogram": [[float(e) for e in unit.edges], [int(c) for c in unit.counts]],
        "activation_frequency": finite(unit.density),
    }


def _example(example: "Example") -> dict[str, Any]:
    return {
        "tokens": list(example.tokens),
        "tokens_acts_list": [float(a) if np.isfinite(a) else 0.0 for a in example.activations],
        "train_token_ind": int(example.peak),
        "is_repeated_datapoint": False,
    }
