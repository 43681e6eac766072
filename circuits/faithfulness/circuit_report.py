"""Is a circuit that was found on a task faithful, complete and minimal: of edges, heads, MLPs, neurons or latents, on pairs of
the task that are held out. The tests: `circuits.faithfulness.report`, which `subgraph-report` makes of one prompt's graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from circuits.faithfulness.metrics import faithfulness
from circuits.faithfulness.parts.edges import EdgeParts
from circuits.faithfulness.parts.nodes import NodeParts
from circuits.faithfulness.parts.parts import Kept, Parts
from circuits.faithfulness.plan import FaithfulnessPlan, plan_runs
from circuits.faithfulness.report import CircuitReport, ReportConfig, report_on
from circuits.faithfulness.split import Split, split_pairs
from circuits.search.circuit import ComponentCircuit
from circuits.search.node_circuit import NodeCircuit, kept_named
from circuits.search.stored import CircuitName, read_circuit, require_same_model
from probe.errors import BadInput
from probe.interventions.ablations import Ablation
from probe.methods import DictionaryName, Doc, method
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import Drawn, Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False)
class Looked(Settings):
    """On which pairs a circuit is looked at, and what removed parts carry."""

    ablation: Ablation = "resample"
    "What removed parts carry: the corrupted run's, a mean, a mean at each position, 0, or the constant that harms least."
    skip: Annotated[int, Doc(least=0, most=1_000_000)] = 0
    "Pairs of the task that are left out first, since the circuit was found on them."
    unseen: Sequence[str] = ()
    "Templates that the circuit was not found on: faithfulness on as many pairs of these stands beside."
    dictionaries: Sequence[DictionaryName] = ()
    "Of latents, the dictionaries that they are of."
    at_chance: bool = False
    "Whether a task is looked at that the model is at chance at."


@method(
    "circuit-report",
    group="circuits",
    plan="plan_circuit_report",
    paper="Interpretability in the Wild (Wang et al. 2023)",
)
@takes_fields("looked", Looked)
@takes_fields("drawn", Drawn)
@takes_fields("config", ReportConfig)
def circuit_report(
    model: "TransformerBridge",
    circuit: Annotated[CircuitName, Doc("A stored circuit of edges or nodes.")],
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    *,
    n: Annotated[int, Doc("Pairs that it is looked at on.", least=2, most=10_000)] = 32,
    looked: Looked = Looked(),
    drawn: Drawn = Drawn(),
    config: ReportConfig = ReportConfig(),
    progress: Progress = SILENT,
) -> CircuitReport:
    """Is a circuit faithful, complete and minimal: put to every test on a task's pairs, beside random circuits of its size.

    Raises BadInput for a circuit of another model, a task at chance, and where the model without any part does as well.

    >>> circuit = ow.choose_edges(ow.eap(model, "greater-than", n=2), 30, "optimal")
    >>> report = ow.circuit_report(model, circuit, "greater-than", n=2, random=2, subsets=1, greedy=1, needed=1)
    >>> len(report.parts), len(report.random)
    (30, 2)
    """
    found, split = read_circuit(circuit), _split(model, task, n, looked, drawn)
    require_same_model(model, found, "A circuit")
    parts, kept = circuit_parts(model, found, split.test, split.reference, looked)
    about = {"method": found.method, "task": split.test.task, "convention": {"found by": found.convention}}
    report = report_on(parts, kept, config, seed=drawn.seed, progress=progress, **about)
    elsewhere = by_template(split.test, report)
    if split.unseen is not None:
        other, same = circuit_parts(model, found, split.unseen, split.reference, looked)
        elsewhere += _unseen(other, same, split.unseen)
    return came_from(replace(report, elsewhere=elsewhere), model)


def _split(model: "TransformerBridge", task: TaskName, n: int, looked: Looked, drawn: Drawn) -> Split:
    return split_pairs(model, task, looked.skip, n, tuple(looked.unseen), drawn, looked.at_chance, looked.ablation)


def circuit_parts(
    model: "TransformerBridge", circuit: ComponentCircuit | NodeCircuit, pairs: Pairs, reference: Pairs, looked: Looked
) -> tuple[Parts, Kept]:
    """The parts that a circuit is made of, and which are its own. BadInput for those of another model."""
    if isinstance(circuit, ComponentCircuit):
        parts: Parts = EdgeParts(model, pairs, looked.ablation, reference, apart=circuit.layout.apart)
        if parts.layout != circuit.layout:  # type: ignore[attr-defined]
            raise BadInput(
                f"The circuit has edges of another model: {len(circuit.layout.senders)} senders and "
                f"{len(circuit.layout.receivers)} receivers, and this model has others. Find it anew."
            )
        return parts, circuit.kept[circuit.layout.edges]
    parts = NodeParts(
        model, pairs, circuit.kind, looked.ablation, dictionaries=list(looked.dictionaries), reference=reference
    )
    return parts, kept_named(parts.names, circuit.names, circuit.kind)


def by_template(pairs: Pairs, report: CircuitReport) -> list[dict[str, Any]]:
    """Faithfulness of the pairs of each template, where there are several."""
    names = np.array([one.template for one in pairs.examples])
    if len(set(names)) < 2:
        return []
    return [
        _elsewhere(name, *(value[names == name] for value in (report.values, report.whole, report.nothing)))
        for name in sorted(set(names))
    ]


def _unseen(parts: Parts, kept: Kept, pairs: Pairs) -> list[dict[str, Any]]:
    values, whole, nothing = parts.measured(np.stack([kept, parts.whole, parts.nothing]), lambda amount=1: None)
    names = np.array([one.template for one in pairs.examples])
    return [
        _elsewhere(f"{name} (unseen)", values[names == name], whole[names == name], nothing[names == name])
        for name in sorted(set(names))
    ]


def _elsewhere(name: str, values: np.ndarray, whole: np.ndarray, nothing: np.ndarray) -> dict[str, Any]:
    gap = float(whole.mean() - nothing.mean())
    f = (
        float(faithfulness(np.asarray(values.mean()), float(whole.mean()), float(nothing.mean())))
        if abs(gap) > 1e-6
        else None
    )
    return {
        "template": name,
        "pairs": len(values),
        "faithfulness": f,
        "model": float(whole.mean()),
        "no part": float(nothing.mean()),
    }


@takes_fields("looked", Looked)
@takes_fields("drawn", Drawn)
@takes_fields("config", ReportConfig)
def plan_circuit_report(
    model: "TransformerBridge",
    circuit: CircuitName,
    task: TaskName = "ioi",
    *,
    n: int = 32,
    looked: Looked = Looked(),
    drawn: Drawn = Drawn(),
    config: ReportConfig = ReportConfig(),
) -> FaithfulnessPlan:
    """What `circuit_report` takes."""
    found, split = read_circuit(circuit), _split(model, task, n, looked, drawn)
    plain = replace(looked, ablation="resample")
    return plan_runs(
        [split.test],
        circuits_run(config, len(found)),
        lambda pairs: circuit_parts(model, found, pairs, pairs, plain)[0],
        looked.ablation,
    )


def circuits_run(config: ReportConfig, size: int) -> int:
    """How many circuits a report runs at most."""
    from circuits.faithfulness.completeness import CANDIDATES

    sets = 1 + config.subsets
    greedy = 2 * CANDIDATES * min(config.greedy, size)
    return 4 + config.random + 2 * sets + greedy + 2 * sets * min(config.needed, size)
