"""What any study of a component circuit makes of its halves: edges scored on the one, ready to be cut on the other."""

from functools import cached_property

import numpy as np
from jaxtyping import Int

from circuits.edge_attribution.attribute import eap_ig
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.scores import EdgeScores
from circuits.studies.component_circuits.cuts import Cuts
from circuits.studies.component_circuits.halves import Halves
from circuits.studies.component_circuits.head_sets import ByHead
from circuits.studies.study import Bench
from probe.progress import SILENT

ATTRIBUTED = 40
"""What EAP-IG counts for, in runs."""


class Examined:
    """Both halves of a task's pairs, on one model."""

    def __init__(self, bench: Bench, halves: Halves):
        self.bench, self.halves = bench, halves

    @cached_property
    def cuts(self) -> Cuts:
        """The tested pairs, ready for edges to be cut."""
        return Cuts(self.bench.model, self.halves.tested)

    @property
    def layout(self) -> Layout:
        """The model's components."""
        return self.cuts.layout

    @cached_property
    def scores(self) -> EdgeScores:
        """EAP-IG on the half that components are found on."""
        found = eap_ig(self.bench.model, self.halves.found, progress=SILENT)
        self.bench.step(ATTRIBUTED)
        return found

    def speak_through(self, receivers: Int[np.ndarray, " receivers"]) -> ByHead:
        """How much every head speaks for the right answer through these receivers, by EAP-IG; NaN where it reaches none."""
        into = self.scores.matrix[:, receivers]
        worth = np.where(np.isfinite(into).any(1), -np.nansum(into, 1), np.nan)
        found = np.full((self.layout.n_layers, max(self.layout.heads)), np.nan)
        for layer, n in enumerate(self.layout.heads):
            found[layer, :n] = worth[self.layout.heads_of(layer)]
        return found
