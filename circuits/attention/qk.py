"""QK attribution: why a head looks where it looks. One attention score split exactly over pairs of sources.

With the layers below frozen, what attention reads is a sum over everything written before: x = sum_s x_s. The score before
the softmax is bilinear in query and key, so with Q_s what source s adds to the query and K_t what source t adds to the key,

    S = sum over pairs (s, t) of scale Q_s . K_t          a_Q[s] = scale Q_s . sum_t K_t,    a_K[t] = scale sum_s Q_s . K_t

Biases (of queries, keys and the norm before them) are sources too, so nothing is left over. Q and K have as many columns as
the head is wide: they are found by carrying these few readers down through the frozen model, once for all sources, not by
carrying every source up; memory is 2 d_head x tokens x d_model numbers for the readers, and 2 d_head for each source. The
table of all pairs is never made: the strongest are searched in blocks, and a block whose norms cannot beat the pairs
already found is skipped (|Q_s . K_t| <= |Q_s| |K_t|).

Scores matter only up to what all keys of a query share. With `against`, what is split is the score of one key minus that of
another, or minus the average of all others, each weighed by the attention it is paid. A soft-cap of scores is a curve applied
afterwards; the split is of the score before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from circuits.attention.flow import flow_of
from circuits.attention.pairs import top_pairs
from circuits.attention.qk_record import QKAttribution
from circuits.attention.qk_sources import Score, ScoreSources, gather
from circuits.attention.queries import FrozenQueries, capped, freeze_queries
from circuits.attribution.refreeze import refreeze
from circuits.graph.graph import KINDS, CircuitGraph
from probe.errors import BadInput, OpenworkError
from probe.interventions.places import Place
from probe.model.unit_names import UnitName, head_of, require_unit, unit_name
from probe.plain_values import Settings, takes_fields
from probe.show.opening import came_from

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.replacement.frozen import FrozenModel


@dataclass(frozen=True, eq=False)
class QKConfig(Settings):
    """How a score is split."""

    against: int | str | None = None
    'Another position whose score is taken off, or "others".'
    units: int = 256
    "How many neurons to take out of the graph's `rest` nodes, those that matter most to this score."
    k: int = 100
    "Pairs kept."
    memory: int = 4 << 30
    "Bytes the readers may take."
    frozen: "FrozenModel | None" = None
    "The graph's prompt frozen already."
    queries: FrozenQueries | None = None
    "The layer's queries and keys frozen already."


@takes_fields("config", QKConfig)
def qk_attribution(
    model: "TransformerBridge",
    graph: CircuitGraph,
    layer: int | str | UnitName | Place,
    head: int | None = None,
    query: int = -1,
    key: int | None = None,
    *,
    dictionaries: Sequence[Any] = (),
    config: QKConfig = QKConfig(),
) -> QKAttribution:
    """Split the score that a head's query gives a key over pairs of the graph's sources.

    layer: with the head's number, or the head's name (`L5H3`) in place of both. query: by default the last position. key: by
    default the one the query looks at most. config: its fields are keywords too. Raises BadInput for heads, positions and graphs
    that do not fit, OpenworkError where the sum is not the score.

    >>> qk = ow.qk_attribution(model, graph, "L1H0", query=-1)
    >>> qk.gap < 1e-4  # the parts sum to the score
    True
    """
    layer, head = head_of(layer, head)
    frozen = config.frozen if config.frozen is not None else refreeze(model, graph, dictionaries)
    require_unit("head", layer, head, graph.n_layers, frozen.layers[0].attn.pattern.shape[0])
    _check_memory(frozen, config.memory)
    query, against = _position(graph, query), config.against
    against = _position(graph, against) if isinstance(against, int) else against
    queries = config.queries
    if queries is None:
        tokens = torch.tensor([graph.token_ids], device=model.W_E.device)
        queries = freeze_queries(model, tokens, layer, frozen.layers[layer].ln1)
    key = int(queries.pattern[head, query].argmax()) if key is None else _position(graph, key)
    for one in (key, against):
        if isinstance(one, int) and not queries.visible(head, query, one):
            raise BadInput(
                f"{unit_name('head', layer, head)}: a query at position {query} cannot look at position {one}."
            )
    with torch.no_grad():
        which = Score(head, query, key, _less(queries, head, query, key, against))
        made = gather(flow_of(frozen, graph), graph, queries, which, config.units)
        return came_from(_record(graph, queries, made, which, against, config.k), graph)


def _check_memory(held: "FrozenModel", memory: int) -> None:
    """Eight times the readers: themselves, and what one layer's attention and MLP make of them on the way."""
    readers = 2 * held.layers[0].attn.W_O.shape[1]
    needed = 8 * readers * held.embed.numel() * held.embed.element_size()
    if needed > memory:
        raise BadInput(
            f"Splitting a score of a prompt of {held.length} tokens takes {needed / 1e9:.1f} GB, more than the "
            f"{memory / 1e9:.1f} GB allowed. Shorten the prompt, or raise memory."
        )


