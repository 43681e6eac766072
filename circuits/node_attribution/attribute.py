"""Node attribution patching: what the metric would change by, to first order, if one node had the corrupted run's value.

    score(node) = (value in the corrupted run - value in the clean run) . dm / d(value)          at the clean run

(Nanda 2023; Syed et al. 2023.) A node is a head (what it has gathered, `z`), its queries, keys or values, what an MLP writes, a
neuron, or a latent of a dictionary, whose value acts through its decoder row. Three ways in which one gradient misses an effect
have their cures: saturated attention (`qk_fix`), a direct and an indirect effect that cancel (`grad_drop`), both of AtP* (Kramar
et al. 2024), and any other bend between the two runs (`steps`, integrated gradients). `exact-nodes` measures what these estimate.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from circuits.node_attribution.estimate import Estimate, NodeConfig, Scored
from circuits.node_attribution.kinds import NodeChoice
from circuits.node_attribution.nodes import Group, groups_of, nodes_of
from circuits.node_attribution.plan import NodePlan, batch_of, plan_nodes
from circuits.node_attribution.scores import SIGN, UNSIGNED, NodeScores
from probe.dictionaries.store import load_dictionary
from probe.methods import DictionaryName, Doc, method
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import METRICS, Drawn, Pairs, pairs_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@method(
    "atp",
    group="circuits",
    plan="plan_atp",
    paper="AtP*: An Efficient and Scalable Method for Localizing LLM Behaviour to Components (Kramar et al. 2024)",
)
@takes_fields("drawn", Drawn)
@takes_fields("config", NodeConfig)
def atp(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    nodes: Annotated[NodeChoice, Doc("What is scored; `components` are heads and MLPs.")] = "components",
    dictionaries: Annotated[Sequence[DictionaryName], Doc("Whose latents are scored.")] = (),
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 32,
    drawn: Drawn = Drawn(),
    config: NodeConfig = NodeConfig(),
    progress: Progress = SILENT,
) -> NodeScores:
    """How much every head, MLP, neuron or latent matters to a task, to first order: node attribution patching.

    Of each node, what the metric would change by if it had the value that it has in the corrupted run. One backward pass a pair.

    >>> scores = ow.atp(model, "greater-than", "heads", n=2)
    >>> scores.by_pair.shape, scores.nodes.name(0)
    ((2, 16), 'L0H0')
    >>> ow.atp(model, "greater-than", "qkv", n=2, qk_fix=True, by_position=True).nodes.name(0)
    'L0H0<q>@-29'
    """
    pairs, groups = pairs_of(model, task, n, drawn), groups_of(model, nodes, dictionaries)
    batch = batch_of(model, groups, pairs, config)
    estimate, name = Estimate(model, groups, pairs, config), named(config)
    made = _Gathered(groups, pairs, config.by_position)
    with progress.stage(name, total=len(pairs), unit="pair") as step:
        for some in pairs.groups(batch):
            made.add(some, estimate.of(some))
            step(len(some))
    convention = {
        "sign": UNSIGNED if config.grad_drop else SIGN,
        "metric": METRICS[pairs.measure],
        "corrupted": "runs of the task's corrupted prompts",
        "positions": "each, counted from the last token" if config.by_position else "all together",
        "seed": pairs.seed,
        **_told(config),
    }
    return came_from(made.record(name, convention, signed=not config.grad_drop), model)


@takes_fields("drawn", Drawn)
@takes_fields("config", NodeConfig)
def plan_atp(
    model: "TransformerBridge",
    task: TaskName = "ioi",
    nodes: NodeChoice = "components",
    dictionaries: Sequence[Any] = (),
    *,
    n: int = 32,
    drawn: Drawn = Drawn(),
    config: NodeConfig = NodeConfig(),
) -> NodePlan:
    """What `atp` takes."""
    groups = groups_of(model, nodes, loaded(model, dictionaries))
    return plan_nodes(model, groups, pairs_of(model, task, n, drawn), config)


def loaded(model: "TransformerBridge", dictionaries: Sequence[Any]) -> list[Any]:
    """Dictionaries with their weights, which a measured pass needs, where they are given by name."""
    return [load_dictionary(one, model) if isinstance(one, str | Path) else one for one in dictionaries]


def named(config: NodeConfig) -> str:
    """What a way of scoring is called."""
    cures = [name for name, asked in (("QK fix", config.qk_fix), ("GradDrop", config.grad_drop)) if asked]
    if config.steps:
        cures.append(f"{config.steps} points")
    return f"AtP with {' and '.join(cures)}" if cures else "AtP"


def _told(config: NodeConfig) -> dict[str, Any]:
    if not config.steps:
        return {"qk_fix": config.qk_fix, "grad_drop": config.grad_drop}
    paths = {
        "inputs": "inputs (resid_pre of layer 0), corrupted to clean",
        "nodes": "each layer's nodes of a kind together, corrupted to clean",
    }
    return {"path": paths[config.path], "points": config.steps, "rule": config.rule}


class _Gathered:
    """Scores as they come, put in the order of the nodes."""

    def __init__(self, groups: list[Group], pairs: Pairs, by_position: bool):
        self.pairs, self.length = pairs, max(map(len, pairs.clean)) if by_position else 1
        self.nodes = nodes_of(groups, self.length if by_position else 0)
        self.by_pair = np.full((len(pairs), len(self.nodes)), np.nan, np.float32)
        self.square = np.zeros(len(self.nodes))
        self.ends = np.zeros((2, len(pairs)))

    def add(self, some: list[int], found: Scored) -> None:
        """Put in what was found of these pairs. BadInput where it is not finite."""
        at = 0
        for score, chance in zip(found.scores, found.by_chance, strict=True):
            value = score.float().cpu().numpy()
            units, positions = value.shape[1:]
            columns = (
                at + np.arange(units)[:, None] * self.length + np.arange(self.length - positions, self.length)
            ).ravel()
            self.by_pair[np.ix_(some, columns)] = value.reshape(len(some), -1)
            self.square[columns] += np.nan if chance is None else chance.double().cpu().numpy().ravel()
            at += units * self.length
        self.ends[:, some] = found.clean.cpu(), found.corrupted.cpu()

    def record(self, method: str, convention: dict[str, Any], signed: bool = True) -> NodeScores:
        """All of it."""
        known = np.maximum(np.isfinite(self.by_pair).sum(0), 1)
        return NodeScores(
            method=method,
            task=self.pairs.task,
            nodes=self.nodes,
            by_pair=self.by_pair,
            chance=np.sqrt(self.square) / known,
            clean=self.ends[0],
            corrupted=self.ends[1],
            examples=[e.clean for e in self.pairs.examples],
            signed=signed,
            seed=self.pairs.seed,
            convention=convention,
        )
