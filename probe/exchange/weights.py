"""The weights of a dictionary between two formats, where the conventions of both are folded away exactly.

Every format here computes   latents = rule(x @ W_enc + b_enc),   y = latents @ W_dec + b_dec (+ x @ W_skip.T)   on an x and y
that may have been shifted, scaled or whitened first. Such maps are affine, so they go into the weights:

    reads(scale, shift)     x stands for (x - shift) * scale           (scale: a number, a vector, or a matrix from the right)
    writes(scale, shift)    y stands for y * scale + shift
    centred(shift)          the encoder alone sees x - shift, as SAEs that take their decoder's bias off their input do
    norms_folded()          latents count in units of what they write: decoder rows get unit norm

All is computed in float64 and rounded once, when the dictionary is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries import BatchTopK, Dictionary, Gated, JumpReLU, Matryoshka, Sparsifier
from probe.dictionaries.store import put
from probe.errors import BadInput
from probe.show.record import Record

Scale = float | Tensor


@dataclass(frozen=True, eq=False)
class Weights(Record):
    """W_enc (d_in, d_dict), b_enc, W_dec (d_dict, d_out), b_dec, W_skip (d_out, d_in); shapes are checked by `sound`.

    rule: an unbound sparsifier. learned: its tensors by name, such as `threshold`.
    """

    W_enc: Float[Tensor, "..."]
    b_enc: Float[Tensor, "..."]
    W_dec: Float[Tensor, "..."]
    b_dec: Float[Tensor, "..."]
    rule: Sparsifier
    learned: Mapping[str, Tensor] = field(default_factory=dict)
    W_skip: Float[Tensor, "..."] | None = None

    @classmethod
    def of(cls, dictionary: Dictionary) -> "Weights":
        """The weights of a dictionary, in float64."""
        own = {name: value.detach().cpu().double() for name, value in dictionary.state_dict().items()}
        learned = {n.removeprefix("sparsifier."): own.pop(n) for n in list(own) if n.startswith("sparsifier.")}
        return cls(**own, rule=dictionary.sparsifier, learned=learned)

    def reads(self, scale: Scale = 1.0, shift: Scale = 0.0) -> "Weights":
        """The weights that do to x what these do to (x - shift) * scale."""
        W_enc = _from_left(scale, self.W_enc)
        away = shift * W_enc.new_ones(len(W_enc))
        moved = replace(self, W_enc=W_enc, b_enc=self.b_enc - away @ W_enc)
        if self.W_skip is None:
            return moved
        W_skip = _from_left(scale, self.W_skip.T).T
        return replace(moved, W_skip=W_skip, b_dec=self.b_dec - W_skip @ away)

    def centred(self, shift: Float[Tensor, " d_in"]) -> "Weights":
        """The weights whose encoder sees x - shift; a linear path still sees x."""
        return replace(self, b_enc=self.b_enc - shift @ self.W_enc)

    def writes(self, scale: Scale, shift: Scale = 0.0) -> "Weights":
        """The weights whose y is these weights' y * scale + shift."""
        W_skip = None if self.W_skip is None else _from_right(self.W_skip.T, scale).T
        b_dec = _from_right(self.b_dec[None], scale)[0] + shift
        return replace(self, W_dec=_from_right(self.W_dec, scale), b_dec=b_dec, W_skip=W_skip)

    def norms_folded(self) -> "Weights":
        """Latents times the norm of their decoder row, for rules that compare latents after such a weighting."""
        norms = self.W_dec.norm(dim=1)
        rows = self.W_dec / norms.clamp_min(torch.finfo(norms.dtype).tiny)[:, None]
        return replace(self, W_enc=self.W_enc * norms, b_enc=self.b_enc * norms, W_dec=rows)

    def sound(self, source: str) -> "Weights":
        """These weights, if their shapes agree and all numbers are finite; else BadInput, naming `source`."""
        if self.W_enc.ndim != 2 or self.W_dec.ndim != 2:
            raise BadInput(
                f"{source}: encoder and decoder must be matrices; they are {_shape(self.W_enc)} and {_shape(self.W_dec)}."
            )
        (d_in, d_dict), d_out = self.W_enc.shape, self.W_dec.shape[1]
        wanted = {"W_dec": (d_dict, d_out), "b_enc": (d_dict,), "b_dec": (d_out,), "W_skip": (d_out, d_in)}
        for name, shape in wanted.items():
            value = getattr(self, name)
            if value is not None and tuple(value.shape) != shape:
                raise BadInput(
                    f"{source}: {name} is {_shape(value)}; with an encoder of {d_in} x {d_dict} it must be {shape}."
                )
        named = {**{n: getattr(self, n) for n in ("W_enc", *wanted)}, **self.learned}
        for name, value in named.items():
            if value is not None and not torch.isfinite(value).all():
                raise BadInput(f"{source}: {name} holds NaN or infinite numbers. Nothing was imported.")
        return self

    def dictionary(
        self, sites_in: Sequence[str], sites_out: Sequence[str], source: str, dtype: torch.dtype
    ) -> Dictionary:
        """The dictionary, in evaluation mode, whose site `sites_out` may be several of equal width."""
        (d_in, d_dict), each = self.W_enc.shape, self.W_dec.shape[1] // len(sites_out)
        ends = {"site_in": sites_in, "site_out": sites_out, "skip": self.W_skip is not None}
        made = Dictionary((d_in,), d_dict, (each,) * len(sites_out), sparsifier=self.rule, **ends).to(dtype)
        own = {"W_enc": self.W_enc, "b_enc": self.b_enc, "W_dec": self.W_dec, "b_dec": self.b_dec}
        if self.W_skip is not None:
            own["W_skip"] = self.W_skip
        own |= {f"sparsifier.{name}": value for name, value in self.learned.items()}
        put(made, own, source)
        return made.requires_grad_(False).eval()


