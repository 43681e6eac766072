"""Put dictionaries into a frozen model: their latents in the place of a layer's neurons, or in the residual stream."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from circuits.replacement.frozen import FrozenLayer, FrozenModel, read
from circuits.replacement.placement import Placed
from circuits.replacement.units import Latents, Neurons
from probe.errors import BadInput, OpenworkError
from probe.model.writes import wide


def put_latents(frozen: FrozenModel, kept: Any, placed: Mapping[int, Placed]) -> None:
    """Replace the units of every layer in `placed`; in place, before anyone has seen the frozen model.

    What a cross-layer transcoder writes to a later layer is taken off that layer's error, and its bias joins that layer's.
    """
    for layer, one in sorted(placed.items()):
        frozen.layers[layer] = _with(frozen.layers[layer], kept, one)
    for layer, one in sorted(placed.items()):
        for later in one.writes[1:]:
            _reach(frozen, layer, later, one)


def _with(layer: FrozenLayer, kept: Any, one: Placed) -> FrozenLayer:
    if one.at == "mlp" and not one.is_sae:
        return replace(layer, mlp=_transcoder(layer, kept, one))
    if one.at == "mlp":
        return replace(layer, mlp=_output_sae(layer, kept, one))
    x = _stream(layer, kept, one)
    weights = _weights(one, x)
    active, value = _active(one, x, weights)
    error = x - active @ weights["W_dec"] - weights["b_dec"]
    constant = weights["b_enc"].expand_as(value)
    latents = Latents(
        W_enc=weights["W_enc"],
        constant=constant,
        W_dec=weights["W_dec"],
        W_skip=None,
        b_out=weights["b_dec"],
        activation=active,
        value=value,
        error=error,
        target=spread(x),
        raw=True,
    )
    return replace(layer, **{one.at: latents})


def _transcoder(layer: FrozenLayer, kept: Any, one: Placed) -> Latents:
    raw, after = one.read.kind == "resid_mid", one.write.kind == "mlp_write"
    x, out = _stream(layer, kept, one) if raw else read(kept, one.read.name), _written(layer, kept, one)
    weights = _weights(one, x)
    active, value = _active(one, x, weights)
    W_skip, b_dec = weights.get("W_skip"), weights["b_dec"]
    beta = torch.zeros_like(x[0]) if raw or layer.ln2 is None else layer.ln2.bias
    recons = active @ weights["W_dec"] + b_dec + (0 if W_skip is None else x @ W_skip.T)
    b_out = b_dec + (0 if W_skip is None else W_skip @ beta)
    constant = (weights["b_enc"] + beta @ weights["W_enc"]).expand_as(value)
    return Latents(
        W_enc=weights["W_enc"],
        constant=constant,
        W_dec=weights["W_dec"],
        W_skip=W_skip,
        b_out=b_out,
        activation=active,
        value=value,
        error=out - recons,
        target=spread(out),
        after_post=after and layer.ln2_post is not None,
        raw=raw,
    )


def _output_sae(layer: FrozenLayer, kept: Any, one: Placed) -> Latents:
    """An SAE of the MLP's output: what its latents read is what the frozen neurons write."""
    if not isinstance(layer.mlp, Neurons):
        raise BadInput(f"{one.read.short} has no neurons that an SAE of it could read through; give it a transcoder.")
    after = one.read.kind == "mlp_write" and layer.ln2_post is not None
    x = _written(layer, kept, one)
    weights = _weights(one, x)
    active, value = _active(one, x, weights)
    unread = layer.mlp.constant @ layer.mlp.W_out + layer.mlp.b_out
    if after and layer.ln2_post is not None:
        unread = layer.ln2_post.forward(unread) + layer.ln2_post.bias
    error = x - active @ weights["W_dec"] - weights["b_dec"]
    return Latents(
        W_enc=weights["W_enc"],
        constant=unread @ weights["W_enc"] + weights["b_enc"],
        W_dec=weights["W_dec"],
        W_skip=None,
        b_out=weights["b_dec"],
        activation=active,
        value=value,
        error=error,
        target=spread(x),
        inner=layer.mlp,
        inner_post=layer.ln2_post if after else None,
        after_post=after,
    )


def spread(x: Tensor) -> float:
    """Sum of squares about the mean over positions; the first position, where streams are unlike any other, is left out."""
    late = x[1:] if len(x) > 2 else x
    return float((late - late.mean(0)).square().sum())


def _reach(frozen: FrozenModel, layer: int, later: int, one: Placed) -> None:
    """Account for what the latents of `layer` write to the MLP output of `later`."""
    here, there = frozen.layers[layer].mlp, frozen.layers[later].mlp
    assert isinstance(here, Latents) and isinstance(there, Latents)
    at, width = one.writes.index(later), frozen.embed.shape[1]
    columns = slice(at * width, (at + 1) * width)
    W_dec = wide(one.dictionary.W_dec).to(frozen.embed)[:, columns]
    b_dec = wide(one.dictionary.b_dec).to(frozen.embed)[columns]
    here.later[later] = W_dec
    error = there.error - here.activation @ W_dec - b_dec
    frozen.layers[later] = replace(frozen.layers[later], mlp=replace(there, error=error, b_out=there.b_out + b_dec))


def _stream(layer: FrozenLayer, kept: Any, one: Placed) -> Tensor:
    """The residual stream where it reads."""
    return layer.stream_mid if one.read.kind == "resid_mid" else read(kept, f"blocks.{one.layer}.hook_resid_post")


def _written(layer: FrozenLayer, kept: Any, one: Placed) -> Tensor:
    """What the MLP returned, after the norm that follows it where the dictionary wants that."""
    out = read(kept, f"blocks.{one.layer}.mlp.hook_out")
    if one.write.kind == "mlp_write" and layer.ln2_post is not None:
        return layer.ln2_post.forward(out) + layer.ln2_post.bias
    return out


def _weights(one: Placed, like: Tensor) -> dict[str, Tensor]:
    """The dictionary's weights for this layer's own output, as wide as the stream."""
    width = like.shape[-1]
    names = [n for n in ("W_enc", "b_enc", "W_dec", "b_dec", "W_skip") if getattr(one.dictionary, n, None) is not None]
    found = {n: wide(getattr(one.dictionary, n)).to(like) for n in names}
    bad = [n for n, w in found.items() if not torch.isfinite(w).all()]
    if bad:
        raise OpenworkError(
            f"{', '.join(bad)} of the dictionary at {one.read.short} holds NaN or infinity; train it again."
        )
    return found | {"W_dec": found["W_dec"][:, :width], "b_dec": found["b_dec"][:width]}


def _active(one: Placed, x: Tensor, weights: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Latents and their pre-activations; an active latent must be its own pre-activation, which its encoder column explains."""
    active = wide(one.dictionary.encode(x.to(one.dictionary.W_enc))).to(x)
    value = x @ weights["W_enc"] + weights["b_enc"]
    gap = torch.where(active > 0, (active - value).abs(), 0).max()
    if not gap <= 1e-3 * value.abs().max():
        raise BadInput(
            f"This dictionary's active latents differ from their pre-activations (by up to {float(gap):.2g}), so encoder "
            "columns do not explain them. Dictionaries with ReLU, TopK or JumpReLU latents can be traced."
        )
    return active, value
