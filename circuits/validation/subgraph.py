"""Is it true? A subgraph is tested in the model it was traced from, and against random subgraphs of equal size.

    test = check_subgraph(model, graph, ["L5N120@3", "L9N44@4"], mode="ablate", n_random=20)

Its nodes are ablated, scaled, clamped or restored to another prompt's values, and what happens is compared with what the graph
says will happen:

    direct    all else held (`circuits.validation.frozen_run`): every value moves by the sum of its edges from the set, to
              rounding
    full      everything later free (`circuits.validation.changed_run`): the graph's prediction runs along its edges
              (`circuits.validation.predict`), so it misses what patterns, norms, activation functions and untraced units answer

The direct effect tests the arithmetic of the graph, the full one whether it explains the model. A subgraph that does no more than
random nodes of the same layers and kinds explains nothing, however well its numbers agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from jaxtyping import Float, Int

from circuits.graph.graph import CircuitGraph
from circuits.graph.graph_arguments import ChosenNodes, GraphName, own_dictionaries, read_graph
from circuits.validation.changed_run import Observed
from circuits.validation.node_change import NodeChange, levels_in, restored_from
from circuits.validation.predict import Change, change_of, predict_direct, predict_full
from circuits.validation.random_sets import N_RANDOM, overlap, random_sets
from circuits.validation.records import Movements, PromptTest, RootEffect, SetEffect, SubgraphTest
from circuits.validation.testbed import Testbed
from circuits.validation.tested_nodes import as_rule, carried_over, chosen_nodes
from probe.doc import Doc
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.statistics import agreement
from probe.text.prompts import Prompt, several

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.attribution.config import TraceConfig

CONVENTION = {
    "sign": "changed run minus untouched run",
    "direct": "attention patterns, norm divisors, MLP outputs and heads that are nodes held at the untouched run's values",
    "full": "everything after the changed nodes is computed anew",
    "predicted_full": "one pass along the graph's edges at frozen patterns, divisors and ratios; rest and error do not answer",
    "logits": "demeaned over the vocabulary, before any soft-cap; probabilities and KL after it",
    "full_agreement": "over roots, neurons (activation) and latents (pre-activation) that were not changed themselves",
    "random": "as many nodes of each kind and layer, drawn from the rest of the same graph",
    "other_prompts": "a set is carried over by kind, layer, unit and distance from the end; a rule chooses anew",
    "intervals": "95%: bootstrap over prompts; for random sets the range that holds 95% of them",
}


@dataclass(frozen=True, eq=False)
class Trials(Settings):
    """On what, and beside what, a set is tested."""

    prompts: Prompt | Sequence[Prompt] | Sequence[CircuitGraph] = ()
    "Further prompts, traced and tested alike, for error bars; Python takes their graphs too."
    config: Annotated["TraceConfig | None", Doc(in_python=True)] = None
    "How they are traced."
    n_random: Annotated[int, Doc(least=0, most=10_000)] = N_RANDOM
    "Random subgraphs of as many nodes of each kind and layer."
    seed: Annotated[int, Doc(least=0, most=2147483647)] = 0
    "Which random subgraphs."


@takes_fields("change", NodeChange)
@takes_fields("trials", Trials)
def check_subgraph(
    model: "TransformerBridge",
    graph: GraphName,
    nodes: ChosenNodes = None,
    *,
    dictionaries: Sequence[Any] = (),
    change: NodeChange = NodeChange(),
    trials: Trials = Trials(),
    progress: Progress = SILENT,
) -> SubgraphTest:
    """Change a set of nodes and compare what happens with the graph's prediction, over one or several prompts.

    graph: one in memory, or the name of a stored one. nodes: see `circuits.graph.graph_arguments`; None for the pinned nodes or
    else the pruned graph's units. dictionaries: by default those the graph names. change, trials: their fields are keywords too.
    Raises BadInput for nodes there are not, and where model and graph do not belong together.

    >>> test = ow.check_subgraph(model, graph, ow.most_influential(5), n_random=2)
    >>> len(test.first.random)  # good: its effect stands outside of what random sets do
    2
    """
    mode, (factor, level) = change.mode, change.amount
    graph, nodes = read_graph(graph), as_rule(nodes)
    dictionaries = own_dictionaries(model, graph, dictionaries)
    further = [_traced(model, p, graph, dictionaries, trials.config, progress) for p in several(trials.prompts)]
    graphs, n_random, seed = [graph, *further], trials.n_random, trials.seed
    others = restored_from(change.restore, mode, len(graphs))
    chosen = chosen_nodes(graph, nodes)
    found = []
    with progress.stage("interventions", total=len(graphs) * (n_random + 2), unit="run") as step:
        for i, one in enumerate(graphs):
            mine = (
                chosen if i == 0 else chosen_nodes(one, nodes) if callable(nodes) else carried_over(graph, chosen, one)
            )
            lacking = max(len(chosen) - len(mine), 0)
            bed = Testbed(model, one, dictionaries)
            levels = level if not others else levels_in(bed, others[i])
            found.append(_Trial(bed, mode, factor, levels, step).test(mine, lacking, n_random, seed))
    return came_from(SubgraphTest(mode, factor if mode == "scale" else 0.0, found, seed, CONVENTION), graph)


class _Trial:
    """One kind of change on one prompt."""

    def __init__(self, bed: Testbed, mode: str, factor: float, level: float | np.ndarray, step: Callable):
        self.bed, self.graph, self.mode, self.factor, self.level, self.step = bed, bed.graph, mode, factor, level, step
        roots = np.flatnonzero(self.graph.roots)
        self.top = int(roots[np.argmax(self.graph.probability[roots])])

    def change(self, nodes: Int[np.ndarray, " changed"]) -> Change:
        level = self.level[nodes] if isinstance(self.level, np.ndarray) else self.level
        return change_of(self.graph, nodes, self.mode, self.factor, level)

    def test(self, nodes: Int[np.ndarray, " changed"], lacking: int, n_random: int, seed: int) -> PromptTest:
        """The set itself, direct and full, and random sets in full."""
        change = self.change(nodes)
        moves, after = self._movements(change)
        drawn = random_sets(self.graph, nodes, n_random if len(nodes) else 0, seed)
        random = [self._random(self.change(s)) for s in drawn]
        seen, free = np.flatnonzero(self.graph.explained), self.graph.explained.copy()
        free[nodes] = False
        return PromptTest(
            prompt=self.graph.prompt,
            nodes=[self.graph.name(int(i)) for i in nodes],
            lacking=lacking,
            roots=self._roots(moves, after, [run for _, run in random]),
            effect=self._effect(moves.predicted_full, after),
            direct_agreement=agreement(moves.predicted_direct[seen], moves.direct[seen]),
            full_agreement=agreement(moves.predicted_full[free], moves.full[free]),
            random=[effect for effect, _ in random],
            overlap=overlap(nodes, drawn),
            movements=moves,
        )

    def _movements(self, change: Change) -> tuple[Movements, Observed]:
        direct = self.bed.direct(change)
        self.step(1)
        after = self.bed.run.changed(change)
        self.step(1)
        full = after.value - self.bed.run.clean.value
        return Movements(predict_direct(self.graph, change), direct, predict_full(self.graph, change), full), after

    def _random(self, change: Change) -> tuple[SetEffect, Float[np.ndarray, " node"]]:
        """What a random set does, and how far every node moves."""
        after = self.bed.run.changed(change)
        self.step(1)
        return self._effect(predict_full(self.graph, change), after), after.value - self.bed.run.clean.value

    def _effect(self, predicted: Float[np.ndarray, " node"], after: Observed) -> SetEffect:
        clean, top = self.bed.run.clean, self.top
        moved = float(after.value[top] - clean.value[top])
        p, q = self._probability(top, clean), self._probability(top, after)
        return SetEffect(float(predicted[top]), moved, np.nan if p is None or q is None else q - p, clean.kl_to(after))

    def _probability(self, root: int, run: Observed, which: int = 0) -> float | None:
        """The probability of a logit's token, or of one of the two of a difference; None for what has none."""
        tokens = self.graph.tokens_of_root(root)
        return float(run.log_probs[tokens[which]].exp()) if which < len(tokens) else None

    def _roots(
        self, moves: Movements, after: Observed, random: Sequence[Float[np.ndarray, " node"]]
    ) -> list[RootEffect]:
        clean = self.bed.run.clean
        return [
            RootEffect(
                root=self.graph.name(i),
                value=float(clean.value[i]),
                **{n: float(getattr(moves, n)[i]) for n in ("predicted_direct", "direct", "predicted_full", "full")},
                probability=self._probability(i, clean),
                probability_after=self._probability(i, after),
                random=tuple(float(moved[i]) for moved in random),
                other_probability=self._probability(i, clean, 1),
                other_probability_after=self._probability(i, after, 1),
            )
            for i in np.flatnonzero(self.graph.roots).tolist()
        ]