def _position(graph: CircuitGraph, pos: int) -> int:
    """A position counted from the start; negative ones count from the end."""
    n = len(graph.token_ids)
    if not -n <= pos < n:
        raise BadInput(f"There is no position {pos}; the prompt has tokens 0 to {n - 1}.")
    return pos % n


def _less(queries: FrozenQueries, head: int, query: int, key: int, against: int | str | None) -> dict[int, float]:
    """The scores to take off, with their shares."""
    if against is None or isinstance(against, int):
        return {} if against is None else {against: 1.0}
    if against != "others":
        raise BadInput(f"A score is split against another position or 'others', not {against!r}.")
    paid = queries.pattern[head, query].double().clone()
    paid[key] = 0
    if not float(paid.sum()) > 0:
        raise BadInput(
            f"{unit_name('head', queries.layer, head)} looks at no other position than {key} from {query}; leave --against out."
        )
    return {int(p): float(paid[p] / paid.sum()) for p in paid.nonzero()[:, 0]}


def _record(
    graph: CircuitGraph,
    queries: FrozenQueries,
    made: ScoreSources,
    which: Score,
    against: int | str | None,
    k: int,
) -> QKAttribution:
    Q, K = made.query * queries.scale, made.key
    a_query, a_key = Q @ K.sum(0), K @ Q.sum(0)
    score, total = made.score * queries.scale, float(a_query.sum())
    size = float(a_query.abs().sum() + a_key.abs().sum()) / 2
    gap = abs(total - score) / max(size, abs(score), 1e-30)
    if not gap <= (
        1e-3 if Q.dtype == torch.float32 else 1e-5
    ):  # many models take norms and softmax in float32 whatever their weights
        raise OpenworkError(
            f"The sources do not sum to the score of {unit_name('head', queries.layer, which.head)} (relative gap {gap:.1e}), "
            "so it was not split."
        )
    most = [torch.argsort(-a.abs(), stable=True)[:12].cpu() for a in (a_query, a_key)]
    return QKAttribution(
        layer=queries.layer,
        head=which.head,
        query=which.query,
        key=which.key,
        against=against,
        tokens=graph.tokens,
        score=score,
        probability=float(queries.pattern[which.head, which.query, which.key]),
        names=made.names,
        kinds=[KINDS[i] for i in made.kinds],
        nodes=np.array(made.nodes),
        a_query=a_query.double().cpu().numpy(),
        a_key=a_key.double().cpu().numpy(),
        pairs=top_pairs(Q, K, k),
        shown_query=most[0].numpy(),
        shown_key=most[1].numpy(),
        block=(Q[most[0]] @ K[most[1]].T).double().cpu().numpy(),
        gap=gap,
        convention=_convention(queries, made, score, which.less),
    )


def _convention(queries: FrozenQueries, made: ScoreSources, score: float, less: dict[int, float]) -> dict[str, Any]:
    cap = queries.cap
    return {
        "score": "before the softmax" + ("" if cap is None else f" and before the soft-cap of {cap:g}"),
        "score_after_cap": None if cap is None or less else float(capped(torch.tensor(score), cap)),
        "less": less,
        "frozen": "attention patterns below, norm divisors (of queries and keys too), activation ratios",
        "sources": "everything written before this layer; the head's own biases are one source",
        "units_taken_out_of_rest": made.n_taken,
        "not_in_the_graph": made.missing,
        "rebuilt": dict(queries.check),
    }
