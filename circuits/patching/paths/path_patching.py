"""Path patching (Wang et al. 2023; Goldowsky-Dill et al. 2023): what a sender says to certain receivers, and what comes of it.

    effect(sender -> receivers) = m(base, the receivers reading what they would if the sender alone were the donor's) - m(base)

`noise` patches the corrupted run into the clean one, `denoise` the clean into the corrupted. Between sender and receivers all
other heads are held as the base has them, so that only the direct path carries the change; MLPs between run on (`free` = `mlps`,
as Wang et al. do it) or are held too (`nothing`). With `all`, nothing is held: to the logits that is activation patching of the
sender. How it is run: `circuits.patching.paths.passes`; how ends are named: `circuits.patching.paths.ends`.

Each sender is patched by itself, the receivers together. A norm after attention or an MLP (post-norms) is run on what is patched,
so its divisor is the patched run's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from jaxtyping import Float

from circuits.patching.kinds import DIRECTIONS, Direction
from circuits.patching.paths.ends import End, reaches, receivers_of, require_positions, senders_of
from circuits.patching.paths.passes import Free, PairPasses, held_between
from circuits.patching.paths.record import BETWEEN, PathPatching
from circuits.patching.rows.plan import AtOnce, RowsPlan, plan_rows
from probe.errors import BadInput
from probe.methods import Doc, method
from probe.model.sites import Site, axis_size, layers_with
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.chance import require_task
from probe.tasks.pairs import METRICS, Drawn, Pairs, pairs_of
from probe.tasks.refusals import require_pairs
from probe.words import figures

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False)
class PathConfig(Settings):
    """Which paths, and which way."""

    senders: Sequence[str] = ("heads",)
    "Who sends, each by itself: L9H6, mlp_out.5, resid_pre.3, L5N120, input; heads or mlps for each of them; @-1 for a position."
    receivers: Sequence[str] = ("logits",)
    "Who receives, together: logits, L9H6 (all its inputs), L9H6.q, L9KV2.k, mlp_in.5, resid_post.7."
    direction: Direction = "noise"
    "`noise`: corrupted into clean, what the path breaks; `denoise`: clean into corrupted, what it restores."
    free: Free = "mlps"
    "What runs on between: `mlps`, `nothing` (heads and MLPs are held), or `all`."
    at_chance: bool = False
    "Whether to ask even where the model is at chance at the task."


@method(
    "path-patching",
    group="circuits",
    plan="plan_paths",
    paper="Interpretability in the Wild (Wang et al. 2023); Path Patching (Goldowsky-Dill et al. 2023)",
)
@takes_fields("drawn", Drawn)
@takes_fields("config", PathConfig)
@takes_fields("at_once", AtOnce)
def path_patching(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 8,
    drawn: Drawn = Drawn(),
    config: PathConfig = PathConfig(),
    at_once: AtOnce = AtOnce(),
    progress: Progress = SILENT,
) -> PathPatching:
    """What single components say to others, and what that does to a task: path patching, one sender at a time.

    Definitions and what lies between: the docstrings of `circuits.patching.paths`. Raises BadInput for ends that the model lacks,
    for a sender that comes after every receiver, and for a task whose two prompts do not differ in the metric.

    >>> paths = ow.path_patching(model, "greater-than", n=2, receivers=["L2H0.q", "L2H1.q"])
    >>> paths.by_pair.shape  # pair, head of layers 0 and 1
    (2, 8)
    """
    asked = _Asked(model, pairs_of(model, task, n, drawn), config)
    plan = asked.plan(at_once)
    values = np.empty((len(asked.pairs), len(asked.senders)))
    with progress.stage("path patching", total=values.size, unit="path") as step:
        for i in range(len(asked.pairs)):
            passes = asked.passes(i)
            for at in range(0, len(asked.senders), plan.batch):
                some = asked.senders[at : at + plan.batch]
                values[i, at : at + len(some)] = asked.metric(passes.logits(some), i)
                step(len(some))
    return came_from(asked.record(values), model)


@takes_fields("drawn", Drawn)
@takes_fields("config", PathConfig)
@takes_fields("at_once", AtOnce)
def plan_paths(
    model: "TransformerBridge",
    task: TaskName = "ioi",
    *,
    n: int = 8,
    drawn: Drawn = Drawn(),
    config: PathConfig = PathConfig(),
    at_once: AtOnce = AtOnce(),
) -> RowsPlan:
    """What path patching takes."""
    return _Asked(model, pairs_of(model, task, n, drawn), config).plan(at_once)


class _Asked:
    """Pairs, ends, the metric of both runs of every pair."""

    def __init__(self, model: Any, pairs: Pairs, config: PathConfig):
        self.model, self.pairs, self.config = model, pairs, config
        require_pairs(model, pairs)
        require_task(model, pairs, config.at_chance)
        self.receivers = receivers_of(model, config.receivers)
        self.senders = self._senders()
        held_between(model, self.senders, self.receivers, config.free)
        for end in (*self.senders, *self.receivers):
            for length in {len(ids) for ids in pairs.clean}:
                require_positions(end, length)
        self.clean, self.corrupted = (self._whole(ids) for ids in (pairs.clean, pairs.corrupted))
        self._require_gap()

    def _senders(self) -> list[End]:
        """In the order of their layers: layers below the first of a pass are run once for all."""
        found, alone = senders_of(self.model, self.config.senders)
        reaching = [s for s in found if any(reaches(self.model, s, r) for r in self.receivers)]
        if late := next((s for s in (alone if reaching else found) if s not in reaching), None):
            raise BadInput(
                f"{late.name} writes after {', '.join(r.name for r in self.receivers[:4])} read, so there is no path. Name "
                "earlier senders, or later receivers."
            )
        return sorted(reaching, key=lambda s: s.site.depth)

    @torch.no_grad()
    def _whole(self, ids: list[list[int]]) -> Float[np.ndarray, " pair"]:
        values = np.empty(len(ids))
        for some in self.pairs.groups(16):
            logits = self.model(torch.tensor([ids[i] for i in some], device=self.model.W_E.device))[:, -1]
            values[some] = self.pairs.metric(logits, some).double().cpu().numpy()
        return values

    def _require_gap(self) -> None:
        gap, size = float((self.clean - self.corrupted).mean()), float(np.abs([self.clean, self.corrupted]).max())
        if not abs(gap) > 1e-6 * max(size, 1e-6):
            raise BadInput(
                f"The metric is {figures(float(self.clean.mean()), 4)} on the clean prompts and "
                f"{figures(float(self.corrupted.mean()), 4)} on the corrupted ones, so there is nothing that a path could carry. "
                "Choose another task or metric."
            )

    def plan(self, at_once: AtOnce) -> RowsPlan:
        rows, longest = len(self.pairs) * len(self.senders), max(map(len, self.pairs.clean))
        n_layers = int(self.model.cfg.n_layers)
        last = max(min(r.layer, n_layers) for r in self.receivers)
        first = float(np.mean([min(s.layer, n_layers) for s in self.senders]))
        whole = self.receivers[0].site.kind == "logits"  # one pass, else a second one from the first receiver on
        layers = last - first + (0 if whole else n_layers - min(r.layer for r in self.receivers))
        depth = max(layers, 1) / n_layers
        plan = plan_rows(self.model, "Path patching", rows, longest, at_once, depth, len(self.pairs))
        return plan if whole else replace(plan, passes=2 * plan.passes)

    def passes(self, i: int) -> PairPasses:
        base, donor = self.pairs.clean[i], self.pairs.corrupted[i]
        if self.config.direction == "denoise":
            base, donor = donor, base
        return PairPasses(self.model, base, donor, self.senders, self.receivers, self.config.free)

    def metric(self, logits: torch.Tensor, i: int) -> Float[np.ndarray, " sender"]:
        found = self.pairs.metric(logits, [i] * len(logits)).double().cpu().numpy()
        if not np.isfinite(found).all():
            raise BadInput(
                "The metric of a patched run is not a finite number. Choose another metric, or load the model in float32."
            )
        return found

    def record(self, values: Float[np.ndarray, "pair sender"]) -> PathPatching:
        config, n_layers = self.config, int(self.model.cfg.n_layers)
        there = set(layers_with("z", self.model))
        return PathPatching(
            task=self.pairs.task,
            senders=[s.name for s in self.senders],
            receivers=[r.name for r in self.receivers],
            direction=config.direction,
            free=config.free,
            by_pair=values,
            clean=self.clean,
            corrupted=self.corrupted,
            examples=[e.clean for e in self.pairs.examples],
            heads=[axis_size(Site("z", i), "head", self.model) if i in there else 0 for i in range(n_layers)],
            convention={
                "direction": DIRECTIONS[config.direction],
                "metric": METRICS[self.pairs.measure],
                "effect": "metric with the path patched minus the base run's",
                "share": "mean effect over the mean way from the base to the donor",
                "between": BETWEEN[config.free],
                "receivers": "set together, as the first pass has them",
                "seed": self.pairs.seed,
            },
            seed=self.pairs.seed,
        )
