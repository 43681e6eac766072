"""What every method finds of a circuit that is known: each edge's score beside its effect, rankings, what removal leaves.

A score is judged by its size. AUROC is the chance that an edge of the circuit is ranked above one that is not, ties half. What
rounding leaves of a score of 0 (below a millionth of the largest) is a tie with 0: else a method that sees nothing of an edge
would rank it above others by chance.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from circuits.edge_attribution.attribute import eap, eap_ig
from circuits.edge_attribution.exact import exact_edges
from circuits.edge_attribution.runs import Divergence
from circuits.faithfulness.metrics import auroc
from circuits.ground_truth.cancelling import cancelling
from circuits.ground_truth.induction import induction
from circuits.ground_truth.known import Known
from circuits.ground_truth.linear import linear
from circuits.ground_truth.or_gate import or_gate
from circuits.ground_truth.saturated import saturated
from circuits.search.acdc import Order, SearchConfig, acdc
from probe.errors import BadInput, brief
from probe.methods import Doc, method
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted

ROUNDING = 1e-6
"""Of the largest score; what is below it cannot be told from 0 in float32."""
Wired = Literal["saturated", "induction", "induction-all", "or-gate", "cancelling", "linear"]
_MADE = {
    "saturated": saturated,
    "induction": induction,
    "induction-all": lambda: induction("all"),
    "or-gate": or_gate,
    "cancelling": cancelling,
    "linear": linear,
}


@cache
def known_circuit(name: Wired = "induction") -> Known:
    """A model wired by hand with its pairs and the edges that are its circuit; the same one whenever it is asked for.

    >>> known = ow.known_circuit("saturated")
    >>> scores = ow.eap_ig(known.model, known.pairs, steps=50)
    >>> round(scores.of("input->a0.h0<q>"), 3)
    -1.0
    """
    if name not in _MADE:
        raise BadInput(f"No circuit {brief(name)} is wired here; there are {', '.join(_MADE)}.")
    return _MADE[name]()


@dataclass(frozen=True, kw_only=True)
class RecoveredCircuit(Record):
    """edges: a row an edge to which a method or the construction gives an effect. ranked: of each method, AUROC. removed: what
    ACDC keeps, by what it judges by and in which order."""

    circuit: str
    about: str
    points: int
    edges: list[dict[str, Any]]
    ranked: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    convention: dict[str, Any] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """One row an edge."""
        return list(self.edges)

    def panels(self) -> list[Panel]:
        """What it is, its edges, how they are ranked, what removal leaves."""
        return [
            Sentence(self.about),
            Rows("Edges, their effect by construction, and what each method says", self.edges),
            Rows("How each method ranks the edges of the circuit", self.ranked),
            Rows("What ACDC keeps", self.removed),
            Sentence(self.summary()),
        ]

    def summary(self) -> str:
        """Which methods rank it first."""
        best = [row["method"] for row in self.ranked if row["AUROC"] == 1]
        true = sum(row["in the circuit"] for row in self.edges)
        said = f"ranked above all others by {', '.join(best)}" if best else "ranked above all others by no method"
        exact = sum(row["as known"] for row in self.removed)
        return (
            f"{self.circuit}: {counted(true, 'edge')} {said}; ACDC returns exactly these in {exact} of "
            f"{len(self.removed)} searches."
        )


@method("ground-truth", group="circuits")
def recover_known(
    circuit: Annotated[Wired, Doc("Which model.")] = "induction",
    *,
    points: Annotated[int, Doc("Points of the path of EAP-IG.", least=1, most=1000)] = 50,
    threshold: Annotated[
        float, Doc("Of ACDC: how much worse one removal may make it, in nats of KL or in units of the metric.", least=0)
    ] = 0.01,
    progress: Progress = SILENT,
) -> RecoveredCircuit:
    """What each method finds of a circuit that is known because it was wired by hand.

    saturated: attention without a gradient. induction: two heads among distractors. or-gate: either of two heads is enough.
    cancelling: two heads undo each other. linear: sums and factors alone.

    >>> ow.recover_known("saturated").rows()[0]["edge"]
    'input->a0.h0<q>'
    """
    known = known_circuit(circuit)
    model, pairs = known.model, known.pairs
    found = {
        "exact": exact_edges(model, pairs, edges=None, progress=progress),
        "EAP": eap(model, pairs),
        f"EAP-IG ({points} points)": eap_ig(model, pairs, steps=points),
    }
    layout = found["exact"].layout
    true, wired = known.true(layout), known.by_construction(layout)
    scores = {"by construction": wired, **{name: one.score for name, one in found.items()}}
    shown = true | np.any([np.abs(score) > 1e-6 for score in scores.values()], axis=0)
    edges = [
        {
            "edge": layout.name(int(u), int(v)),
            "in the circuit": bool(true[i]),
            **{k: float(s[i]) for k, s in scores.items()},
        }
        for i, (u, v) in enumerate(np.argwhere(layout.edges))
        if shown[i]
    ]
    ranked = [{"method": name, "AUROC": auroc(_told(one.score), true)} for name, one in found.items()]
    record = RecoveredCircuit(
        circuit=circuit,
        about=known.about,
        points=points,
        edges=edges,
        ranked=ranked,
        removed=_removed(known, threshold),
        convention={
            **found["exact"].convention,
            "ranked by": f"size of the score, below {ROUNDING:g} of the largest as 0",
            "threshold": threshold,
        },
    )
    return came_from(record, model)


def _told(score: Float[np.ndarray, " edge"]) -> Float[np.ndarray, " edge"]:
    """Sizes of scores, without what rounding leaves of 0."""
    large = np.abs(score)
    return np.where(large < ROUNDING * np.nanmax(large), 0.0, large)


def _removed(known: Known, threshold: float) -> list[dict[str, Any]]:
    """What ACDC keeps, however it is asked."""
    rows = []
    for divergence in get_args(Divergence):
        for order in get_args(Order):
            config = SearchConfig(threshold=threshold, divergence=divergence, order=order)
            kept = acdc(known.model, known.pairs, config=config)
            missed = [name for name in known.effects if name not in kept.names]
            extra = [name for name in kept.names if name not in known.effects]
            rows.append(
                {
                    "judged by": "KL" if divergence == "kl" else "metric",
                    "first tried": order,
                    "as known": not missed and not extra,
                    "missed": ", ".join(missed),
                    "too many": ", ".join(extra),
                }
            )
    return rows
