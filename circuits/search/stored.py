"""Scores and circuits as methods are asked of them: one in memory, or a stored result by its name or folder; of this model or of
another, which is refused."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from circuits.edge_attribution.scores import EdgeScores
from circuits.search.circuit import ComponentCircuit
from circuits.search.node_circuit import NodeCircuit
from probe.errors import BadInput, brief
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    ScoresName = EdgeScores | Record | str | Path
    CircuitName = ComponentCircuit | NodeCircuit | str | Path
else:
    ScoresName = CircuitName = Any
"""Scores, or a circuit; or the name or folder of stored ones."""
_SCORES, _CIRCUITS = ("EdgeScores", "NodeScores"), ("ComponentCircuit", "NodeCircuit")


def read_scores(scores: ScoresName) -> Any:
    """Scores of edges or nodes. BadInput for what are none."""
    return _read(scores, _SCORES, "Scores are what eap, eap-ig or atp found")


def read_edge_scores(scores: ScoresName) -> EdgeScores:
    """The same, of edges alone: heads and neurons do not hang together."""
    found = read_scores(scores)
    if not isinstance(found, EdgeScores):
        raise BadInput(
            f"These are scores of nodes, {brief(found.summary())} Scores of edges were wanted: those of eap or eap-ig."
        )
    return found


def read_circuit(circuit: CircuitName) -> ComponentCircuit | NodeCircuit:
    """A circuit of edges or nodes. BadInput for what is none."""
    return _read(circuit, _CIRCUITS, "A circuit is what acdc, greedy or choose-edges found")


def require_same_model(model: "TransformerBridge", record: Record, what: str) -> None:
    """BadInput where a record was made of another model, as far as it or its file says."""
    from probe.artifacts.records import stamp_known
    from probe.model.fingerprint import stamp

    made, now = stamp_known(record), stamp(model)
    if made is not None and made.weights != now.weights:
        raise BadInput(
            f"{what} of {made.name} (weights {made.weights[:12]}) came, and the model is {now.name} ({now.weights[:12]}). "
            f"Load {made.name}, or make them again of this one."
        )


def _read(given: Any, wanted: tuple[str, ...], said: str) -> Any:
    record = given
    if isinstance(given, str | Path):
        from probe.artifacts.records import load_record

        record = load_record(given)
    if type(record).__name__ not in wanted:
        raise BadInput(f"{said}, or the name of a stored one; {brief(record)} came.")
    return record
