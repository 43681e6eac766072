"""All that is asked of a subgraph at once: does it move the prediction, is it enough alone, and what is written without it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from circuits.faithfulness.sufficiency import Sufficiency, check_sufficiency
from circuits.graph.graph_arguments import ChosenNodes, GraphName, own_dictionaries, read_graph, stored_in
from circuits.validation.continuation import continue_changed
from circuits.validation.node_change import NodeChange
from circuits.validation.records import SubgraphTest
from circuits.validation.subgraph import Trials, check_subgraph
from circuits.validation.tested_nodes import chosen_nodes
from circuits.validation.verdicts import Verdict
from probe.interventions.generation import Generations
from probe.methods import DictionaryName, Doc, method
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record
from probe.text.prompts import several
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.graph.graph import CircuitGraph

ALONE = 10
"""Most random sets that are kept alone: each is a run of its own, and a share needs fewer than a p does."""


@dataclass(frozen=True, eq=False)
class Besides(Settings):
    """What is asked of the nodes beside the test itself."""

    sufficient: bool = False
    "Also silence every other unit, and say how much of each root is left."
    generate: Annotated[int, Doc(least=0, most=100_000)] = 0
    "Also continue the prompt by this many tokens, without and with the change."
    draw: Annotated[int | None, Doc(least=0, most=2147483647)] = None
    "Draw those tokens with this seed; else the likeliest."


@dataclass(frozen=True, kw_only=True)
class TriedSubgraph(Record, figure=True):
    """A subgraph tested in its model. alone: what is left of each root with it alone; continued: both texts; where asked. graph:
    the name of the stored graph, "" for one that was stored nowhere."""

    test: SubgraphTest
    alone: Sufficiency | None = None
    continued: Generations | None = None
    graph: str = ""

    @property
    def verdicts(self) -> list[Verdict]:
        """Every question by every measure."""
        return [*self.test.verdicts, *(self.alone.verdicts if self.alone else [])]

    def rows(self) -> list[dict[str, Any]]:
        """Every root of every prompt."""
        return self.test.rows()

    def panels(self) -> list[Panel]:
        """The test, then what else was asked."""
        figure, *tables, said = self.test.panels(self.alone.verdicts if self.alone else ())
        figures, sentences = [figure], [said]
        if self.alone is not None:
            share, rows = self.alone.shown()
            figures, tables, sentences = [*figures, share], [*tables, rows], [*sentences, Sentence(self.alone.meaning)]
        if self.continued is not None:
            tables.append(Rows("How the prompt goes on", self.continued.rows()))
        return [*figures, *tables, *sentences]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        more = {"sufficiency": self.alone, "generated": self.continued}
        of = {"graph": self.graph} if self.graph else {}
        return {**of, **self.test.to_dict(), **{name: one.to_dict() for name, one in more.items() if one is not None}}

    def summary(self) -> str:
        """One sentence: what was done to how many nodes, and how far the first root moved."""
        return self.test.summary()


@dataclass(frozen=True)
class TestPlan(Record):
    """What a test takes. traces: further prompts that become graphs first."""

    __test__ = False  # pytest takes what begins with Test for its own

    nodes: int
    prompts: int
    forward_passes: int
    traces: int

    def summary(self) -> str:
        """One sentence."""
        sizes = f"{counted(self.nodes, 'node')}, {counted(self.prompts, 'prompt')} ({self.traces} to trace first)"
        return f"{sizes}, about {self.forward_passes} forward passes"


@method("subgraph-test", group="circuits", plan="plan_subgraph_test")
@takes_fields("change", NodeChange)
@takes_fields("trials", Trials)
@takes_fields("besides", Besides)
def subgraph_test(
    model: "TransformerBridge",
    graph: Annotated[GraphName, Doc("A stored graph.")],
    nodes: Annotated[
        ChosenNodes,
        Doc(
            "Nodes to change, like `L5N120@3,L6N4`, `top:20` or `pinned`; by default those pinned, else the pruned graph's."
        ),
    ] = None,
    *,
    change: NodeChange = NodeChange(),
    trials: Trials = Trials(),
    besides: Besides = Besides(),
    dictionaries: Annotated[Sequence[DictionaryName], Doc("By default those the graph names.")] = (),
    progress: Progress = SILENT,
) -> TriedSubgraph:
    """Is a circuit true: some nodes are changed in the model, against what the graph predicts and against random subgraphs.

    Direct: all else held, where every value moves by the sum of its edges; full: all later free to answer. A subgraph that does
    no more than random ones of as many nodes of each kind and layer explains nothing.

    Raises BadInput for nodes there are not, and where model and graph do not belong together.

    >>> tried = ow.subgraph_test(model, "small", "top:5", n_random=2)
    >>> len(tried.test.first.nodes)
    5
    """
    graph = read_graph(graph)
    shared: dict[str, Any] = {"dictionaries": own_dictionaries(model, graph, dictionaries), "progress": progress}
    test = check_subgraph(model, graph, nodes, change=change, trials=trials, **shared)
    alone = continued = None
    if besides.sufficient:
        n = min(trials.n_random, ALONE)
        alone = check_sufficiency(model, graph, nodes, n_random=n, seed=trials.seed, **shared)
    if besides.generate:
        continued = _continued(model, graph, nodes, change, besides, shared["dictionaries"])
    name = folder.name if (folder := stored_in(graph)) is not None else ""
    return came_from(TriedSubgraph(test=test, alone=alone, continued=continued, graph=name), graph)


def _continued(
    model: "TransformerBridge",
    graph: "CircuitGraph",
    nodes: ChosenNodes,
    change: NodeChange,
    besides: Besides,
    dictionaries: list[Any],
) -> Generations:
    """The graph's own prompt continued; of the prompts that values are put in from, the first is its own."""
    from dataclasses import replace

    first = replace(change, restore=several(change.restore)[:1])
    return continue_changed(
        model, graph, nodes, besides.generate, besides.draw, dictionaries=dictionaries, change=first
    )


def plan_subgraph_test(
    model: "TransformerBridge",
    graph: GraphName,
    nodes: ChosenNodes = None,
    *,
    n_random: int = Trials.n_random,
    sufficient: bool = False,
    prompts: Sequence[Any] = (),
    **others: Any,
) -> TestPlan:
    """What `subgraph_test` would take."""
    extra = len(several(prompts))
    runs = (1 + extra) * (n_random + 5) + (min(n_random, ALONE) + 3 if sufficient else 0)
    return TestPlan(len(chosen_nodes(read_graph(graph), nodes)), 1 + extra, runs, extra)
