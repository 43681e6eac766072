"""Edge attribution by gradients: how much every edge between components matters to a task, to first order.

    score(u -> v) = sum_pos (write_u(corrupted) - write_u(clean)) . dm / d(input of v)

The gradient is that of the clean run (EAP, Syed et al. 2023); the mean of those of both runs (clean-corrupted, Hanna et al.
2024); its mean along the path on which the input goes from the corrupted to the clean run's (EAP-IG-inputs, Hanna et al. 2024),
whose published code takes the points k / n for k from 0 to n - 1 (`left`), while `midpoint` is nearer to the integral; or along
paths on which each sublayer's output does so in turn (EAP-IG-activations, Marks et al. 2024 for nodes), published with k from 1
to n.

With its own sublayer's path and many points, the scores of all edges out of one sublayer sum to what the metric changes by when
its whole output is the corrupted run's (not where experts are switched on the way, which has no gradient).
"""

from typing import TYPE_CHECKING, Annotated

import numpy as np

from circuits.edge_attribution.components import components
from circuits.edge_attribution.eap import ActivationPaths, AtBothEnds, AtClean, InputPath
from circuits.edge_attribution.estimate import Estimate
from circuits.edge_attribution.plan import EdgeConfig, batch_of, plan_of
from circuits.edge_attribution.scores import EdgeScores, record_of
from probe.methods import Doc, method
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import Drawn, Pairs, pairs_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

plan_eap, plan_clean_corrupted = plan_of(AtClean), plan_of(AtBothEnds)
plan_eap_ig, plan_eap_ig_activations = plan_of(InputPath), plan_of(ActivationPaths)


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
    return attributed(model, pairs_of(model, task, n, drawn), AtClean(), config, progress)


@method(
    "clean-corrupted",
    group="circuits",
    plan="plan_clean_corrupted",
    paper="Have Faith in Faithfulness (Hanna et al. 2024)",
)
@takes_fields("drawn", Drawn)
@takes_fields("config", EdgeConfig)
def clean_corrupted(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 32,
    drawn: Drawn = Drawn(),
    config: EdgeConfig = EdgeConfig(),
    progress: Progress = SILENT,
) -> EdgeScores:
    """How much every edge between components matters to a task: EAP, with the mean of both runs' gradients.

    Two backward passes a pair. What is saturated in one of the two runs need not be in the other.

    >>> scores = ow.clean_corrupted(model, "greater-than", n=2)
    >>> scores.convention["gradient"]
    'mean of those of the clean and of the corrupted run'
    """
    return attributed(model, pairs_of(model, task, n, drawn), AtBothEnds(), config, progress)


@method("eap-ig", group="circuits", plan="plan_eap_ig", paper="Have Faith in Faithfulness (Hanna et al. 2024)")
@takes_fields("path", InputPath)
@takes_fields("drawn", Drawn)
@takes_fields("config", EdgeConfig)
def eap_ig(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 32,
    path: InputPath = InputPath(),
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
    return attributed(model, pairs_of(model, task, n, drawn), path, config, progress)


@method(
    "eap-ig-activations",
    group="circuits",
    plan="plan_eap_ig_activations",
    paper="MIB: A Mechanistic Interpretability Benchmark (Mueller et al. 2025)",
)
@takes_fields("paths", ActivationPaths)
@takes_fields("drawn", Drawn)
@takes_fields("config", EdgeConfig)
def eap_ig_activations(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 8,
    paths: ActivationPaths = ActivationPaths(),
    drawn: Drawn = Drawn(),
    config: EdgeConfig = EdgeConfig(),
    progress: Progress = SILENT,
) -> EdgeScores:
    """How much every edge between components matters to a task: EAP, its gradient averaged along a path of the sender's own.

    Each sublayer's output in turn goes from the corrupted to the clean run's. As many passes as points for the input, every
    attention and every MLP: it takes twice the layers' number longer than `eap-ig`.

    >>> scores = ow.eap_ig_activations(model, "greater-than", n=1, steps=2)
    >>> scores.convention["rule"], scores.convention["gradient"]
    ('midpoint', "mean along the paths of the sender's own sublayer")
    """
    return attributed(model, pairs_of(model, task, n, drawn), paths, config, progress)


def attributed(
    model: "TransformerBridge", pairs: Pairs, how: Estimate, config: EdgeConfig, progress: Progress
) -> EdgeScores:
    """An estimate of every edge on every pair: in groups of pairs that fit into memory."""
    batch, made = batch_of(model, pairs, how, config), components(model)
    by_pair = np.zeros((len(pairs), int(made.layout.edges.sum())), np.float32)
    ends = np.zeros((2, len(pairs)))
    with progress.stage(how.says()[0], total=len(pairs), unit="pair") as step:
        for some in pairs.groups(batch):
            found = how.scored(model, made, pairs, some)
            by_pair[some] = found.scores.float().cpu().numpy()[:, made.layout.edges]
            ends[:, some] = found.clean.cpu(), found.corrupted.cpu()
            step(len(some))
    return came_from(record_of(made.layout, pairs, how.says(), by_pair, ends, signed=how.signed), model)
