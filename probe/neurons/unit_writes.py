"""What units write, as the residual stream gets it: neurons of an MLP, and latents of a dictionary wherever it writes.

A unit's write is its activation times one direction. Behind a post-norm the direction takes that norm's weight and the activation
is divided by its divisor at that token (`reach`); a dictionary inside of attention or an MLP writes through W_O or W_out. Through
the final norm's weight and W_U the direction says which tokens' logits it raises and lowers.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.model.anatomy import anatomy
from probe.model.norms import NormParts
from probe.model.sites import Site, parse_site
from probe.model.writes import heads_write, mlp_writes_through, norm_of, unembedding
from probe.text.targets import Asked
from probe.text.tokens import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class UnitStack:
    """The units of one MLP. writers: what a unit adds to the stream at `reach` 1, after any post-norm's weight; reach: the
    activation over the post-norm's divisor, which is the activation itself where there is none."""

    layer: int
    kind: str
    activation: Float[Tensor, "pos unit"]
    reach: Float[Tensor, "pos unit"]
    writers: Float[Tensor, "unit d_model"]
    dictionary: str = ""


def neuron_stack(model: "TransformerBridge", found: dict[str, Tensor], layer: int) -> UnitStack:
    """The neurons of one MLP, of which `found` holds `mlp_post` and any post-norm's divisor."""
    activation, (writers, _) = found[Site("mlp_post", layer).name][0], mlp_writes_through(model, layer)
    return _through_post(
        model, found, UnitStack(layer, "neuron", activation.detach().float(), activation, writers), "ln2_post"
    )


def latent_stack(
    model: "TransformerBridge", found: dict[str, Tensor], dictionary: Any, activation: Float[Tensor, "pos unit"]
) -> UnitStack:
    """The latents of one dictionary, as the stream gets what they write: through a post-norm from what an MLP or heads return,
    through W_O or W_out from heads or neurons, as they are where the dictionary writes to the stream itself."""
    site = parse_site(dictionary.site_out, model)
    layer, writers = site.layer or 0, dictionary.W_dec.detach().float()
    factors, norm = anatomy(model).factors, None
    if site.kind == "z":
        writers, norm = writers @ heads_write(model, layer)[0].float().flatten(0, 1), "ln1_post"
    elif site.kind == "mlp_post":
        writers, norm = writers @ mlp_writes_through(model, layer)[0].float(), "ln2_post"
    elif site.kind == "mlp_out":
        writers, norm = writers * factors.get(Site("mlp_write", layer), 1.0), "ln2_post"
    elif site.kind not in _IN_STREAM or writers.shape[1] != model.cfg.d_model:
        raise BadInput(
            f"What a dictionary of {site.short} writes reaches the stream only through what follows there, so its latents have "
            "no write of their own to be ordered by."
        )
    named = getattr(dictionary, "name", "") or ""
    stack = UnitStack(layer, "latent", activation.detach().float(), activation, writers, named)
    return stack if norm is None else _through_post(model, found, stack, norm)


_IN_STREAM = ("embed", "pos_embed", "resid_pre", "attn_out", "resid_mid", "mlp_write", "resid_post")


def _through_post(model: "TransformerBridge", found: dict[str, Tensor], stack: UnitStack, name: str) -> UnitStack:
    """Writes behind the post-norm of attention or MLP, where there is one."""
    post = norm_of(model, name, stack.layer, stack.writers)
    if post is None:
        return replace(stack, reach=stack.activation, writers=stack.writers.float())
    reach = stack.activation / found[Site(f"{name}_scale", stack.layer).name][0].float()
    return replace(stack, reach=reach, writers=post.scaled(stack.writers).float())


def final_norm(model: "TransformerBridge") -> NormParts | None:
    return norm_of(model, "ln_final", None, unembedding(model)[0].float())


def logit_effects(
    model: "TransformerBridge", writes: Float[Tensor, "unit d_model"], k: int = 5
) -> list[tuple[list[str], list[str]]]:
    """Tokens whose demeaned logits each direction raises and lowers most, through the final norm's weight alone; at most all."""
    norm = final_norm(model)
    effect = (writes if norm is None else norm.scaled(writes)) @ unembedding(model)[0].float()
    k = min(k, effect.shape[-1])
    up, down = effect.topk(k, -1).indices.tolist(), effect.topk(k, -1, largest=False).indices.tolist()
    flat = iter(display_tokens(model, [t for both in zip(up, down, strict=True) for ids in both for t in ids]))
    return [([next(flat) for _ in range(k)], [next(flat) for _ in range(k)]) for _ in range(len(writes))]


def direct_readers(
    model: "TransformerBridge", found: dict[str, Tensor], wanted: Asked | None = None
) -> Float[Tensor, "pos d_model"]:
    """For each position, the direction whose dot product with a write is its direct effect on what is asked, or on the likeliest
    logit."""
    best, W_U, norm = found["unembed.hook_out"][0].argmax(-1), unembedding(model)[0].float(), final_norm(model)
    if wanted is not None:
        best = torch.full_like(best, wanted.id)
    reader = W_U[:, best].T - (W_U.mean(1) if wanted is None or wanted.other is None else W_U[:, wanted.other])
    if norm is None or "ln_final.hook_scale" not in found:
        return reader
    back = norm.weight * reader / found["ln_final.hook_scale"][0].float()
    return back - back.mean(-1, keepdim=True) if norm.centred else back
