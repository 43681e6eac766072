"""The two methods: EAP, one gradient, and EAP-IG, its mean along the path from the corrupted to the clean input."""

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from circuits.edge_attribution.components import components
from circuits.edge_attribution.eap import scores_of
from circuits.edge_attribution.plan import EdgeConfig, EdgePlan, plan_edges
from circuits.edge_attribution.scores import SIGN, EdgeScores
from probe.errors import BadInput
from probe.methods import Doc, method
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import METRICS, Drawn, Pairs, pairs_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Rule = Literal["left", "midpoint", "right"]


@method(
    "eap",
    group="circuits",
    plan="plan_eap",
    paper="Attribution Patching Outperforms Automated Circuit Discovery (Syed et al. 2023)",
)
@takes_fields("drawn", Drawn)
@takes_fields("config", EdgeConfig)
def eap(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 32,
    drawn: Drawn = Drawn(),
    config: EdgeConfig = EdgeConfig(),
    progress: Progress = SILENT,
) -> EdgeScores:
    """How much every edge between components matters to a task, to first order: edge attribution patching.

    Of each edge, what the metric would change by if its receiver got what its sender writes in the corrupted run. One backward
    pass a pair. Attention that is saturated has no gradient, so what works through it is missed: see `eap-ig`.

    >>> scores = ow.eap(model, "greater-than", n=2)
    >>> scores.by_pair.shape, scores.layout.name(0, 0)
    ((2, 343), 'input->a0.h0<q>')
    """
    return _attributed(model, pairs_of(model, task, n, drawn), 0, "midpoint", config, progress)


@method("eap-ig", group="circuits", plan="plan_eap_ig", paper="Have Faith in Faithfulness (Hanna et al. 2024)")
@takes_fields("drawn", Drawn)
@takes_fields("config", EdgeConfig)
def eap_ig(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 32,
    steps: Annotated[int, Doc("Points of the path.", least=1, most=1000)] = 5,
    rule: Annotated[
        Rule, Doc("Where in its piece of the path each point is; published code takes `left`.")
    ] = "midpoint",
    drawn: Drawn = Drawn(),
    config: EdgeConfig = EdgeConfig(),
    progress: Progress = SILENT,
) -> EdgeScores:
    """How much every edge between components matters to a task: EAP, its gradient averaged from the corrupted to the clean input.

    Where attention is saturated on the clean prompt, gradients along the path are not, so edges that EAP misses are found.

    >>> scores = ow.eap_ig(model, "greater-than", n=2, steps=3)
    >>> len(scores.rows(5))
    5
    """
    return _attributed(model, pairs_of(model, task, n, drawn), steps, rule, config, progress)


def _attributed(
    model: "TransformerBridge", pairs: Pairs, steps: int, rule: str, config: EdgeConfig, progress: Progress
) -> EdgeScores:
    plan, made = plan_edges(model, pairs, steps, config), components(model)
    there = made.layout.edges
    by_pair = np.zeros((len(pairs), plan.edges), np.float32)
    ends = np.zeros((2, len(pairs)))
    name = f"EAP-IG ({steps} points)" if steps else "EAP"
    with progress.stage(name, total=len(pairs), unit="pair") as step:
        for some in pairs.groups(plan.batch):
            found = scores_of(model, made, pairs, some, steps, rule)
            by_pair[some] = found.scores.float().cpu().numpy()[:, there]
            ends[:, some] = found.clean.cpu(), found.corrupted.cpu()
            step(len(some))
    if not np.isfinite(by_pair).all():
        raise BadInput(
            "The scores hold values that are not finite: the metric or its gradient is not. Choose another metric."
        )
    convention = {
        "sign": SIGN,
        "metric": METRICS[pairs.measure],
        "corrupted": "runs of the task's corrupted prompts",
        "seed": pairs.seed,
    }
    if steps:
        convention |= {"path": "inputs (resid_pre of layer 0), corrupted to clean", "points": steps, "rule": rule}
    record = EdgeScores(
        method=name,
        task=pairs.task,
        layout=made.layout,
        by_pair=by_pair,
        clean=ends[0],
        corrupted=ends[1],
        examples=[e.clean for e in pairs.examples],
        convention=convention,
    )
    return came_from(record, model)


@takes_fields("drawn", Drawn)
@takes_fields("config", EdgeConfig)
def plan_eap(
    model: "TransformerBridge",
    task: TaskName = "ioi",
    *,
    n: int = 32,
    drawn: Drawn = Drawn(),
    config: EdgeConfig = EdgeConfig(),
) -> EdgePlan:
    """What `eap` takes."""
    return plan_edges(model, pairs_of(model, task, n, drawn), 0, config)


@takes_fields("drawn", Drawn)
@takes_fields("config", EdgeConfig)
def plan_eap_ig(
    model: "TransformerBridge",
    task: TaskName = "ioi",
    *,
    n: int = 32,
    steps: int = 5,
    rule: Rule = "midpoint",
    drawn: Drawn = Drawn(),
    config: EdgeConfig = EdgeConfig(),
) -> EdgePlan:
    """What `eap_ig` takes."""
    return plan_edges(model, pairs_of(model, task, n, drawn), steps, config)
