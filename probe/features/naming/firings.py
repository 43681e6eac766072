"""At which tokens of a table's text each of its units fires: the model reads the text again, since a table keeps examples alone.

A unit fires where it is above 0 and above a threshold of its own: the edge of the table's histogram above which lies, of all
edges, a share of the tokens nearest to the one that was asked for. So a neuron that is above 0 half of the time fires where it is
strong.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from probe.errors import BadInput, OpenworkError
from probe.features.measuring.tally import edges
from probe.features.naming.config import ReadFor
from probe.features.naming.reading import Reading
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from transformer_lens.model_bridge import TransformerBridge

    from probe.dictionaries.store import AnyDictionary
    from probe.features.measuring.sources import Units
    from probe.features.table import FeatureTable

BATCH = 2048
"""Tokens that go through the model at once."""


@dataclass(frozen=True, eq=False)
class Firings:
    """fired: at which tokens of a reading each of some units fires. units: their numbers in the table."""

    fired: "csr_matrix"
    units: Int[np.ndarray, " unit"]

    def block(self, some: slice) -> Bool[np.ndarray, "token unit"]:
        """Of some units, written out."""
        return self.fired[:, some].toarray() > 0

    def often_in(self, half: Bool[np.ndarray, " token"]) -> Int[np.ndarray, " unit"]:
        """How often each fires there."""
        return np.asarray(self.fired[half].sum(0)).ravel().astype(np.int64)

    def often(self, proposing: Bool[np.ndarray, " token"], least: int) -> "Firings":
        """Those units alone that fire so often in either half."""
        kept = np.flatnonzero(np.minimum(self.often_in(proposing), self.often_in(~proposing)) >= least)
        return Firings(self.fired[:, kept], self.units[kept])


def thresholds(table: "FeatureTable", units: Int[np.ndarray, " unit"], share: float) -> Float[np.ndarray, " unit"]:
    """Above what each unit fires."""
    histogram, signed = np.asarray(table.column("histogram")[units]), bool(table.manifest.facts["signed"])
    bins = histogram.shape[1] // (1 + signed)
    above = histogram[:, -bins:][:, ::-1].cumsum(1)[:, ::-1]  # of each edge, the tokens beyond it: unit edge
    wanted = share * table.n_tokens
    apart = np.where(above > 0, np.abs(np.log(np.maximum(above, 1) / wanted)), np.inf)
    at = apart.argmin(1)
    low = np.nextafter(edges(signed)[-bins - 1 : -1][at], 0)  # what lies on an edge is beyond it
    return np.where((above[:, 0] <= wanted) | (at == 0), 0.0, low)


def live_units(table: "FeatureTable", some: int | None, seed: int) -> Int[np.ndarray, " unit"]:
    """The units that ever fired, or so many of them drawn at random."""
    alive = np.flatnonzero(np.asarray(table.column("fired")) > 0)
    if some is None or some >= len(alive):
        return alive
    return np.sort(np.random.default_rng(seed).choice(alive, some, replace=False))


def firings_of(
    model: "TransformerBridge",
    table: "FeatureTable",
    reading: Reading,
    units: Int[np.ndarray, " unit"],
    how: ReadFor,
    progress: Progress = SILENT,
) -> Firings:
    """At which tokens units fire. BadInput where the table's dictionary is not there any more, or has other weights."""
    import torch
    from scipy.sparse import coo_matrix

    from probe.interventions.forward import capture, per_token

    source = source_of(model, table, reading)
    least, column = np.full(table.n_units, np.inf), np.zeros(table.n_units, np.int64)
    least[units], column[units] = thresholds(table, units, how.share), np.arange(len(units))
    step, found, offset = max(1, BATCH // reading.rows.shape[1]), [], 0
    with torch.no_grad(), progress.stage("reading", reading.rows.size, "token") as done:
        for first in range(0, len(reading.rows), step):
            rows = slice(first, first + step)
            ordinary = np.flatnonzero(~reading.special[rows].reshape(-1))
            ids = torch.tensor(reading.rows[rows], dtype=torch.long, device=model.W_E.device)
            held = capture(model, ids, source.sites)
            at, which, value = (
                part.cpu().numpy()
                for part in source.fire(tuple(per_token(held[s]).flatten(0, 1)[ordinary].float() for s in source.sites))
            )
            kept = value > least[which]
            found.append(np.stack([at[kept] + offset, column[which[kept]]]))
            offset += len(ordinary)
            done(ids.numel())
    where = np.concatenate(found, 1)
    shape = (reading.n, len(units))
    return Firings(coo_matrix((np.ones(where.shape[1], np.float32), tuple(where)), shape=shape).tocsr(), units)


def source_of(model: "TransformerBridge", table: "FeatureTable", reading: Reading) -> "Units":
    """The units of a table as something that can be run."""
    import torch

    from probe.activations.streaming import LiveActivations
    from probe.features.measuring.unit_activations import units_of
    from probe.model.sites import Site
    from probe.text.tokens import TokenSet

    what = _what(model, table)
    sites = [Site("mlp_post", what).short] if isinstance(what, int) else list(what.sites_in)
    rows, owner = torch.tensor(reading.rows, dtype=torch.long), torch.tensor(reading.owner)
    documents = [str(i) for i in range(int(reading.owner.max()) + 1)]
    live = LiveActivations(model, TokenSet(rows, owner, documents, torch.tensor(reading.special)), sites)
    found = units_of(model, what, live)  # type: ignore[arg-type]  # to what is measured it looks like a cache
    if found.n != table.n_units or found.identity != table.manifest.config["weights"]:
        raise BadInput(
            f"{table.folder.name} was measured on another version of {found.name} than the one stored here. Measure its units "
            "again (`openwork features measure-units`), and label that table."
        )
    return found


def _what(model: "TransformerBridge", table: "FeatureTable") -> "int | AnyDictionary":
    """The layer of a table's neurons, or the dictionary of its latents."""
    if table.kind == "neuron":
        return int(table.manifest.facts["layers"][0][1])
    from probe.dictionaries import load_dictionary

    name: Any = table.manifest.facts["source"]
    try:
        return load_dictionary(name, model)
    except OpenworkError as error:
        raise BadInput(
            f"{table.folder.name} is of the dictionary {name}, which must be at hand to see where its latents fire: {error}"
        ) from error
