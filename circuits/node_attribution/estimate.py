"""Scores of some pairs at once: the two runs, what every node is moved by, and the gradients that this is held against.

plain      the gradient of the clean run
GradDrop   mean over layers l of |score with l's writes taken for constant|, times L / (L - 1), since a node's own layer leaves it
           no gradient: a direct and an indirect effect that cancel show again (Kramar et al. 2024). Scores have no sign.
steps      the mean gradient along a path, `inputs`: from the corrupted to the clean stream before the first layer, everything
           after it following (Hanna et al. 2024); `nodes`: along each group's own values, all else as in the clean run
           (Marks et al. 2024), which needs passes for every group
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.edge_attribution.eap import RULES, Rule
from circuits.edge_attribution.estimate import tokens_of
from circuits.node_attribution.moves import Move, Straight, Values, of_latents, straight
from circuits.node_attribution.nodes import Group
from circuits.node_attribution.passes import Gradients, Pass
from circuits.node_attribution.qk_fix import fixed, sites_needed
from probe.doc import Doc
from probe.errors import BadInput
from probe.interventions.forward import read_run
from probe.model.sites import Site, layers_with, parse_site
from probe.model.writes import wide
from probe.plain_values import Settings
from probe.tasks.pairs import Pairs
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

MEMORY = 1_073_741_824
START = Site("resid_pre", 0)


@dataclass(frozen=True)
class NodeConfig(Settings):
    """How nodes are scored."""

    by_position: bool = False
    "Whether a node is a unit at one position, counted from the last token, or a unit at all of them."
    qk_fix: bool = False
    "Whether attention is computed anew with the other run's queries and keys, which a saturated softmax needs."
    grad_drop: bool = False
    "Whether gradients are taken once without each layer, which shows effects that cancel; scores have no sign then."
    steps: Annotated[int, Doc(least=0, most=1000)] = 0
    "Points of integrated gradients; 0 for the gradient of the clean run alone."
    rule: Rule = "midpoint"
    "Where in its piece of the path each point is."
    path: Literal["inputs", "nodes"] = "inputs"
    "From the corrupted to the clean input, or along the nodes' own values, layer by layer."
    memory: Annotated[int, Doc(least=1)] = MEMORY
    "Bytes for the pairs of a pass, which change the time and no result."
    batch: Annotated[int | None, Doc(least=1)] = None
    "Pairs a pass; by default as many as fit into memory."

    @property
    def points(self) -> list[float]:
        """How far along the path each point is, 1 at the clean end."""
        return [(k + RULES[self.rule]) / self.steps for k in range(self.steps)]


def require_config(model: "TransformerBridge", groups: list[Group], config: NodeConfig) -> None:
    """BadInput for options that do not go together."""
    if config.steps and (config.qk_fix or config.grad_drop):
        raise BadInput(
            "steps averages gradients along a path; qk_fix and grad_drop are of the clean run's. Choose one way."
        )
    if config.qk_fix and not any(group.family in ("query", "key") for group in groups):
        raise BadInput(
            "The QK fix is of queries and keys, and none are asked for. Ask for nodes='qkv' (or q, k), or leave it out."
        )
    if config.grad_drop and len(dropped(model)) < 2:
        raise BadInput("GradDrop leaves out one layer after the other, and this model has one. Leave grad_drop out.")
    if config.steps and config.path == "nodes" and any(s.kind == "resid_mid" for g in groups for s in g.sites):
        raise BadInput("The stream at resid_mid cannot be moved along a path of its own here; take path='inputs'.")


def dropped(model: "TransformerBridge") -> list[int]:
    """The layers that GradDrop leaves out in turn."""
    return sorted({*layers_with("attn_out", model), *layers_with("mlp_write", model)})


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of every node of some pairs, group by group, and the metric of their runs. by_chance: the mean square of random
    moves' scores, summed over these pairs; None where the scores are no plain products."""

    scores: list[Float[Tensor, "batch _ pos"]]
    by_chance: list[Float[Tensor, "_ pos"] | None]
    clean: Float[Tensor, " batch"]
    corrupted: Float[Tensor, " batch"]


