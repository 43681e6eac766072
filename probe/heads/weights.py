"""What a head's weights alone say about tokens: OV (what it writes for a token it looks at) and QK (which keys a query likes).

Both read the token's embedding as if it stood at the head's layer, through the norm before attention, biases included:

    OV(s) = norm(e_s) W_V W_O  through the final norm's weight and W_U, minus its mean      (divisors behind the head are 1)
    QK(q, k) = scale * query(e_q) . key(e_k)                                                (both at the same position)

At one and the same position a rotary rotation turns query and key alike and leaves their product unchanged, so this is also the
score without rotation. Query-key norms (Qwen 3, Gemma 3, OLMo 2) are applied, learned positions are not added. Heads that share
keys and values (grouped queries) read those of their group. (Elhage et al. 2021, "A Mathematical Framework for Transformer
Circuits"; its copying score is the sum of the eigenvalues of OV over vocabulary tokens, over the sum of their sizes.)
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.lens.direct import parts_of
from probe.model.anatomy import readable, spot
from probe.model.sites import Site, hook_name, resid_pre
from probe.model.unit_names import require_unit
from probe.model.writes import heads_write, unembedding, wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

CONVENTION = {
    "token": "its embedding, as if it stood at the head's layer; no learned position",
    "qk": "at equal positions, which is without rotation; after any soft-cap of scores",
    "ov": "attended to alone; norm divisors behind the head are 1; logits minus their mean",
    "copying": "sum over sum of sizes of the eigenvalues of OV from token to token, norms without divisors",
}
CHUNK = 8192


def check_head(model: "TransformerBridge", layer: int, head: int) -> None:
    """BadInput for a head the model lacks, and for attention without matrices of its own."""
    n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
    require_unit("head", layer, head, n_layers, int(n_heads or 0))
    attn = getattr(model.blocks[layer], "attn", None)
    if attn is None:
        raise BadInput(f"Layer {layer} has no attention, so no heads.")
    spot(Site("z", layer), model)
    for name in ("W_Q", "W_K", "W_V", "W_O"):
        if getattr(readable(attn, name), "ndim", 0) != 3:
            raise BadInput(f"Layer {layer}'s attention has no {name} of its own for each head, so it cannot be read.")


def group(model: "TransformerBridge", layer: int) -> int:
    """Heads that share one key-value head."""
    attn = model.blocks[layer].attn
    return len(attn.W_Q) // len(attn.W_V)


@torch.no_grad()
def embedding_scale(model: "TransformerBridge") -> float:
    """What the model multiplies token embeddings with (Gemma: the root of d_model), measured; BadInput if it does more."""
    ids = torch.arange(min(4, model.cfg.d_vocab), device=model.W_E.device)[None]
    sites = [resid_pre(0), *([Site("pos_embed")] if hook_name(Site("pos_embed"), model) else [])]
    found = capture(model, ids, sites)
    stream = wide(found[resid_pre(0).name][0])
    if len(sites) > 1:
        stream = stream - wide(found[Site("pos_embed").name][0])
    plain = wide(model.W_E)[ids[0]]
    scale = float((stream * plain).sum() / (plain * plain).sum())
    if not float((stream - scale * plain).abs().max()) <= 1e-2 * float(stream.abs().max()):
        raise BadInput(
            "This model does more to its token embeddings than to scale them, so heads cannot read them alone."
        )
    return scale


def _module(norm: Any, x: Tensor) -> Tensor:
    """A norm applied whole, by the model's own module, in its own precision."""
    inner = norm.original_component
    weight = next(iter(inner.parameters()), None)
    return wide(inner(x if weight is None else x.to(weight.dtype)))


def attention_input(model: "TransformerBridge", layer: int, x: Float[Tensor, "row d_model"]) -> Tensor:
    """What attention reads of a stream x."""
    norm = getattr(model.blocks[layer], "ln1", None)
    return x if norm is None else _module(norm, x)


