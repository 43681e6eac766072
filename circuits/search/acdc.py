"""ACDC: remove edges from the output back, as long as what the circuit predicts stays (Conmy et al. 2023).

    H <- the whole model
    for every receiver v, those that read last first; for every edge u -> v in H:
        if D(H without u -> v) - D(H) < threshold: H <- H without u -> v

D is the divergence of the whole model's prediction from the circuit's (`kl`), or the fall of the task's metric. An edge that is
removed carries what its sender writes in the corrupted run, or a constant. Whoever is read by nobody any more is not tried: all
its edges go at once. At last edges go that do nothing, since their sender reads nothing (`connected`).

Each edge is a forward pass by itself. Here rows of a batch run ahead of the decisions as if every edge of the batch were
removed; the rows up to the first that must stay are what one by one would have run, so the result is the same and long runs of
removals are one pass.
"""

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from circuits.edge_attribution.components import Components, components
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.runs import Comparison, Divergence, bytes_of_circuits
from circuits.search.circuit import ComponentCircuit, connected
from circuits.search.plan import SearchPlan
from probe.errors import BadInput
from probe.interventions.ablations import Ablation, require_lengths
from probe.memory import require
from probe.methods import Doc, method
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.chance import require_task
from probe.tasks.pairs import Drawn, Pairs, pairs_of
from probe.tasks.refusals import require_pairs
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Order = Literal["last", "first", "shuffled"]


@dataclass(frozen=True, eq=False)
class SearchConfig(Settings):
    """How a circuit is searched."""

    threshold: Annotated[float, Doc(least=0)] = 0.01
    "How much worse one removal may make it: in nats of KL, or in the units of the metric."
    divergence: Divergence = "kl"
    "`kl` from the whole model's prediction, or the fall of the task's `metric`."
    ablation: Ablation = "resample"
    "What a removed edge carries: the corrupted run's, a mean, a mean at each position, or 0; `optimal` is refused here."
    order: Order = "last"
    "Which edge of a receiver is tried first: the one of the last sender, of the first, or any."
    ahead: Annotated[int, Doc(least=1, most=4096)] = 16
    "Edges that are tried in one pass, which changes the time and no result."
    at_chance: bool = False
    "Whether a task is looked at that the model is at chance at."


@method(
    "acdc",
    group="circuits",
    plan="plan_acdc",
    paper="Towards Automated Circuit Discovery for Mechanistic Interpretability (Conmy et al. 2023)",
)
@takes_fields("drawn", Drawn)
@takes_fields("config", SearchConfig)
def acdc(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 8,
    drawn: Drawn = Drawn(),
    config: SearchConfig = SearchConfig(),
    progress: Progress = SILENT,
) -> ComponentCircuit:
    """The edges that a task needs: each is removed, from the output back, and stays out if the prediction stays.

    >>> circuit = ow.acdc(model, "greater-than", n=1, threshold=1.0)
    >>> len(circuit) < 343
    True
    """
    pairs, made = pairs_of(model, task, n, drawn), components(model)
    _require(model, pairs, config)
    return searched(
        model,
        made,
        Comparison(model, made, pairs, config.divergence, config.ablation),
        pairs.task,
        config,
        drawn.seed,
        progress,
    )


def _require(model: "TransformerBridge", pairs: Pairs, config: SearchConfig) -> None:
    """BadInput, before hours are spent, for a task at chance and an ablation that each circuit would have anew."""
    if config.ablation == "optimal":
        raise BadInput(
            "ACDC tries thousands of circuits, and `optimal` finds constants for each anew. Choose another ablation."
        )
    require_pairs(model, pairs)
    require_lengths(config.ablation, pairs.clean, pairs.clean)
    require_task(model, pairs, config.at_chance)


