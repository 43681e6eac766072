"""The parts that become nodes: an MLP's neurons at frozen ratios, or a dictionary's latents.

Both say what each unit reads (a vector), holds (a value), writes (a vector), and what part of the output no unit writes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.replacement.linear import FrozenNorm


@dataclass(frozen=True)
class Neurons:
    """An MLP with its nonlinearity frozen, so that each neuron is linear in what it reads.

    Elementwise: a = r z with r = act(z) / z held. Gated, a = act(g) u: the ratio act(g) / g is held, and the product of
    two linear factors is shared half and half (the half rule):

        a = 1/2 [act(g)] u + 1/2 [act(g) / g * u] g          brackets held
    """

    W_in: Float[Tensor, "d_model d_mlp"]
    in_weight: Float[Tensor, "pos d_mlp"]
    W_gate: Float[Tensor, "d_model d_mlp"] | None
    gate_weight: Float[Tensor, "pos d_mlp"] | None
    constant: Float[Tensor, "pos d_mlp"]
    W_out: Float[Tensor, "d_mlp d_model"]
    b_out: Float[Tensor, " d_model"]
    activation: Float[Tensor, "pos d_mlp"]

    @property
    def value(self) -> Float[Tensor, "pos d_mlp"]:
        """What a reader of a neuron must sum to: its activation."""
        return self.activation

    @property
    def writer(self) -> Float[Tensor, "d_mlp d_model"]:
        """What a unit adds to the output at activation 1."""
        return self.W_out

    def readers(self, pos: Int[Tensor, " row"], unit: Int[Tensor, " row"]) -> Float[Tensor, "row d_model"]:
        """Vector r with r . mlp_in + constant = activation, for each (position, unit)."""
        rows = self.W_in.T[unit] * self.in_weight[pos, unit, None]
        if self.W_gate is not None and self.gate_weight is not None:
            rows = rows + self.W_gate.T[unit] * self.gate_weight[pos, unit, None]
        return rows

    def through(
        self, unit: Float[Tensor, "*row d_mlp"], pos: Int[Tensor, " row"] | slice
    ) -> Float[Tensor, "*row d_model"]:
        """Cotangent of mlp_in at these positions, given that of the activations."""
        back = (unit * self.in_weight[pos]) @ self.W_in.T
        if self.W_gate is not None and self.gate_weight is not None:
            back = back + (unit * self.gate_weight[pos]) @ self.W_gate.T
        return back

    def adjoint(self, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """Cotangent of mlp_in, given that of mlp_out, through all neurons at once."""
        return self.through(g @ self.W_out.T, slice(g.shape[1]))


@dataclass(frozen=True)
class Latents:
    """A dictionary's latents as nodes: in the place of an MLP (transcoder, or SAE of its output), or in the residual stream.

    A latent that is on has activation = pre-activation (ReLU, TopK, JumpReLU), so its reader is its encoder column. An SAE of
    the MLP's output reads through the frozen neurons (`inner`): what it reads is linear in what they read.
    """

    W_enc: Float[Tensor, "d_model d_dict"]
    constant: Float[Tensor, "#pos d_dict"]
    W_dec: Float[Tensor, "d_dict d_model"]
    W_skip: Float[Tensor, "d_model d_model"] | None
    b_out: Float[Tensor, " d_model"]
    activation: Float[Tensor, "pos d_dict"]
    value: Float[Tensor, "pos d_dict"]
    error: Float[Tensor, "pos d_model"]
    target: float = 0.0
    "Sum of squares of what the dictionary stands for, about its mean over positions, the first position apart."
    later: dict[int, Float[Tensor, "d_dict d_model"]] = field(default_factory=dict)
    "Writes of a cross-layer transcoder's latents to the MLP outputs of later layers."
    inner: Neurons | None = None
    inner_post: FrozenNorm | None = None
    "The norm after the MLP, where an SAE reads what comes after it."
    after_post: bool = False
    "Whether it writes after the norm that follows the MLP, where there is one."
    raw: bool = False
    "Whether it reads the residual stream as it is, without the norm before the MLP."

    @property
    def writer(self) -> Float[Tensor, "d_dict d_model"]:
        """What a latent adds to the output at activation 1."""
        return self.W_dec

    def readers(self, pos: Int[Tensor, " row"], unit: Int[Tensor, " row"]) -> Float[Tensor, "row d_model"]:
        """Encoder columns, seen from the MLP's input."""
        rows = self.W_enc.T[unit]
        if self.inner is None:
            return rows
        rows = rows if self.inner_post is None else self.inner_post.adjoint_at(rows, pos)
        return self.inner.through(rows @ self.inner.W_out.T, pos)

    def skip_adjoint(self, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"] | None:
        """Cotangent of the input through the skip connection alone."""
        return None if self.W_skip is None else g @ self.W_skip

    def adjoint(self, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """Cotangent of the input through active latents and skip."""
        return self.through_latents(g @ self.W_dec.T, g)

    def through_latents(
        self, unit: Float[Tensor, "row pos d_dict"], g: Float[Tensor, "row pos d_model"] | None = None
    ) -> Float[Tensor, "row pos d_model"]:
        """Cotangent of the input, given that of the activations, and of the output for the skip."""
        length = unit.shape[1]
        back = (unit * (self.activation > 0)[:length]) @ self.W_enc.T
        if self.inner is not None:
            back = self.inner.adjoint(back if self.inner_post is None else self.inner_post.adjoint(back))
        skip = None if g is None else self.skip_adjoint(g)
        return back if skip is None else back + skip


def held_weights(
    act: Callable[[Tensor], Tensor], pre: Float[Tensor, "*batch d_mlp"], linear: Float[Tensor, "*batch d_mlp"] | None
) -> tuple[Float[Tensor, "*batch d_mlp"], Float[Tensor, "*batch d_mlp"] | None]:
    """What a neuron's activation is linear in, with: the weight of what W_in makes, and of what W_gate makes (None without one).
    pre: what the nonlinearity reads, the gate's if there is one; linear: the other factor.

    act(z) / z is 1/2 where z is 0: the limit for SiLU and GELU, and without effect since it multiplies z.
    """
    activated = act(pre)
    ratio = torch.where(
        pre == 0, torch.full_like(pre, 0.5), activated / torch.where(pre == 0, torch.ones_like(pre), pre)
    )
    # a = act(g) u is a product of two linear factors; each gets half of it with the other held (the half rule of `Neurons`)
    return (ratio, None) if linear is None else (0.5 * activated, 0.5 * ratio * linear)
