"""The local replacement model of one prompt: everything nonlinear held at the value it had, the rest is a linear map.

Attention patterns and norm divisors are constants. What is left of the model is linear in what its parts write to the
residual stream, so a value read anywhere is a sum over writes, and each write's share is an edge:

    read(x) = sum over writes w of  reader . J(write -> read) . w  + constant

MLP neurons are linear too once their ratio is held (`Neurons`), so no MLP needs an error term. Layers that have a
dictionary use its latents instead, with its skip connection as part of J and its reconstruction error as a write. An SAE in
the residual stream cuts it: behind it the stream is its latents, its error and its bias, each held as a write.

`circuits.replacement.freeze` makes it, and `circuits.replacement.check` says whether it holds.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jaxtyping import Float
from torch import Tensor

from circuits.replacement import points
from circuits.replacement.linear import FrozenAttention, FrozenNorm
from circuits.replacement.units import Latents, Neurons
from probe.errors import BadInput
from probe.model.writes import wide


@dataclass(frozen=True)
class FrozenLayer:
    """One block. With `parallel`, attention and MLP both read the block's input. head_out: what each head has gathered, biases
    apart. stream, stream_mid: the residual stream before attention and before the MLP. mid, post: SAEs in the stream."""

    ln1: FrozenNorm | None
    attn: FrozenAttention
    ln1_post: FrozenNorm | None
    ln2: FrozenNorm | None
    mlp: Neurons | Latents
    ln2_post: FrozenNorm | None
    parallel: bool
    head_out: Float[Tensor, "head pos d_head"]
    stream: Float[Tensor, "pos d_model"]
    stream_mid: Float[Tensor, "pos d_model"]
    mid: Latents | None = None
    post: Latents | None = None

    @property
    def mlp_norm(self) -> FrozenNorm | None:
        """The norm between the stream and what the MLP's units read."""
        return None if isinstance(self.mlp, Latents) and self.mlp.raw else self.ln2

    @property
    def write_norm(self) -> FrozenNorm | None:
        """The norm between what the MLP's units write and the stream."""
        return None if isinstance(self.mlp, Latents) and self.mlp.after_post else self.ln2_post


@dataclass(frozen=True)
class FrozenModel:
    """Every layer, the embeddings, and the way out. stream: what the final norm reads; final: what the unembedding reads.
    logits are before any soft-cap. check: see `circuits.replacement.check`."""

    layers: list[FrozenLayer]
    embed: Float[Tensor, "pos d_model"]
    pos_embed: Float[Tensor, "pos d_model"] | None
    ln_final: FrozenNorm | None
    W_U: Float[Tensor, "d_model d_vocab"]
    b_U: Float[Tensor, " d_vocab"]
    stream: Float[Tensor, "pos d_model"]
    final: Float[Tensor, "pos d_model"]
    check: dict[str, float] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Number of positions."""
        return self.embed.shape[0]

    @cached_property
    def logits(self) -> Float[Tensor, "pos d_vocab"]:
        """Of every position; made when first asked for, since long prompts need only the last."""
        return self.logits_at(slice(None))

    def logits_at(self, pos: int | slice) -> Float[Tensor, "*pos d_vocab"]:
        """Logits at one position, or several."""
        return self.final[pos] @ self.W_U + self.b_U


def stream_at(frozen: FrozenModel, point: int) -> Float[Tensor, "pos d_model"]:
    """The residual stream at a point (`circuits.replacement.points`)."""
    index, place = points.place_of(point)
    if place == points.POST:  # what the MLP has written is what the next layer reads
        index, place = index + 1, points.BLOCK_IN
    if index == len(frozen.layers):
        return frozen.stream
    layer = frozen.layers[index]
    return layer.stream if place == points.BLOCK_IN else layer.stream_mid


def read(kept: Any, name: str) -> Tensor:
    """What a hook reported, without the batch axis."""
    if name not in kept:
        raise BadInput(f"This model has no '{name}'; its blocks are of a kind that cannot be traced yet.")
    return wide(kept[name][0])
