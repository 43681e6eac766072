"""Which heads and MLPs carry greater-than, found on one half of the pairs.

    heads     matter most through the late MLPs, by EAP-IG
    late      the MLPs that add most to the later years rather than the earlier ones, a sixth of all
    neurons   those of the late MLPs that add most, twenty

Claims ask on the other half what each does. For `edges-in-roles` heads are given by where the last token looks alone.
"""

from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float

from circuits.studies.component_circuits.examined import Examined
from circuits.studies.component_circuits.halves import ROWS, Halves, tokens
from circuits.studies.component_circuits.head_sets import EachHead, Head, best, drawn, few, over
from circuits.studies.greater_than.writes import Neuron, Neurons, mlps_write, neurons_of
from circuits.studies.greater_than.years import Years, lead, order, values_of
from circuits.studies.study import Bench
from probe.interventions.forward import capture
from probe.model.sites import Site

SIXTH, N_NEURONS = 6, 20


class Half:
    """One half of the pairs, read."""

    def __init__(self, bench: Bench, years: Years):
        self.model, self.years, self.pairs = bench.model, years, years.pairs

    @cached_property
    def mlps(self) -> Float[np.ndarray, "pair layer value"]:
        """What every MLP adds to each value."""
        return mlps_write(self.model, self.years)

    @cached_property
    def to_start(self) -> EachHead:
        """Attention from the last token to the start year's digits."""
        sites = [Site("pattern", i) for i in range(int(self.model.cfg.n_layers))]
        found: list[np.ndarray | None] = [None] * len(self.pairs)
        for some in self.pairs.groups(ROWS):
            run = capture(self.model, tokens(self.model, self.pairs.clean, some), sites)
            last = torch.stack([run[site.name][:, :, -1].float() for site in sites], 1)  # pair layer head key
            for row, one in zip(some, last, strict=True):
                found[row] = one[..., self.years.at[row]].sum(-1).cpu().numpy()
        return np.stack(found)  # type: ignore[arg-type]


class Components(Examined):
    """What was found. Both halves are drawn, and the model asked whether it does the task, when this is made."""

    def __init__(self, bench: Bench):
        halves = Halves.of(bench, "greater-than")
        super().__init__(bench, halves)
        values = values_of(bench.model, halves.found)
        self.found, self.tested = (
            Half(bench, Years(bench.model, some, values)) for some in (halves.found, halves.tested)
        )

    @classmethod
    def of(cls, bench: Bench) -> "Components":
        """Those of a study, made once."""
        return bench.once("components", lambda: cls(bench))

    @cached_property
    def late(self) -> list[int]:
        """The MLPs that add most to the later years."""
        mlps, start = self.found.mlps, self.found.years.start
        adds = [lead(mlps[:, i], start).mean() for i in range(mlps.shape[1])]
        return sorted(np.argsort(adds)[::-1][: max(1, round(len(adds) / SIXTH))].tolist())

    @cached_property
    def heads(self) -> list[Head]:
        """The heads that carry the start year to them."""
        return best(self.speak_through(self.read_by(self.late)), few(self.layout))

    @cached_property
    def looking(self) -> list[Head]:
        """Heads by where the last token looks."""
        return best(self.found.to_start.mean(0), 2 * few(self.layout))

    @cached_property
    def neurons(self) -> Neurons:
        """Those of the late MLPs on the tested half."""
        return neurons_of(self.bench.model, self.tested.years, self.late)

    @cached_property
    def strongest(self) -> list[Neuron]:
        """The neurons of the late MLPs that add most to the later years, on the half that things are found on."""
        years = self.found.years
        way = order(years.start, len(years.values))
        later, earlier = ((way == sign).astype(float) for sign in (1, -1))
        weights = later / later.sum(1, keepdims=True) - earlier / earlier.sum(1, keepdims=True)
        leads = neurons_of(self.bench.model, years, self.late).leads(weights)
        ranked = sorted(
            ((i, u) for i, one in enumerate(leads) for u in range(len(one))), key=lambda n: -leads[n[0]][n[1]]
        )
        return ranked[:N_NEURONS]

    def read_by(self, layers: list[int]) -> np.ndarray:
        """The receivers of these MLPs."""
        return np.array([self.layout.reading(i, "mlp").start for i in layers], int)

    def written_by(self, layers: list[int]) -> np.ndarray:
        """The senders of these MLPs."""
        return np.array([self.layout.mlp_of(i) for i in layers], int)

    def random_heads(self, heads: list[Head], sets: int) -> list[list[Head]]:
        """Control sets: as many others of the same layers."""
        return drawn(heads, self.layout, sets, self.bench.scale.seed)

    def random_mlps(self, sets: int) -> list[list[int]]:
        """Control sets: as many MLPs that are none of the late ones, or as many as there are."""
        draw = np.random.default_rng(self.bench.scale.seed)
        free = [i for i in range(self.layout.n_layers) if i not in self.late] or self.late
        return [draw.choice(free, min(len(self.late), len(free)), replace=False).tolist() for _ in range(sets)]

    def random_neurons(self, sets: int) -> list[list[Neuron]]:
        """Control sets: as many others of the same layers."""
        draw, taken = np.random.default_rng(self.bench.scale.seed), set(self.strongest)
        pool = [[u for u in range(a.shape[1]) if (i, u) not in taken] for i, a in enumerate(self.neurons.active)]
        wanted = [min(len(free), sum(at == i for at, _ in taken)) for i, free in enumerate(pool)]
        return [
            [(i, int(u)) for i, free in enumerate(pool) for u in draw.choice(free, wanted[i], replace=False)]
            for _ in range(sets)
        ]

    def means(self, values: EachHead, heads: list[Head]) -> np.ndarray:
        """Of each control set, the mean over its heads and all pairs."""
        return np.array([over(values, some).mean() for some in self.random_heads(heads, self.bench.scale.sets)])
