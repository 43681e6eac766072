"""What the model says about a graph's units, for grouping them: the vector each writes, and the tokens that vector promotes.

A unit's direction is what it adds to the residual stream on this prompt, sign included (a neuron that is negative here writes
against its output row); a cross-layer latent's is the sum over the layers it writes to. Its top tokens are those whose logits
this vector raises most through the final norm alone, held at the last position: the direct effect. Units of early layers act
through later ones, and what they promote directly may say little.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch

from circuits.attribution.vectors import Places
from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.graph_arguments import GraphName, own_dictionaries, read_graph
from circuits.replacement.freeze import freeze
from circuits.replacement.frozen import FrozenModel
from circuits.replacement.placement import place_dictionaries
from circuits.supernodes.groups import Supernodes
from circuits.supernodes.suggest import ShuffleSeed, Threshold, UnitsToGroup, compared_units, suggest_supernodes
from probe.errors import BadInput
from probe.methods import DictionaryName, Doc, method
from probe.progress import SILENT, Progress
from probe.show.opening import came_from

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def unit_evidence(
    model: "TransformerBridge",
    graph: CircuitGraph,
    nodes: Sequence[int | str],
    *,
    dictionaries: Sequence[Any] = (),
    k: int = 8,
) -> tuple[dict[int, np.ndarray], dict[int, list[str]]]:
    """`(directions, tops)` of units, as `suggest_supernodes` takes them: what each writes, and the k tokens that promotes.

    dictionaries: those the graph was traced with. Raises BadInput for a node that is no unit, or a model of another depth.

    >>> directions, tops = ow.unit_evidence(model, graph, ow.most_influential(4)(graph))
    >>> len(directions)
    4
    """
    from probe.text.tokens import display_tokens

    if model.cfg.n_layers != read_graph(graph).n_layers:
        raise BadInput(
            f"The graph has {graph.n_layers} layers and this model {model.cfg.n_layers}; give the graph's model."
        )
    wanted = [n for x in nodes for n in graph.find(x)]
    able = graph.nodes.where(*UNITS)
    wrong = [graph.name(n) for n in wanted if not able[n]]
    if wrong:
        raise BadInput(f"Only units (neurons, latents, heads, MLPs) write for themselves; {wrong[0]} is none.")
    tokens = torch.tensor([graph.token_ids], device=model.W_E.device)
    with torch.no_grad():
        frozen = freeze(model, tokens, place_dictionaries(model, dictionaries))
        places = Places(frozen, graph)
        vectors = [sum((w.vector for w in places.writes(n)), torch.zeros_like(frozen.embed[0])) for n in wanted]
        best = promoted(frozen, torch.stack(vectors)).topk(k).indices.tolist() if vectors else []
    directions = {n: v.double().cpu().numpy() for n, v in zip(wanted, vectors, strict=True)}
    return directions, {n: display_tokens(model, ids) for n, ids in zip(wanted, best, strict=True)}


@method("suggest-groups", group="circuits")
def suggest_groups(
    model: "TransformerBridge",
    graph: Annotated[GraphName, Doc("A stored graph.")],
    nodes: UnitsToGroup = None,
    *,
    threshold: Threshold = 0.5,
    seed: ShuffleSeed = 0,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("By default those the graph names.")] = (),
    progress: Progress = SILENT,
) -> Supernodes:
    """Groups of a graph's units that play one part: alike in the tokens they promote, what they write, and their neighbours.

    A group is weak where shuffled evidence makes one as good of its size. Raises BadInput for a node that is no unit.

    >>> groups = ow.suggest_groups(model, "small", "top:8")
    >>> len(groups.nodes)
    8
    """
    graph = read_graph(graph)
    units = compared_units(graph, nodes).tolist()
    with progress.stage("groups", total=2, unit="step") as step:
        given = own_dictionaries(model, graph, dictionaries)
        directions, tops = unit_evidence(model, graph, units, dictionaries=given)
        step(1)
        found = suggest_supernodes(graph, units, directions=directions, tops=tops, threshold=threshold, seed=seed)
        step(1)
    return came_from(found, graph)


def promoted(frozen: FrozenModel, vectors: torch.Tensor) -> torch.Tensor:
    """By how much each vector (a row) raises each logit against the mean logit, through the final norm at the last position."""
    if frozen.ln_final is not None:
        at_last = torch.zeros(len(vectors), frozen.length, vectors.shape[1], dtype=vectors.dtype, device=vectors.device)
        at_last[:, -1] = vectors
        vectors = frozen.ln_final.forward(at_last)[:, -1]
    logits = vectors @ frozen.W_U
    return logits - logits.mean(-1, keepdim=True)
