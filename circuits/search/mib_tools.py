"""Circuit files of EAP-IG and MIB's circuit track, by hand: one written of a stored circuit, one read and stored. The file
itself: `circuits.search.mib_file`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from circuits.edge_attribution.scores import EdgeScores
from circuits.search.circuit import ComponentCircuit
from circuits.search.mib_file import read_mib, write_mib
from circuits.search.stored import CircuitName, ScoresName, read_circuit, read_edge_scores
from probe.artifacts.folder import place
from probe.artifacts.names import as_path, usable_name
from probe.errors import BadInput
from probe.methods import Doc, FileToRead, FileToWrite, tool
from probe.show.opening import came_from
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, kw_only=True)
class MibFile(Record):
    """The file that was written, how many edges it lists, and how many are in the circuit."""

    file: Path
    edges: int
    kept: int

    def rows(self) -> list[dict[str, Any]]:
        """What was written, in one row."""
        return [{"file": str(self.file), "edges": self.edges, "kept": self.kept}]


@tool("export-mib", group="circuits")
def export_mib(
    circuit: Annotated[CircuitName, Doc("A stored circuit of edges.")],
    *,
    to: Annotated[FileToWrite, Doc("File to write, read by EAP-IG and MIB's circuit track.")],
    scores: Annotated[ScoresName | None, Doc("Stored scores of its edges; by default those that chose it.")] = None,
    d_model: Annotated[
        int | None, Doc("Width of the model, which their file tells; by default as the model is known here.", least=1)
    ] = None,
) -> MibFile:
    """Write a circuit as EAP-IG and MIB's circuit track read it.

    Raises BadInput for a circuit of nodes or of no edge, and Unavailable where it cannot be written.

    >>> circuit = ow.choose_edges(ow.eap(model, "greater-than", n=2), 20)
    >>> ow.export_mib(circuit, to=folder / "theirs.json").edges
    479
    """
    found = read_circuit(circuit)
    if not isinstance(found, ComponentCircuit):
        raise BadInput("Their files hold edges, and this is a circuit of nodes. Give one of edges.")
    if not len(found):
        raise BadInput("This circuit has no edges, so there is nothing to write. Give one that keeps some.")
    file = write_mib(found, to, None if scores is None else read_edge_scores(scores), d_model)
    shared = [_heads(found, int(v)) for _, v in np.argwhere(found.layout.edges)]
    return MibFile(file=file, edges=sum(shared), kept=len(found))


def _heads(circuit: ComponentCircuit, receiver: int) -> int:
    """How often their file names an edge into this receiver: once for each head that shares it."""
    name = circuit.layout.receivers[receiver]
    return int(circuit.layout.components[:, receiver].sum()) if "kv" in name else 1


def mib_name(file: str) -> str:
    """What is stored of a file if nobody says so: as the file."""
    return usable_name(Path(file).name.removesuffix(".json"))


@tool("import-mib", group="circuits", leaves="result", named="mib_name")
def import_mib(
    model: "TransformerBridge",
    file: Annotated[FileToRead, Doc("A circuit file of EAP-IG or MIB's circuit track.")],
    folder: Path | str | None = None,
    *,
    scores: Annotated[
        bool, Doc("Whether its scores are stored, which choose circuits of any size, or its circuit.")
    ] = False,
) -> ComponentCircuit | EdgeScores:
    """Store a circuit that another program found on this model, or the scores that its file holds.

    folder: where it goes; by default where results are stored, by the file's name. Raises BadInput for a file of another
    model, for one without a circuit, and for one without scores where these are asked for.

    >>> circuit = ow.choose_edges(ow.eap(model, "greater-than", n=2), 20)
    >>> file = ow.export_mib(circuit, to=folder / "again.json").file
    >>> ow.import_mib(model, file, folder / "again").names == circuit.names
    True
    """
    circuit, score = read_mib(model, file)
    if not scores and not len(circuit):
        raise BadInput(
            f"{file} has no edge in its circuit. Store its scores (`scores`), which choose circuits of any size."
        )
    found: ComponentCircuit | EdgeScores = circuit
    if scores:
        if circuit.score is None:
            raise BadInput(f"{file} has no scores: every edge's is null. Store its circuit, without `scores`.")
        ends = np.full(1, np.nan)
        found = EdgeScores(
            method="read from a file",
            task=circuit.task,
            layout=circuit.layout,
            by_pair=score[circuit.layout.edges][None].astype(np.float32),
            clean=ends,
            corrupted=ends,
            examples=[],
        )
    came_from(found, model)
    found.save(place("result", mib_name(str(file))) if folder is None else as_path(folder))
    return found