def projected(
    model: "TransformerBridge", layer: int, head: int, side: str, x: Float[Tensor, "row d_model"]
) -> Float[Tensor, "row d_head"]:
    """Query, key or value (`side` Q, K or V) of a head for what attention reads, before any rotation."""
    attn = model.blocks[layer].attn
    W, b = wide(getattr(attn, f"W_{side}")), getattr(attn, f"b_{side}")
    index = head if side == "Q" else head // group(model, layer)
    norm = getattr(attn, f"{side.lower()}_norm", None) if side != "V" else None
    norm = norm if norm is not None and getattr(norm, "original_component", None) is not None else None
    found = einsum(x, W, "row d_model, head d_model d_head -> row head d_head")
    found = found if b is None else found + wide(b).reshape(found.shape[1:])
    return (found if norm is None else _head_norm(norm, found))[:, index]


def _head_norm(norm: Any, x: Float[Tensor, "row head d_head"]) -> Float[Tensor, "row head d_head"]:
    """A norm of queries or keys: the same for each head (Qwen 3), its own (Cohere), or over all heads at once (OLMo)."""
    inner = norm.original_component
    if hasattr(inner, "norms"):
        return torch.stack([wide(one(x[:, h].to(one.weight.dtype))) for h, one in enumerate(inner.norms)], 1)
    weight = next(iter(inner.parameters()), None)
    whole = weight is not None and weight.ndim == 1 and weight.numel() > x.shape[-1]
    return _module(norm, x.flatten(1)).view_as(x) if whole else _module(norm, x)


def score_scale(model: "TransformerBridge", layer: int) -> float:
    """What scores are multiplied with before the softmax."""
    attn = model.blocks[layer].attn
    inner = attn.original_component
    if type(inner).__name__ == "GPTNeoSelfAttention":
        return 1.0  # the only one that divides by nothing, and says so nowhere
    plain = (
        float(inner.scaling)
        if hasattr(inner, "scaling")
        else 1 / float(getattr(inner, "scale", attn.W_Q.shape[-1] ** 0.5))
    )
    return plain * rotation_scale(model) ** 2


def rotation_scale(model: "TransformerBridge") -> float:
    """What rotated queries and keys are multiplied with beside being turned (YaRN), or 1."""
    found = {float(m.attention_scaling) for m in model.original_model.modules() if hasattr(m, "attention_scaling")}
    return found.pop() if len(found) == 1 else 1.0


def score_cap(model: "TransformerBridge", layer: int) -> float | None:
    """The soft-cap of scores (Gemma 2), or None."""
    cap = getattr(model.blocks[layer].attn.original_component, "attn_logit_softcapping", None)
    cap = float(cap) if cap else float(getattr(model.cfg, "attn_scores_soft_cap", -1.0) or -1.0)
    return cap if cap > 0 else None


def embedded(model: "TransformerBridge", scale: float) -> Iterator[Float[Tensor, "row d_model"]]:
    """The scaled embeddings of the whole vocabulary, some thousands at a time."""
    for part in model.W_E.split(CHUNK):
        yield scale * wide(part)


@torch.no_grad()
def qk_scores(model: "TransformerBridge", layer: int, head: int, queries: list[int]) -> Float[Tensor, "query d_vocab"]:
    """Scores of query tokens with every key token, at equal positions."""
    check_head(model, layer, head)
    scale = embedding_scale(model)
    q = projected(model, layer, head, "Q", attention_input(model, layer, scale * wide(model.W_E[queries])))
    parts = [q @ projected(model, layer, head, "K", attention_input(model, layer, x)).T for x in embedded(model, scale)]
    scores, cap = score_scale(model, layer) * torch.cat(parts, 1), score_cap(model, layer)
    return scores if cap is None else cap * torch.tanh(scores / cap)


@torch.no_grad()
def ov_writes(model: "TransformerBridge", layer: int, head: int, tokens: list[int]) -> Float[Tensor, "token d_model"]:
    """What the head writes when it attends to one of these tokens alone."""
    check_head(model, layer, head)
    x = attention_input(model, layer, embedding_scale(model) * wide(model.W_E[tokens]))
    return projected(model, layer, head, "V", x) @ heads_write(model, layer)[0][head]


