"""Choosing a circuit of nodes: by their scores, or by name.

top      the nodes of largest score, each by itself (`signed`: those that most help the right answer)
stable   the same, among nodes whose score has one sign in all of many bootstrap samples of the pairs

Heads, MLPs, neurons and latents hang on nothing, so there is nothing to grow and nothing dangles.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from jaxtyping import Float, Int

from circuits.edge_attribution.components import components
from circuits.search.circuit import ComponentCircuit, circuit_of, connected
from circuits.search.node_circuit import NodeCircuit, kept_named
from circuits.search.select import one_signed, require_sign
from circuits.search.stored import ScoresName, read_scores
from probe.artifacts.records import of_same_model
from probe.errors import BadInput
from probe.methods import DictionaryName, Doc, method
from probe.show.opening import came_from

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

NodeRule = Literal["top", "stable"]
Kind = Literal["edges", "components", "heads", "mlps", "neurons", "latents"]
KIND_OF = {"head": "heads", "mlp": "mlps", "neuron": "neurons", "latent": "latents"}


@method("node-circuit", group="circuits")
def node_circuit(
    scores: Annotated[ScoresName, Doc("Stored scores of nodes.")],
    size: Annotated[int, Doc("Nodes of the circuit.", least=1)],
    rule: Annotated[NodeRule, Doc("`top`: the best nodes; `stable`: of one sign in all samples of the pairs.")] = "top",
    *,
    signed: Annotated[
        bool, Doc("Whether a node counts by how it speaks for the right answer, or by its size.")
    ] = False,
    seed: Annotated[int, Doc("Of the samples of `stable`.", least=0)] = 0,
) -> NodeCircuit:
    """The circuit of so many heads, MLPs, neurons or latents by their scores: fewer where not as many are stable or measured.

    Raises BadInput for more nodes than have scores, and scores that say nothing.

    >>> ow.node_circuit(ow.atp(model, "greater-than", "heads", n=2), 3).summary()[:23]
    '3 of 16 heads (18.8 %),'
    """
    found = read_scores(scores)
    if not hasattr(found, "nodes"):
        raise BadInput(
            "These are scores of edges; choose-edges makes a circuit of them. Scores of nodes are those of atp."
        )
    names, by_pair, kind = scored_nodes(found)
    if size > len(names):
        raise BadInput(f"A circuit of {size:,} nodes was asked for; there are scores of {len(names):,}.")
    require_sign(found, signed)
    kept = np.zeros(len(names), bool)
    kept[node_order(by_pair, rule, signed, seed)[:size]] = True
    record = NodeCircuit(
        method=f"{found.method}, {rule}",
        task=found.task,
        kind=kind,
        nodes=names,
        kept=kept,
        score=by_pair.mean(0),
        convention={**found.convention, "rule": rule, "signed": signed, "nodes asked": size},
    )
    of_same_model(record, found)
    return record


def scored_nodes(scores: Any) -> tuple[list[str], Float[np.ndarray, "pair node"], str]:
    """Names and scores of the nodes that a circuit can have, and what they are: what dictionaries leave is none of them. BadInput
    for nodes at single positions, and for queries, keys and values."""
    nodes = scores.nodes
    if nodes.by_position:
        raise BadInput(
            "These are scores of nodes at single positions; make them with all positions together (by_position=False)."
        )
    families = np.array(nodes.families)[nodes.family]
    inside = np.flatnonzero(families != "rest")
    there = set(families[inside].tolist())
    kind = "components" if there == {"head", "mlp"} else KIND_OF.get(next(iter(there)), "") if len(there) == 1 else ""
    if not kind:
        raise BadInput(
            f"Circuits of nodes are of heads, MLPs, neurons or latents; these scores are of {', '.join(sorted(there))}."
        )
    return [nodes.name(int(i)) for i in inside], scores.by_pair[:, inside], kind


def node_order(
    by_pair: Float[np.ndarray, "pair node"], rule: str, signed: bool = False, seed: int = 0
) -> Int[np.ndarray, " some"]:
    """Nodes from the best on, by a rule. BadInput for a rule of edges, and scores that say nothing."""
    if rule not in ("top", "stable"):
        raise BadInput(f"Nodes hang on nothing, so none are chosen by '{rule}'. Choose top or stable.")
    score = by_pair.mean(0)
    if not score[np.isfinite(score)].any():
        raise BadInput(
            "Every score is 0 or missing, so no node is better than another. Make the scores of another metric."
        )
    worth = np.where(np.isfinite(score), -score if signed else np.abs(score), -np.inf)
    if rule == "stable":
        worth = np.where(one_signed(by_pair, seed), worth, -np.inf)
    return np.argsort(-worth, kind="stable")[: int(np.isfinite(worth).sum())]


@method("named-circuit", group="circuits")
def named_circuit(
    model: "TransformerBridge",
    names: Annotated[Sequence[str], Doc("Its edges, like `a0.h1->a1.h2<q>`, or its nodes, like `L5H3`.")],
    *,
    kind: Annotated[Kind, Doc("What they are.")] = "heads",
    task: Annotated[str | None, Doc("What it is a circuit of, in words.")] = None,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("Of latents, the dictionaries that they are of.")] = (),
) -> ComponentCircuit | NodeCircuit:
    """A circuit by the names of its parts: one that is published, say, to be tested or to hold scores against.

    Raises BadInput for a name that this model lacks.

    >>> ow.named_circuit(model, ["L1H0", "L2H3"]).names
    ['L1H0', 'L2H3']
    >>> len(ow.named_circuit(model, ["input->m0", "m0->logits"], kind="edges"))
    2
    """
    about = {"method": "hand", "task": task or "a task that is not named"}
    if kind == "edges":
        layout = components(model).layout
        found = circuit_of(layout, names, **about)
        if (lost := len(found) - int(connected(layout, found.kept).sum())) > 0:
            found.convention["dangling"] = lost
        return came_from(found, model)
    from circuits.node_attribution.nodes import groups_of, nodes_of

    nodes = nodes_of(groups_of(model, kind, dictionaries))
    every = [nodes.name(i) for i in range(len(nodes)) if nodes.families[nodes.family[i]] != "rest"]
    return came_from(NodeCircuit(kind=kind, nodes=every, kept=kept_named(every, list(names), kind), **about), model)