def _traced(
    model: "TransformerBridge",
    prompt: Prompt | CircuitGraph,
    like: CircuitGraph,
    dictionaries: Sequence[Any],
    config: "TraceConfig | None",
    progress: Progress,
) -> CircuitGraph:
    """The graph of another prompt, made as the first one was as far as that says."""
    if isinstance(prompt, CircuitGraph):
        return prompt
    from circuits.attribution.config import TraceConfig
    from circuits.attribution.trace import trace

    said = like.convention
    kept = {k: said[k] for k in ("max_nodes", "probability_mass") if k in said}
    if said.get("heads"):
        kept["heads"] = tuple(said["heads"])
    if said.get("basis") == "components":
        kept["basis"] = "components"
    config = config or TraceConfig(**kept)
    return trace(model, prompt, dictionaries=dictionaries, targets=_directions(like), config=config, progress=progress)


def _directions(like: CircuitGraph) -> list[Any]:
    """The differences and directions a graph explains, asked for again; its logits are each prompt's own."""
    import torch

    from circuits.attribution.target_tokens import Difference, Direction

    found: list[Any] = []
    for told in like.convention.get("directions", []):
        if "difference" in told:
            found.append(Difference(*told["difference"]))
        else:  # from the end: prompts differ in length
            vector, pos = torch.tensor(told["vector"]), told["pos"] - len(like.tokens)
            found.append(Direction(vector, told["at"], pos, told["name"]))
    return found
