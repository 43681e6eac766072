"""What is read before attention heads when it is read behind them: a reader pulled back through one head, or a path of them.

A head moves W_V W_O x[key] to the query, times its pattern; the pattern is the prompt's affair, so its weights alone say in which
direction the source is read: W_V W_O r, norms' weights folded in (Elhage et al. 2021, "A Mathematical Framework").
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from circuits.replacement.points import attention_reads, attention_writes
from circuits.weights.units import folded, norm_of
from probe.errors import BadInput
from probe.model.anatomy import readable
from probe.model.unit_names import require_unit, unit_name
from probe.model.writes import heads_write, wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def attention_span(model: "TransformerBridge", layer: int) -> tuple[int, int]:
    """The points where a layer's attention reads and writes."""
    return attention_reads(layer), attention_writes(layer, bool(model.cfg.parallel_attn_mlp))


def pull_back(
    model: "TransformerBridge", rows: Float[Tensor, "row d_model"], layer: int, head: int
) -> Float[Tensor, "row d_model"]:
    """What is read of the stream at the source token when `rows` read what one head writes: N W_V W_O P, transposed."""
    (W_O, _), W_V = heads_write(model, layer), readable(model.blocks[layer].attn, "W_V")
    if W_V is None or W_V.ndim != 3:
        raise BadInput(
            f"Layer {layer}'s attention has no W_V of its own for each head, so no path leads through its heads."
        )
    require_unit("head", layer, head, model.cfg.n_layers, W_O.shape[0])
    value = W_V[head // (W_O.shape[0] // W_V.shape[0])]  # grouped queries: several heads share one value matrix
    back = folded(norm_of(model, "ln1_post", layer), rows) @ wide(W_O[head]).to(rows).T
    return folded(norm_of(model, "ln1", layer), back @ wide(value).to(rows).T)


def pull_back_along(
    model: "TransformerBridge", rows: Float[Tensor, "row d_model"], path: Sequence[tuple[int, int]], point: int
) -> tuple[Float[Tensor, "row d_model"], int]:
    """`pull_back` through a path of heads (layer, head), the head nearest to the source first; and the point reached.

    point: where `rows` read. BadInput where a head writes only after that, or the heads are not in order.
    """
    for layer, head in reversed(path):
        if not 0 <= layer < model.cfg.n_layers:
            require_unit("head", layer, head, model.cfg.n_layers, int(model.cfg.n_heads or 0))
        reads, writes = attention_span(model, layer)
        if writes > point:
            raise BadInput(
                f"{unit_name('head', layer, head)} writes after what follows it reads; give the head nearest to the source first."
            )
        rows, point = pull_back(model, rows, layer, head), reads
    return rows, point