class Estimate:
    """The nodes of a model on a task's pairs, ready to be scored."""

    def __init__(self, model: "TransformerBridge", groups: list[Group], pairs: Pairs, config: NodeConfig):
        require_config(model, groups, config)
        self.model, self.groups, self.pairs, self.config = model, groups, pairs, config

    def of(self, some: list[int]) -> Scored:
        """Scores of these pairs, which are equally long. BadInput for runs that are the same, and numbers that are not finite."""
        found = self.some_of(some)
        self._require(some, found)
        return found

    def some_of(self, some: list[int], most: int | None = None) -> Scored:
        """The same by so many gradients at most; groups that have none by then are left out."""
        tokens, other = tokens_of(self.model, self.pairs, some)
        corrupted, fallen = self._run(other, some)
        clean, whole = self._run(tokens, some)
        totals, chance = self._summed(tokens, some, clean, corrupted, most)
        order = sorted(totals)
        return Scored(
            scores=[totals[i] for i in order], by_chance=[chance.get(i) for i in order], clean=whole, corrupted=fallen
        )

    def _summed(
        self, tokens: Int[Tensor, "batch pos"], some: list[int], clean: Values, corrupted: Values, most: int | None
    ) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Scores of every group, and mean squares of random ones, summed over gradients."""
        moves = self._moves(tokens, clean, corrupted)
        if not self.config.steps:
            clean.clear()  # read no more
            corrupted.clear()
        totals: dict[int, Tensor] = {}
        chance: dict[int, Tensor] = {}
        for chosen, at, weight in islice(self._gradients(tokens, some, clean, corrupted), most):
            for i in chosen:
                found = self._positions(moves[i].score(at))
                found = (found.abs() if self.config.grad_drop else found) * weight
                totals[i] = totals[i].add_(found) if i in totals else found
                if self._plain(i) and isinstance(move := moves[i], Straight):
                    chance[i] = self._positions(move.by_chance(at)).sum(0)
        return totals, chance

    def _require(self, some: list[int], found: Scored) -> None:
        if not all(bool(score.isfinite().all()) for score in (*found.scores, found.clean, found.corrupted)):
            raise BadInput(
                "The scores hold values that are not finite: the metric or its gradient is not. Choose another metric, or load "
                "the model in float32."
            )
        if not any(bool(score.any()) for score in found.scores):
            raise BadInput(
                f"All scores of {counted(len(some), 'pair')} are 0: the two runs are the same at these nodes, or the metric has "
                "no gradient there. Give prompts that the model tells apart, or choose logit_diff."
            )

    def sites(self) -> list[Site]:
        """Where gradients are taken."""
        return sorted({site for group in self.groups for site in self._sites(group)}, key=lambda s: s.depth)

    def read(self) -> list[Site]:
        """Where both runs are read."""
        found = {site for group in self.groups for site in group.sites} | {START}
        found |= {parse_site(g.dictionary.site_in) for g in self.groups if g.dictionary is not None}
        if self.config.qk_fix:
            found |= sites_needed(self.model, self.groups, self.config.by_position)
        return sorted(found, key=lambda s: s.depth)

    def _sites(self, group: Group) -> tuple[Site, ...]:
        return (Site("z", group.layer),) if self._fixed(group) else group.sites

    def _fixed(self, group: Group) -> bool:
        return self.config.qk_fix and group.family in ("query", "key")

    def _plain(self, i: int) -> bool:
        return not (self.config.steps or self.config.grad_drop or self._fixed(self.groups[i]))

    def _positions(self, found: Float[Tensor, "batch unit pos"]) -> Float[Tensor, "batch unit some"]:
        return found if self.config.by_position else found.sum(-1, keepdim=True)

    def _metric(self, some: list[int]):
        return lambda logits: self.pairs.metric(logits, some)

    def _run(self, tokens: Int[Tensor, "batch pos"], some: list[int]) -> tuple[Values, Float[Tensor, " batch"]]:
        with torch.no_grad(), self.model.hooks(fwd_hooks=[("unembed.hook_in", lambda value, hook: value[:, -1:])]):
            logits, held = read_run(self.model, tokens, self.read())
            return held, self.pairs.metric(logits[:, -1], some)

    def _moves(self, tokens: Int[Tensor, "batch pos"], clean: Values, corrupted: Values) -> list[Move]:
        anew = {}
        if self.config.qk_fix:
            anew = fixed(self.model, tokens, self.groups, clean, corrupted, self.config.by_position)
        return [
            anew[i] if i in anew else (straight if group.dictionary is None else of_latents)(group, clean, corrupted)
            for i, group in enumerate(self.groups)
        ]

    def _gradients(
        self, tokens: Int[Tensor, "batch pos"], some: list[int], clean: Values, corrupted: Values
    ) -> Iterator[tuple[list[int], Gradients, float]]:
        """Which groups they are for, gradients, and their weight in the score."""
        every, config, metric = list(range(len(self.groups))), self.config, self._metric(some)
        if not config.steps:
            run = Pass(self.model, tokens, self.sites(), metric, dropping=config.grad_drop)
            layers = dropped(self.model) if config.grad_drop else [None]
            for k, layer in enumerate(layers):
                yield every, run.gradients(layer, last=k == len(layers) - 1), 1 / max(1, len(layers) - 1)
            return
        chosen = [(every, (START,), self.sites())] if config.path == "inputs" else []
        chosen = chosen or [([i], self.groups[i].sites, list(self.groups[i].sites)) for i in every]
        for which, moved, sites in chosen:
            for share in config.points:
                put = {s: torch.lerp(wide(corrupted[s.name]), wide(clean[s.name]), share) for s in moved}
                yield which, Pass(self.model, tokens, sites, metric, put).gradients(), 1 / config.steps
