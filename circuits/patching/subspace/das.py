"""Distributed alignment search (Geiger et al. 2024): the directions at a site that carry which answer a prompt calls for.

    h' = h_base + (h_source - h_base) B B^T,    B orthonormal, learned so that the answer becomes the source's

The base's activations get the source's coordinates within B and keep all others. B is learned by cross-entropy over the right and
the wrong answer (transformer-lens's `fit_das`, an orthogonal parametrization of torch's), on interchanges between the two
prompts of a task's pairs, and looked at on interchanges of other pairs (`interchanges`). Interchange accuracy alone says little,
since such a search fits arbitrary labels too (Arora et al. 2024), so beside it stand

    arbitrary     the same search for answers drawn at random by source prompt, as far as it fits them, and on held-out ones drawn
                  so too: what the search alone can do
    untrained     the same search in a model of random weights, beside interchanging nothing there: what it finds in a model that
                  learned nothing (`untrained`)
    random        random subspaces of the same size; moved as far: the same, scaled to the learned one's distance
    means         the difference of the two sides' mean activations; whole: all of the site

and whether it works through a path that is dormant otherwise: `dormant`. Doing nothing has accuracy 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from circuits.patching.rows.plan import RowsPlan, row_bytes, seconds_of_row
from circuits.patching.subspace.dormant import moved, read_part
from circuits.patching.subspace.interchanges import Interchanges, answers, split
from circuits.patching.subspace.record import LearnedSubspace
from circuits.patching.subspace.untrained import right_untrained
from probe.errors import BadInput
from probe.memory import require
from probe.methods import Doc, method
from probe.model.anatomy import spot
from probe.model.at_hand import weight_bytes
from probe.model.sites import Site, parse_site, width
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import Drawn, Pairs, pairs_of
from probe.tasks.refusals import require_pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Where = Literal["resid_pre", "resid_post", "attn_out", "mlp_out", "mlp_post"]
Step = Callable[[float], None]
_BACK = 3
"""What a run forward and back takes, in runs forward."""
_LOOKS_UNTRAINED = 3
"""How often interchanges are run in the model of random weights, beside learning."""


@dataclass(frozen=True, eq=False)
class SubspaceConfig(Settings):
    """Where the subspace is, how large, and how it is learned."""

    site: Where = "resid_post"
    "The stream before or after a layer, what attention or the MLP writes to it, or the MLP's neurons (`mlp_post`)."
    layer: int | None = None
    "Which layer; by default the middle one. -1 is the last."
    position: int = -1
    "At which token; -1 is the last."
    rank: Annotated[int, Doc(least=1)] = 1
    "Dimensions."
    epochs: Annotated[int, Doc(least=1, most=10_000)] = 20
    "Times that it sees the interchanges it learns from."
    lr: Annotated[float, Doc(least=0)] = 0.01
    "Adam's learning rate."
    batch: Annotated[int, Doc(least=1)] = 16
    "Interchanges of a step."
    held_out: Annotated[float, Doc(least=0, most=1)] = 0.5
    "Share of the pairs that it is looked at on."
    random: Annotated[int, Doc(least=0, most=100)] = 5
    "Random subspaces beside it."
    untrained: bool = True
    "Whether the same search is made in a model of random weights too, which holds the weights a second time."


@method(
    "das",
    group="circuits",
    plan="plan_das",
    paper="Finding Alignments Between Interpretable Causal Variables and Distributed Representations (Geiger et al. 2024)",
)
@takes_fields("drawn", Drawn)
@takes_fields("config", SubspaceConfig)
def das(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "capitals",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=8, most=10_000)] = 64,
    drawn: Drawn = Drawn(),
    config: SubspaceConfig = SubspaceConfig(),
    progress: Progress = SILENT,
) -> LearnedSubspace:
    """The directions at a site that carry which answer a prompt calls for, learned by interchanging them between prompts (DAS).

    Held-out accuracy stands beside the same search from arbitrary answers and in a model of random weights, random subspaces and
    the difference of means; and it is told whether the subspace works through a path that is dormant otherwise. Definitions: the
    docstring of `circuits.patching.subspace.das`. Raises BadInput where the model does not answer enough pairs as they call
    for it.

    >>> found = ow.das(model, "arithmetic", n=64, layer=1, epochs=1, random=1)
    >>> found.basis.shape  # width, rank
    (64, 1)
    """
    search = _Search(model, pairs_of(model, task, n, drawn), config, drawn.seed)
    search.plan()
    with progress.stage("DAS", total=float(search.searches + search.looks), unit="search") as step:
        return came_from(search.record(step), model)


@takes_fields("drawn", Drawn)
@takes_fields("config", SubspaceConfig)
def plan_das(
    model: "TransformerBridge",
    task: TaskName = "capitals",
    *,
    n: int = 64,
    drawn: Drawn = Drawn(),
    config: SubspaceConfig = SubspaceConfig(),
) -> RowsPlan:
    """What a search takes."""
    return _Search(model, pairs_of(model, task, n, drawn), config, drawn.seed).plan()


class _Search:
    """A task's interchanges at a site of a model; subspaces learned from them and looked at on others."""

    def __init__(self, model: Any, pairs: Pairs, config: SubspaceConfig, seed: int):
        self.model, self.pairs, self.config, self.seed = model, pairs, config, seed
        require_pairs(model, pairs)
        n_layers = int(model.cfg.n_layers)
        layer = n_layers // 2 if config.layer is None else config.layer
        named = parse_site(Site(config.site, layer), model)
        self.named, self.site = named, Site("mlp_write", named.layer) if named.kind == "mlp_out" else named
        self.width = width(self.site, model)
        self.hook = self._plain_hook()
        if config.rank > self.width:
            raise BadInput(f"{named.short} has {self.width} dimensions; a subspace of {config.rank} was asked for.")
        self.run = answers(model, pairs)
        self.train, self.test = split(model, pairs, config.position, config.held_out, config.batch)

    def _plain_hook(self) -> str:
        """BadInput where the value there is not by prompt and position, as the search needs it."""
        at, shapes = spot(self.site, self.model), []
        tokens = torch.tensor([self.pairs.clean[0][:2]], device=self.model.W_E.device)
        with torch.no_grad(), self.model.hooks(fwd_hooks=[(at.hook, lambda v, hook: shapes.append(v.ndim))]):
            self.model(tokens)
        if shapes != [3]:
            raise BadInput(
                f"This model keeps {self.named.short} with prompts and positions in one axis, so one position of it cannot be "
                "interchanged. Take resid_post."
            )
        return at.hook

    @property
    def looks(self) -> int:
        """How often held-out interchanges are run, beside learning."""
        return 5 + 2 * self.config.random + _LOOKS_UNTRAINED * self.config.untrained

    @property
    def searches(self) -> int:
        """How often a subspace is learned."""
        return 2 + self.config.untrained

    def plan(self) -> RowsPlan:
        """The searches, and looking at every subspace. BadInput where it does not fit into memory."""
        config, n_pos = self.config, self.train.base.shape[1]
        rows = self.searches * config.epochs * len(self.train) * _BACK + self.looks * len(self.test)
        held = row_bytes(self.model, n_pos) * int(self.model.cfg.n_layers) * min(config.batch, len(self.train))
        held += weight_bytes(self.model) * config.untrained
        require(held, "Learning a subspace", self.model.W_E.device)
        return RowsPlan(
            what="Learning a subspace",
            runs=rows,
            batch=config.batch,
            passes=-(-rows // config.batch),
            seconds=rows * seconds_of_row(self.model, n_pos),
            bytes=held,
        )

    def learned(self, wanted: Tensor) -> Any:
        """The subspace that best makes these answers of the interchanges to learn from."""
        from transformer_lens.tools.analysis.interchange import fit_das

        config, some = self.config, self.train
        return fit_das(
            self.model,
            self.hook,
            some.base,
            some.source,
            wanted,
            self.run,
            rank=config.rank,
            base_positions=some.at_base,
            source_positions=some.at_source,
            epochs=config.epochs,
            batch_size=config.batch,
            lr=config.lr,
            seed=self.seed,
        )

    def held(self, rows: Tensor, at: Tensor) -> Float[Tensor, "interchange width"]:
        """What the site holds at the subspace's position."""
        from transformer_lens.tools.analysis.interchange import collect_activations

        return collect_activations(self.model, self.hook, rows, self.run, positions=at, batch_size=self.config.batch)

    def right(self, change: Any, some: Interchanges, wanted: Tensor | None = None) -> Bool[np.ndarray, " interchange"]:
        """Whether each interchange gives the answer it should."""
        from transformer_lens.tools.analysis.interchange import intervened_logits

        source = self.held(some.source, some.at_source)
        logits = intervened_logits(
            self.model,
            self.hook,
            change,
            some.base,
            source,
            self.run,
            positions=some.at_base,
            batch_size=self.config.batch,
        )
        should = some.wanted if wanted is None else wanted
        return (logits.argmax(-1) == should).numpy()

    def record(self, step: Step) -> LearnedSubspace:
        from transformer_lens.tools.analysis.interchange import SubspaceInterchange, arbitrary_targets

        found = self.learned(self.train.wanted)
        step(1)
        drawn = [
            arbitrary_targets([tuple(row) for row in some.source.tolist()], 2, self.seed)
            for some in (self.train, self.test)
        ]
        other = self.learned(drawn[0])
        step(1)
        basis = found.basis.cpu()
        subspaces = {"whole": torch.eye(self.width), "means": self._means()}
        parts = read_part(self.model, self.site, basis)
        if parts is not None:
            subspaces["read"] = parts[1]
        right = {
            "learned": self.right(SubspaceInterchange(basis), self.test),
            "fitted": self.right(SubspaceInterchange(basis), self.train),
            "arbitrary": self.right(SubspaceInterchange(other.basis), self.test, drawn[1]),
            "arbitrary_fitted": self.right(SubspaceInterchange(other.basis), self.train, drawn[0]),
        }
        right |= {name: self.right(SubspaceInterchange(one), self.test) for name, one in subspaces.items()}
        step(5)
        if self.config.untrained:
            right |= right_untrained(self)
            step(1 + _LOOKS_UNTRAINED)
        random, placebo = self._random(SubspaceInterchange(basis), step)
        apart = self.held(self.test.source, self.test.at_source) - self.held(self.test.base, self.test.at_base)
        return LearnedSubspace(
            task=self.pairs.task,
            site=self.named.short,
            position=self.config.position,
            rank=self.config.rank,
            width=self.width,
            basis=basis.float().numpy(),
            losses=list(found.losses),
            right=right,
            random=random,
            placebo=placebo,
            unread=float("nan") if parts is None else parts[0],
            moved=moved(basis, apart),
            examples=[e.clean for e in self.pairs.examples],
            convention=self._convention(),
            seed=self.seed,
        )

    def _means(self) -> Float[Tensor, "width 1"]:
        from transformer_lens.tools.analysis.interchange import mean_difference_basis

        return mean_difference_basis(self.held(self.train.source, self.train.at_source), self.train.wanted.tolist())

    def _random(self, reference: Any, step: Step) -> tuple[Float[np.ndarray, " draw"], Float[np.ndarray, " draw"]]:
        """Accuracies of random subspaces, and of those that move as far as the learned one."""
        from transformer_lens.tools.analysis.interchange import NormMatchedPlacebo, SubspaceInterchange, random_basis

        found = np.empty((2, self.config.random))
        for i in range(self.config.random):
            basis = random_basis(self.width, self.config.rank, self.seed + 1 + i)
            for row, change in enumerate((SubspaceInterchange(basis), NormMatchedPlacebo(reference, basis))):
                found[row, i] = self.right(change, self.test).mean()
                step(1)
        return found[0], found[1]

    def _convention(self) -> dict[str, Any]:
        return {
            "accuracy": "share of interchanges whose answer is the source's; doing nothing has 0",
            "learned from": f"{len(self.train)} interchanges of {len(self.train.pair.unique())} pairs",
            "looked at on": f"{len(self.test)} interchanges of {len(self.test.pair.unique())} other pairs",
            "left out": f"{len(self.pairs) - len(self.train.pair.unique()) - len(self.test.pair.unique())} pairs that the model "
            "does not answer as they call for it",
            "arbitrary": "answers drawn by source prompt, held-out ones too",
            "untrained": "weights drawn anew, each tensor's of its own mean and spread"
            if self.config.untrained
            else "left out",
            "epochs": self.config.epochs,
            "learning rate": self.config.lr,
            "seed": self.seed,
        }
