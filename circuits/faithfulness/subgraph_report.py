"""Is the circuit that was pinned in one prompt's graph faithful, complete and minimal: `circuits.faithfulness.report` on the
graph's own prompt, its units silenced (`circuits.faithfulness.parts.of_graph`).

Every circuit of it is one run of the prompt, so what it takes is that of one run, measured as tensors are made and freed, and as
many times its seconds as circuits are run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import numpy as np

from circuits.faithfulness.circuit_report import circuits_run
from circuits.faithfulness.parts.of_graph import GraphParts, Silencing
from circuits.faithfulness.parts.parts import Kept
from circuits.faithfulness.plan import FaithfulnessPlan
from circuits.faithfulness.report import CircuitReport, ReportConfig, report_on
from circuits.graph.graph import CircuitGraph
from circuits.graph.graph_arguments import ChosenNodes, GraphName, own_dictionaries, read_graph
from circuits.validation.tested_nodes import chosen_nodes
from probe.activations.peak_bytes import events_of, process_bytes
from probe.errors import BadInput
from probe.memory import require
from probe.methods import DictionaryName, Doc, method
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.values import quoted
from probe.text.prompts import Prompt, several
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

SLACK = 16 << 20
"""Bytes of buffers that no operation tells of."""


@dataclass(frozen=True, eq=False)
class Silenced(Settings):
    """What silenced units are set to."""

    ablation: Silencing = "zero"
    "What silenced units are set to: 0, their mean over prompts, or what they are in a corrupted prompt."
    prompts: Prompt | Sequence[Prompt] = ()
    "Of `mean` the prompts, of `resample` the corrupted one, of as many tokens as the graph's."


@method("subgraph-report", group="circuits", plan="plan_subgraph_report")
@takes_fields("silenced", Silenced)
@takes_fields("config", ReportConfig)
def subgraph_report(
    model: "TransformerBridge",
    graph: Annotated[GraphName, Doc("A stored graph.")],
    nodes: Annotated[
        ChosenNodes,
        Doc(
            "Units of the circuit, like `L5N120@3,L6N4`, `top:20` or `pinned`; by default those pinned, else the pruned graph's."
        ),
    ] = None,
    *,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("By default those the graph names.")] = (),
    silenced: Silenced = Silenced(),
    config: ReportConfig = ReportConfig(),
    seed: Annotated[int, Doc("Of all sets that are drawn.", least=0, most=2147483647)] = 0,
    progress: Progress = SILENT,
) -> CircuitReport:
    """Is a subgraph of a prompt's graph faithful, complete and minimal: the same report as of circuits between components.

    Raises BadInput for nodes there are not, and where silencing every unit does not move what the graph explains.

    >>> report = ow.subgraph_report(model, graph, "top:6", random=2, subsets=1, greedy=1, needed=2)
    >>> report.kind, len(report.parts), len(report.needed)
    ('units', 6, 2)
    """
    graph = read_graph(graph)
    parts, kept = _parts(model, graph, nodes, dictionaries, silenced)
    about = {"method": "pinning" if nodes is None or nodes == "pinned" else "choice", "task": quoted(graph.prompt)}
    return came_from(report_on(parts, kept, config, seed=seed, progress=progress, **about), graph)


def _parts(
    model: "TransformerBridge",
    graph: CircuitGraph,
    nodes: ChosenNodes,
    dictionaries: Sequence[DictionaryName],
    silenced: Silenced,
) -> tuple[GraphParts, Kept]:
    """The graph's units, and which are the circuit's. BadInput for nodes of which none is a unit."""
    own = own_dictionaries(model, graph, dictionaries)
    parts = GraphParts(model, graph, silenced.ablation, several(silenced.prompts), own)
    kept = np.isin(parts.units, chosen_nodes(graph, nodes))
    if not kept.any():
        raise BadInput("None of these nodes is a neuron, latent, head or MLP; name some, like top:20.")
    return parts, kept


@takes_fields("silenced", Silenced)
@takes_fields("config", ReportConfig)
def plan_subgraph_report(
    model: "TransformerBridge",
    graph: GraphName,
    nodes: ChosenNodes = None,
    *,
    dictionaries: Sequence[DictionaryName] = (),
    silenced: Silenced = Silenced(),
    config: ReportConfig = ReportConfig(),
    seed: int = 0,
) -> FaithfulnessPlan:
    """What `subgraph_report` takes. BadInput for what it refuses, and where the memory is not there."""
    graph, made = read_graph(graph), []

    def first() -> None:
        parts, kept = _parts(model, graph, nodes, dictionaries, silenced)
        parts.values(kept[None])
        made.append((parts, kept))

    held = SLACK + process_bytes(events_of(first))
    require(held, f"Silencing units of {counted(len(graph.tokens), 'token')}", model.W_E.device)
    ((parts, kept),) = made
    start = perf_counter()
    parts.values(kept[None])
    circuits, one = circuits_run(config, int(kept.sum())), perf_counter() - start
    return FaithfulnessPlan(
        circuits=circuits, pairs=1, passes=circuits, seconds=circuits * one, bytes=held, looked_at="prompt"
    )