def jump_relu(threshold: Tensor) -> tuple[JumpReLU, dict[str, Tensor]]:
    """The rule of given thresholds, and its tensors. What it was trained towards is not known to other formats."""
    return JumpReLU(l0=min(32.0, float(threshold.numel()))), {"threshold": threshold.double().reshape(-1)}


def batch_topk(k: float, threshold: Tensor, widths: Sequence[int] = ()) -> tuple[Sparsifier, dict[str, Tensor]]:
    """BatchTopK with a learned threshold, inside a Matryoshka where there are prefix widths."""
    rule, value = BatchTopK(max(1, round(k))), threshold.double().reshape(())
    if not widths:
        return rule, {"threshold": value}
    return Matryoshka(rule, widths), {"inner.threshold": value}


def gated(b_gate: Tensor, b_mag: Tensor, r_mag: Tensor) -> tuple[Gated, dict[str, Tensor]]:
    """Gated with its tensors, from the two biases others keep: here the gate's is b_enc, and the other is relative to it."""
    r_mag, b_gate, b_mag = r_mag.double(), b_gate.double(), b_mag.double()
    return Gated(), {"r_mag": r_mag, "offset": b_mag - r_mag.exp() * b_gate}


def inner(rule: Sparsifier) -> Sparsifier:
    """What a trained dictionary uses: of a Matryoshka the rule inside."""
    return inner(rule.inner) if isinstance(rule, Matryoshka) else rule


def thresholds(weights: Weights) -> Float[Tensor, " d_dict"] | None:
    """The threshold of each latent, where the rule is one of thresholds (JumpReLU, BatchTopK)."""
    if not isinstance(inner(weights.rule), JumpReLU | BatchTopK):
        return None
    (value,) = weights.learned.values()
    return value.expand(weights.W_enc.shape[1]).clone()


def _from_left(scale: Scale, matrix: Tensor) -> Tensor:
    if isinstance(scale, Tensor):
        return scale @ matrix if scale.ndim == 2 else scale[:, None] * matrix
    return scale * matrix


def _from_right(matrix: Tensor, scale: Scale) -> Tensor:
    return matrix @ scale if isinstance(scale, Tensor) and scale.ndim == 2 else matrix * scale


def _shape(value: Tensor) -> str:
    return " x ".join(str(n) for n in value.shape) or "a single number"
