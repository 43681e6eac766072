"""Which heads play which role in IOI, found on one half of the pairs; where they look and what they write on both.

    movers        write most of the lead of the indirect object straight into the logits     (name movers)
    against       take most away from it                                                     (negative name movers)
    inhibition    matter most through the movers' queries, by EAP-IG                         (S-inhibition heads)
    duplicate, induction, previous      look most as they are named, of the heads below an inhibition head

Claims then ask on the other half whether each set does what the paper says of it. For `edges-in-roles` roles are given by looks
alone: movers and inhibition heads by what the last token looks at.
"""

from functools import cached_property

import numpy as np
from jaxtyping import Float
from torch import Tensor

from circuits.studies.component_circuits.examined import Examined
from circuits.studies.component_circuits.halves import Halves, last_logits
from circuits.studies.component_circuits.head_sets import ByHead, Head, best, drawn, few, over, reading
from circuits.studies.component_circuits.swaps import Swaps
from circuits.studies.ioi.looks import Looks, Writes, looks_of, writes_of
from circuits.studies.ioi.prompts import TEMPLATES, places_of
from circuits.studies.study import Bench
from probe.tasks.pairs import Pairs

PAIRS = 48
"""Of each half. A model that does the task barely leads by little, and shares of little need many pairs."""


class Half:
    """One half of the pairs, read."""

    def __init__(self, bench: Bench, pairs: Pairs):
        self.model, self.pairs, self.at = bench.model, pairs, places_of(pairs)

    @cached_property
    def looks(self) -> Looks:
        """Of the clean prompts."""
        return looks_of(self.model, self.pairs, self.pairs.clean, self.at)

    @cached_property
    def corrupted(self) -> Looks:
        """Of the prompts in which nobody is named twice."""
        return looks_of(self.model, self.pairs, self.pairs.corrupted, self.at)

    @cached_property
    def writes(self) -> Writes:
        """Of the clean prompts."""
        return writes_of(self.model, self.pairs)

    @cached_property
    def lead(self) -> Float[np.ndarray, " pair"]:
        """Of the indirect object, in logits."""
        return self.pairs.metric(self.logits, list(range(len(self.pairs)))).double().numpy()

    @cached_property
    def logits(self) -> Float[Tensor, "pair d_vocab"]:
        """Of the clean prompts, at the last position."""
        return last_logits(self.model, self.pairs, self.pairs.clean)


class Roles(Examined):
    """The heads of each role. Both halves are drawn, and the model asked whether it does the task, when this is made."""

    def __init__(self, bench: Bench):
        halves = Halves.of(bench, "ioi", PAIRS, templates=TEMPLATES, corruption="abc")
        super().__init__(bench, halves)
        self.found, self.tested = Half(bench, halves.found), Half(bench, halves.tested)

    @classmethod
    def of(cls, bench: Bench) -> "Roles":
        """Those of a study, made once."""
        return bench.once("roles", lambda: cls(bench))

    @cached_property
    def swaps(self) -> Swaps:
        """The tested pairs, ready to be given what heads give where nobody is named twice."""
        return Swaps(self.bench.model, self.tested.pairs, self.tested.pairs.corrupted)

    @cached_property
    def k(self) -> int:
        """How many heads play one role."""
        return few(self.layout)

    @cached_property
    def movers(self) -> list[Head]:
        """Name movers."""
        return best(self.found.writes.lead.mean(0), self.k)

    @cached_property
    def against(self) -> list[Head]:
        """Negative name movers."""
        return best(-self.found.writes.lead.mean(0), self.k)

    @cached_property
    def inhibition(self) -> list[Head]:
        """S-inhibition heads."""
        return best(self.speak_through(reading(self.layout, self.movers, "q")), self.k)

    @cached_property
    def duplicate(self) -> list[Head]:
        """Duplicate token heads."""
        return best(self._below(self.found.looks.duplicate.mean(0), self.inhibition), self.k)

    @cached_property
    def induction(self) -> list[Head]:
        """Induction heads."""
        return best(self._below(self.found.looks.induction.mean(0), self.inhibition), self.k)

    @cached_property
    def previous(self) -> list[Head]:
        """Previous token heads."""
        return best(self._below(self.found.looks.previous.mean(0), self.induction), self.k)

    @cached_property
    def looking_at_io(self) -> list[Head]:
        """Movers and negative movers by where they look."""
        return best(self.found.looks.to_io.mean(0), 2 * self.k)

    @cached_property
    def looking_at_s2(self) -> list[Head]:
        """Inhibition heads by where they look."""
        return best(self.found.looks.to_s2.mean(0), self.k)

    def _below(self, values: ByHead, above: list[Head]) -> ByHead:
        """Of heads that one of those above can read."""
        top = max(layer for layer, _ in above)
        return np.where(np.arange(len(values))[:, None] < max(1, top), values, np.nan)

    def random(self, heads: list[Head], sets: int | None = None) -> list[list[Head]]:
        """Control sets of these heads: as many others of the same layers."""
        return drawn(heads, self.layout, self.bench.scale.sets if sets is None else sets, self.bench.scale.seed)

    def means(self, values: np.ndarray, heads: list[Head]) -> np.ndarray:
        """Of each control set, the mean over its heads and all pairs."""
        return np.array([over(values, some).mean() for some in self.random(heads)])