@torch.no_grad()
def logits_of(
    model: "TransformerBridge", layer: int, writes: Float[Tensor, "row d_model"]
) -> Float[Tensor, "row d_vocab"]:
    """A layer's writes as demeaned logits, through any post-norm's and the final norm's weight; divisors are left out."""
    W_U = unembedding(model)[0].to(writes)
    logits = _behind(model, layer, writes) @ W_U
    return logits - logits.mean(-1, keepdim=True)


def _behind(
    model: "TransformerBridge", layer: int, writes: Float[Tensor, "*row d_model"]
) -> Float[Tensor, "*row d_model"]:
    """Writes of a layer's attention through the weights of the norms that follow: any post-norm, and the final one."""
    for norm in (parts_of(model.blocks[layer], "ln1_post", writes), parts_of(model, "ln_final", writes)):
        writes = writes if norm is None else norm.scaled(writes)
    return writes


def _in(model: "TransformerBridge", layer: int) -> Float[Tensor, "kv_head d_model d_head"]:
    """W_V of all heads, before the weight of the norm that precedes."""
    W_V = wide(model.blocks[layer].attn.W_V)
    parts = parts_of(model.blocks[layer], "ln1", W_V)
    if parts is None:
        return W_V
    W = parts.weight[:, None] * W_V
    return W - W.mean(1, keepdim=True) if parts.centred else W


@torch.no_grad()
def copying_scores(model: "TransformerBridge") -> Float[Tensor, "layer head"]:
    """From -1 to 1 for each head: near 1, attending to a token raises that token's own logit, whatever the token.

    The eigenvalues of the (d_vocab, d_vocab) matrix that are not 0 are those of a (d_head, d_head) one.

    >>> ow.copying_scores(model).shape  # layer, head; near 1 a head copies
    torch.Size([4, 4])
    """
    W_U, _ = unembedding(model)
    middle = (W_U - W_U.mean(1, keepdim=True)) @ wide(model.W_E)
    found = []
    for layer in range(model.cfg.n_layers):
        check_head(model, layer, 0)
        value = _in(model, layer).repeat_interleave(group(model, layer), 0)
        small = _behind(model, layer, heads_write(model, layer)[0]) @ middle @ value
        roots = torch.linalg.eigvals(small.double())
        found.append(roots.real.sum(-1) / roots.abs().sum(-1).clamp_min(1e-30))
    return torch.stack(found)


@torch.no_grad()
def ov_directions(
    model: "TransformerBridge", layer: int, head: int, k: int = 3
) -> tuple[Float[Tensor, " direction"], Float[Tensor, "direction d_vocab"], Float[Tensor, "direction d_vocab"]]:
    """The strongest directions of the head's token-to-token map: shares of its squared size, tokens in, tokens out.

    Singular vectors of the (d_vocab, d_vocab) matrix, whose rank is at most d_head, found from two thin factors. Each embedding
    passes the norm before attention whole (its divisor too), biases left out.
    """
    check_head(model, layer, head)
    scale, norm = embedding_scale(model), parts_of(model.blocks[layer], "ln1", wide(model.W_U))
    shift = 0 if norm is None else norm.bias
    W_V, W_U = wide(model.blocks[layer].attn.W_V[head // group(model, layer)]), unembedding(model)[0]
    reads = torch.cat([(attention_input(model, layer, x) - shift) @ W_V for x in embedded(model, scale)])
    logits = _behind(model, layer, heads_write(model, layer)[0][head]) @ W_U
    (Q_in, R_in), (Q_out, R_out) = torch.linalg.qr(reads), torch.linalg.qr((logits - logits.mean(-1, keepdim=True)).T)
    U, S, Vh = torch.linalg.svd(R_in @ R_out.T)
    k = min(k, len(S))
    into, out = (Q_in @ U[:, :k]).T, (Q_out @ Vh[:k].T).T
    turn = torch.sign(into.gather(1, into.abs().argmax(1, keepdim=True)))
    return (S**2 / (S**2).sum())[:k], into * turn, out * turn
