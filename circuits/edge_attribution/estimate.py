"""What a way to score edges is: its name and choices, the scores of some pairs, and how much work they are.

Most look at two runs, the clean and the corrupted, and multiply what changes between them with gradients at the receivers; all
edges into a layer are one matrix product over positions and dimensions.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from einops import einsum
from jaxtyping import Bool, Float, Int
from torch import Tensor

from circuits.edge_attribution.components import Components
from circuits.edge_attribution.gradients import Backward, Moved, Summed, backward
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.readers import Reader
from circuits.edge_attribution.refusals import require_scores, require_two_runs
from circuits.edge_attribution.writes import Held, sites_read
from probe.interventions.forward import read_run
from probe.model.sites import Site
from probe.plain_values import Settings
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

EVERY = slice(0, None)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of every edge of some pairs, and the metric of their runs."""

    scores: Float[Tensor, "batch sender receiver"]
    clean: Float[Tensor, " batch"]
    corrupted: Float[Tensor, " batch"]


class Estimate(Settings):
    """A way to score edges, with its options as fields. signed: whether a score's sign means something."""

    signed = True

    def says(self) -> tuple[str, dict[str, Any]]:
        """Its name, and every choice that changes a number."""
        raise NotImplementedError

    def scored(self, model: "TransformerBridge", made: Components, pairs: Pairs, some: list[int]) -> Scored:
        """Scores of every edge for these pairs, which are equally long."""
        raise NotImplementedError

    def passes(self, layout: Layout) -> int:
        """Runs forward and back of a group of pairs, beside the two that are forward alone."""
        return 1

    def work(self, layout: Layout) -> float:
        """All that a group of pairs takes, in runs forward and back: one forward is a third."""
        return 2 / 3 + self.passes(layout)

    def shortest(self) -> "Estimate":
        """An estimate that holds as much at once, in fewer passes."""
        return self

    def check(self, model: "TransformerBridge", made: Components) -> None:
        """BadInput where the model does not let it be used; looked at once per model."""


@dataclass(frozen=True, kw_only=True)
class TwoRuns:
    """Some pairs, equally long, and what their two runs write. change: corrupted minus clean. held: of the clean run. ends: the
    metric, clean and corrupted. steep: of which pairs a gradient was seen."""

    model: "TransformerBridge"
    made: Components
    pairs: Pairs
    some: list[int]
    clean: Int[Tensor, "batch pos"]
    corrupted: Int[Tensor, "batch pos"]
    change: Float[Tensor, "batch sender pos d_model"]
    held: Held
    ends: tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]
    steep: Bool[Tensor, " batch"]

    def behind(self, senders: slice) -> list[Reader]:
        """Who reads what these senders write."""
        layout = self.made.layout
        return [r for r in self.made.readers if layout.before(r.layer, r.side) > senders.start]

    def gradient(self, tokens: Int[Tensor, "batch pos"], readers: list[Reader] | None = None, **more: Any) -> Backward:
        """The metric's gradient at every receiver, or at some, in a run of these tokens. more: see `backward`."""
        readers = self.made.readers if readers is None else readers
        run = backward(self.model, tokens, readers, lambda logits: self.pairs.metric(logits, self.some), **more)
        self.steep.logical_or_(run.at[readers[-1].reads.name].flatten(1).any(1))
        return run

    def at(self, site: Site, senders: slice, share: float) -> Moved:
        """The point of a path on which these senders, who write to this site, go from the corrupted (0) to the clean run (1)."""
        return Moved(site=site, by=(1 - share) * self.change[:, senders].sum(1))

    def add(self, found: Tensor, run: Backward | Summed, weight: float = 1.0, senders: slice = EVERY) -> None:
        """Add what gradients say of the edges of these senders. One product a layer: each reads all that was written before,
        which takes longer than the arithmetic where receivers are few."""
        layout, (first, last, _) = self.made.layout, senders.indices(self.change.shape[1])
        for _, some in groupby(run.readers, lambda reader: reader.layer):
            readers = list(some)
            ends = [max(first, min(last, layout.before(reader.layer, reader.side))) for reader in readers]
            score = weight * einsum(
                self.change[:, first : max(ends)],
                torch.cat([run.received(reader) for reader in readers], 1),
                "b sender pos d_model, b receiver pos d_model -> b sender receiver",
            )
            columns = [layout.reading(reader.layer, reader.side) for reader in readers]
            parts = score.split([part.stop - part.start for part in columns], 2)
            for end, part, own in zip(ends, columns, parts, strict=True):
                found[:, first:end, part] += own[:, : end - first]


class GradientEstimate(Estimate):
    """An estimate by gradients: it says which."""

    def scored(self, model: "TransformerBridge", made: Components, pairs: Pairs, some: list[int]) -> Scored:
        """Scores of every edge for these pairs, which are equally long. BadInput for two runs that are the same, numbers that are
        not finite, a metric without gradient."""
        runs = two_runs(model, made, pairs, some)
        found = runs.change.new_zeros(len(some), *made.layout.edges.shape)
        self.add(runs, found)
        require_scores(pairs, some, found, runs.steep)
        return Scored(scores=found, clean=runs.ends[0], corrupted=runs.ends[1])

    def add(self, runs: TwoRuns, found: Float[Tensor, "batch sender receiver"]) -> None:
        """Add the scores."""
        raise NotImplementedError


def two_runs(
    model: "TransformerBridge", made: Components, pairs: Pairs, some: list[int], more: tuple[Site, ...] = ()
) -> TwoRuns:
    """Both runs of these pairs, and what changes between them. more: sites whose clean value is kept."""
    clean, corrupted = tokens_of(model, pairs, some)
    held, fallen = one_run(model, made, pairs, some, corrupted)
    change = made.writers.all(held)
    del held
    held, whole = one_run(model, made, pairs, some, clean, more)
    made.writers.take_off(change, held)
    require_two_runs(pairs, some, (clean != corrupted).any(1) & ~change.flatten(1).any(1), (whole, fallen))
    return TwoRuns(
        model=model,
        made=made,
        pairs=pairs,
        some=some,
        clean=clean,
        corrupted=corrupted,
        change=change,
        held={site.name: held[site.name] for site in more},
        ends=(whole, fallen),
        steep=torch.zeros(len(some), dtype=torch.bool, device=change.device),
    )


def tokens_of(model: "TransformerBridge", pairs: Pairs, some: list[int]) -> tuple[Tensor, Tensor]:
    """The clean and the corrupted prompts of these pairs."""
    clean, corrupted = (
        torch.tensor([ids[i] for i in some], device=model.W_E.device) for ids in (pairs.clean, pairs.corrupted)
    )
    return clean, corrupted


def one_run(
    model: "TransformerBridge",
    made: Components,
    pairs: Pairs,
    some: list[int],
    tokens: Int[Tensor, "batch pos"],
    more: tuple[Site, ...] = (),
) -> tuple[Held, Float[Tensor, " batch"]]:
    """One pass: what writes are made from, what is at `more` sites, and the metric."""
    sites = sorted({*sites_read(model, made.layout), *more})
    with torch.no_grad(), model.hooks(fwd_hooks=[("unembed.hook_in", lambda value, hook: value[:, -1:])]):
        logits, held = read_run(model, tokens, sites)
        return held, pairs.metric(logits[:, -1], some)