@takes_fields("drawn", Drawn)
@takes_fields("config", SearchConfig)
def plan_acdc(
    model: "TransformerBridge",
    task: TaskName = "ioi",
    *,
    n: int = 8,
    drawn: Drawn = Drawn(),
    config: SearchConfig = SearchConfig(),
) -> SearchPlan:
    """What `acdc` takes at most, but for what runs ahead in vain: edges into what nobody reads any more are never tried."""
    pairs, made = pairs_of(model, task, n, drawn), components(model)
    _require(model, pairs, config)
    edges, rows = int(made.layout.edges.sum()), min(config.ahead, 16)
    held = bytes_of_circuits(model, made, pairs, rows)
    require(held, f"Circuits on {counted(len(pairs), 'pair')}", model.W_E.device)
    longest = pairs.some([_longest(pairs)])
    compared = Comparison(model, made, longest, config.divergence, config.ablation, pairs)
    start = perf_counter()
    compared.far(made.layout.edges[None].repeat(rows, 0) & _without_first(made.layout))
    one = (perf_counter() - start) / rows
    passes = (edges + 1) * len(pairs)
    return SearchPlan(method="acdc", edges=edges, pairs=len(pairs), passes=passes, seconds=passes * one, bytes=held)


def _longest(pairs: Pairs) -> int:
    return max(range(len(pairs)), key=lambda i: len(pairs.clean[i]))


def _without_first(layout: Layout) -> np.ndarray:
    """All edges but those of the input, so that every receiver is changed in the run that is timed."""
    kept = layout.edges.copy()
    kept[: len(layout.inputs)] = False
    return kept


def searched(
    model: "TransformerBridge",
    made: Components,
    compared: Comparison,
    task: str,
    config: SearchConfig,
    seed: int,
    progress: Progress,
) -> ComponentCircuit:
    """The circuit that removal leaves."""
    search = _Search(made, compared, config, np.random.default_rng(seed))
    with progress.stage("ACDC", total=int(made.layout.edges.sum()), unit="edge") as step:
        for receiver in reversed(range(len(made.layout.receivers))):
            search.receiver(receiver, step)
    record = ComponentCircuit(
        method="ACDC",
        task=task,
        layout=made.layout,
        kept=connected(made.layout, search.kept, config.ablation),
        convention={**config.__dict__, **compared.convention, "seed": seed, "runs": search.runs},
        found=search.found,
    )
    return came_from(record, model)


class _Search:
    """What is kept so far, and how far that is from the whole model."""

    def __init__(self, made: Components, compared: Comparison, config: SearchConfig, draw: np.random.Generator):
        self.made, self.compared, self.config, self.draw = made, compared, config, draw
        self.kept = made.layout.edges.copy()
        self.far = float(compared.far(self.kept[None])[0])
        self.found: list[dict[str, Any]] = []
        self.runs = 1

    def receiver(self, receiver: int, step: Any) -> None:
        """Try the edges into one receiver."""
        layout = self.made.layout
        senders = np.flatnonzero(layout.edges[:, receiver])
        last = receiver == len(layout.receivers) - 1
        if not last and not self.kept[layout.components[:, receiver]].any():  # nobody reads what it makes
            self.kept[:, receiver] = False
            step(len(senders))
            return
        left = list(self._ordered(senders))
        while left:
            done = self._ahead(receiver, left[: self.config.ahead])
            left = left[done:]
            step(done)

    def _ordered(self, senders: np.ndarray) -> np.ndarray:
        if self.config.order == "shuffled":
            return self.draw.permutation(senders)
        return senders[::-1] if self.config.order == "last" else senders

    def _ahead(self, receiver: int, senders: list[int]) -> int:
        """Run ahead through these edges; returns how many are decided."""
        trial = np.repeat(self.kept[None], len(senders), 0)
        for row, sender in enumerate(senders):
            trial[row:, sender, receiver] = False
        far = self.compared.far(trial)
        self.runs += len(senders)
        for row, sender in enumerate(senders):
            worse = float(far[row]) - self.far
            if not np.isfinite(worse):
                raise BadInput(
                    "The divergence is not a finite number, so no edge can be judged. Choose another metric."
                )
            stays = not worse < self.config.threshold
            if stays or abs(worse) > self.config.threshold / 10:
                self.found.append({"edge": self.made.layout.name(sender, receiver), "worse by": worse, "kept": stays})
            if stays:
                return row + 1
            self.kept[sender, receiver] = False
            self.far = float(far[row])
        return len(senders)
