"""Greedy search: a circuit grown from the logits, always by the best edge into what is already in it (Hanna et al. 2024).

    H <- nothing; open <- edges into the logits
    until H has as many edges as asked:  the open edge u -> v of largest score joins H; if u is new, edges into u become open

So every edge of it is on a way to the logits; what nothing feeds goes at the end. Scores are made by EAP-IG or EAP on the task,
or are stored ones. `choose-edges` grows from stored scores alike, and has other rules.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from circuits.edge_attribution.components import components
from circuits.edge_attribution.scores import EdgeScores
from circuits.search.circuit import ComponentCircuit
from circuits.search.plan import SearchPlan
from circuits.search.scored import By, edge_scores, plan_scores
from circuits.search.select import choose_edges
from circuits.search.stored import ScoresName, read_edge_scores, require_same_model
from probe.errors import BadInput
from probe.methods import Doc, method
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TASKS, TaskName
from probe.tasks.chance import require_task
from probe.tasks.pairs import Drawn, Pairs, pairs_of, task_pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False)
class Grown(Settings):
    """How a circuit is grown."""

    size: Annotated[int | None, Doc(least=1)] = None
    "Edges of the circuit; by default a share of the model's."
    share: Annotated[float, Doc(above=0, most=1)] = 0.02
    "Edges as a share of the model's, where no size is given."
    signed: bool = False
    "Whether an edge counts by how it speaks for the right answer, or by its size."
    scores: ScoresName | None = None
    "Stored scores of edges, in the place of those that `by` makes."
    at_chance: bool = False
    "Whether a task is looked at that the model is at chance at."


@method("greedy", group="circuits", plan="plan_greedy", paper="Have Faith in Faithfulness (Hanna et al. 2024)")
@takes_fields("drawn", Drawn)
@takes_fields("grown", Grown)
def greedy(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    by: Annotated[By, Doc("Which scores choose the edges.")] = "eap-ig",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 32,
    drawn: Drawn = Drawn(),
    grown: Grown = Grown(),
    progress: Progress = SILENT,
) -> ComponentCircuit:
    """The circuit that grows from the logits by the best edge into what is in it, so that nothing of it leads nowhere.

    Raises BadInput for more edges than the model has, a task at chance, and scores of another model.

    >>> circuit = ow.greedy(model, "greater-than", "eap", n=2, size=20)
    >>> 0 < len(circuit) <= 20
    True
    """
    size, scores = _size(model, grown), _scores(model, task, by, n, drawn, grown, progress)
    return came_from(choose_edges(scores, size, "greedy", signed=grown.signed), model)


def _size(model: "TransformerBridge", grown: Grown) -> int:
    total = int(components(model).layout.edges.sum())
    if grown.size is not None and grown.size > total:
        raise BadInput(f"A circuit of {grown.size:,} edges was asked for; this model has {total:,}.")
    return grown.size or max(1, int(grown.share * total))


def _scores(
    model: "TransformerBridge", task: TaskName, by: str, n: int, drawn: Drawn, grown: Grown, progress: Progress
) -> EdgeScores:
    if grown.scores is not None:
        return _stored(model, task, n, drawn, grown)
    pairs = pairs_of(model, task, n, drawn)
    require_task(model, pairs, grown.at_chance)
    return edge_scores(model, pairs, by, progress)


def _stored(model: "TransformerBridge", task: TaskName, n: int, drawn: Drawn, grown: Grown) -> EdgeScores:
    """The scores that were given. BadInput for those of another model, and of a task at chance."""
    found = read_edge_scores(grown.scores)
    require_same_model(model, found, "Scores")
    if found.layout != components(model, found.layout.apart).layout:
        raise BadInput("The scores are of another model's edges. Make them of this one.")
    pairs = None if grown.at_chance else _their_pairs(model, found, task, n, drawn)
    if pairs is not None:
        require_task(model, pairs)
    return found


def _their_pairs(model: "TransformerBridge", scores: EdgeScores, task: TaskName, n: int, drawn: Drawn) -> Pairs | None:
    """Pairs of the task that scores are of: those asked for where this is it, or as many as the scores were made on. None for a
    file's that is not given again."""
    asked = task.task if isinstance(task, Pairs) else Path(task).stem if str(task).endswith(".jsonl") else task
    if asked == scores.task:
        return pairs_of(model, task, n, drawn)
    made = scores.convention
    if scores.task not in TASKS or "metric" not in made:  # a file's, or of another program
        return None
    return task_pairs(model, scores.task, len(scores.by_pair), seed=int(made.get("seed", 0)))


@takes_fields("drawn", Drawn)
@takes_fields("grown", Grown)
def plan_greedy(
    model: "TransformerBridge",
    task: TaskName = "ioi",
    by: By = "eap-ig",
    *,
    n: int = 32,
    drawn: Drawn = Drawn(),
    grown: Grown = Grown(),
) -> SearchPlan:
    """What `greedy` takes: its scores; choosing takes seconds."""
    _size(model, grown)
    if grown.scores is not None:
        _stored(model, task, n, drawn, grown)
        return SearchPlan(method="greedy", edges=0, pairs=0, passes=0, seconds=1.0, bytes=0)
    pairs = pairs_of(model, task, n, drawn)
    require_task(model, pairs, grown.at_chance)
    plan = plan_scores(model, pairs, by)
    return SearchPlan(
        method="greedy",
        edges=plan.edges,
        pairs=len(pairs),
        passes=plan.passes,
        seconds=plan.seconds,
        bytes=plan.bytes,
        what="runs forward and back",
    )
