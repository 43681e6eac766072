"""What an attribution of nodes takes, measured on one pair before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from circuits.edge_attribution.graph_bytes import graph_bytes
from circuits.node_attribution.estimate import Estimate, NodeConfig, dropped
from circuits.node_attribution.nodes import Group
from circuits.node_attribution.passes import Pass
from circuits.node_attribution.qk_fix import reports_scores
from probe.memory import require
from probe.model.anatomy import spot
from probe.model.sites import Site
from probe.show.record import Record
from probe.tasks.pairs import Pairs
from probe.words import counted, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_SLACK = 64 << 20
"Bytes of buffers that no formula counts."


@dataclass(frozen=True, kw_only=True)
class NodePlan(Record):
    """nodes: of the model, positions apart. pairs: of the task. batch: pairs a pass. passes: backward passes. bytes: beside the
    model."""

    nodes: int
    pairs: int
    batch: int
    passes: int
    bytes: int

    def summary(self) -> str:
        """One sentence."""
        return (
            f"{counted(self.nodes, 'node')} on {counted(self.pairs, 'pair')}: {counted(self.passes, 'backward pass')}, "
            f"{self.batch} together, about {size(self.bytes)} of memory beside the model."
        )


def plan_nodes(model: "TransformerBridge", groups: list[Group], pairs: Pairs, config: NodeConfig) -> NodePlan:
    """Pairs a pass and memory. BadInput where they do not fit, and for options that do not go together."""
    estimate = Estimate(model, groups, pairs, config)
    longest = max(range(len(pairs)), key=lambda i: len(pairs.clean[i]))
    length = len(pairs.clean[longest])
    each = _bytes_of_one(model, estimate, longest)
    batch = min(len(pairs), config.batch or max(1, config.memory // each))
    parts = pairs.groups(batch)
    nodes = sum(group.units for group in groups) * (length if config.by_position else 1)
    total = _SLACK + 4 * nodes * len(pairs) + each * max(map(len, parts))
    require(total, f"Nodes of {counted(len(pairs), 'pair')}", model.W_E.device)
    return NodePlan(
        nodes=nodes, pairs=len(pairs), batch=batch, passes=len(parts) * _passes(model, groups, config), bytes=total
    )


def _passes(model: "TransformerBridge", groups: Sequence[Group], config: NodeConfig) -> int:
    if config.grad_drop:
        return len(dropped(model))
    return max(1, config.steps) * (len(groups) if config.steps and config.path == "nodes" else 1)


def _bytes_of_one(model: "TransformerBridge", estimate: Estimate, index: int) -> int:
    """What one pair holds at its most: both runs while moves are made of them, or moves, graph and gradients."""
    groups, config, n = estimate.groups, estimate.config, len(estimate.pairs.clean[index])
    item = model.W_E.element_size()
    runs = 2 * item * sum(_numbers(model, site, n) for site in estimate.read())
    gradients = 4 * sum(_numbers(model, site, n) for site in estimate.sites())
    moves = [4 * _of_move(model, group, n, config) for group in groups]
    widest = 4 * 4 * n * max(group.units for group in groups)
    scores = 8 * sum(group.units for group in groups) * (n if config.by_position else 1)
    graph = _graph(model, estimate, index) + (runs if config.steps else 0)
    return sum(moves) + scores + max(runs, graph + 2 * gradients + widest) + max(moves)


def _of_move(model: "TransformerBridge", group: Group, n: int, config: NodeConfig) -> int:
    """Numbers that a group's move holds."""
    if config.qk_fix and config.by_position and group.family == "key":
        z = _numbers(model, Site("z", group.layer), n)
        return z + 2 * _numbers(model, Site("scores", group.layer), n) if reports_scores(model, group.layer) else n * z
    latents = n * group.units if group.dictionary is not None else 0
    return latents + sum(_numbers(model, site, n) for site in group.sites)


def _numbers(model: "TransformerBridge", site: Site, n: int) -> int:
    at = spot(site, model)
    if "q_pos" in site.axes:
        return spot(Site("z", site.layer), model).sizes["head"] * n * n
    return at.width * n


def _graph(model: "TransformerBridge", estimate: Estimate, index: int) -> int:
    """Bytes that autograd keeps of one pair's run, counted in a pass of its own."""
    tokens = torch.tensor([estimate.pairs.clean[index]], device=model.W_E.device)
    made: list[Pass] = []  # held to its end: what it keeps is counted while it is there

    def run() -> None:
        metric = lambda logits: estimate.pairs.metric(logits, [index])  # noqa: E731
        made.append(Pass(model, tokens, estimate.sites(), metric, dropping=estimate.config.grad_drop))

    return graph_bytes(model, run)
