"""A cross-layer transcoder (CLT): each layer has latents that read its MLP's input and write to the MLP outputs of that and
of all later layers (Ameisen et al. 2025).

    recons[m] = sum over layers l <= m of latents[l] @ W_dec[l -> m]  +  b_dec[m]

It is made of one transcoder a layer, `parts[l]`, that reads site l and writes sites l, l+1, ... side by side; all are trained
together, on inputs and targets that stand side by side on the last axis.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from probe.asked_of import looked_at
from probe.dictionaries.base import CodeOutput, Dictionary, DictionaryOutput, described, shape_of
from probe.dictionaries.sparsifiers.base import Sparsifier
from probe.dictionaries.sparsifiers.codes import Code, JoinedCode
from probe.errors import BadInput
from probe.show.record import Record
from probe.show.values import arrays_of


class CrossLayerTranscoder(Record, nn.Module, page=True):
    """Answers what a `Dictionary` answers; its latents are those of all parts, in order of layers.

    >>> reads, writes = ["mlp_in.0", "mlp_in.1"], ["mlp_out.0", "mlp_out.1"]
    >>> clt = ow.CrossLayerTranscoder([64, 64], 128, [64, 64], sparsifier=ow.TopK(8), sites_in=reads, sites_out=writes)
    >>> [len(part.sites_out) for part in clt.parts]
    [2, 1]
    """

    kind = "cross_layer_transcoder"

    @looked_at
    def __init__(
        self,
        widths_in: Sequence[int],
        d_dict: int,
        widths_out: Sequence[int],
        *,
        sparsifier: Sparsifier,
        sites_in: Sequence[str],
        sites_out: Sequence[str],
        seed: int = 0,
    ):
        """d_dict: latents of each layer. Raises BadInput unless widths and sites pair up."""
        super().__init__()
        n = len(widths_in)
        if not n or not (n == len(widths_out) == len(sites_in) == len(sites_out)):
            raise BadInput(
                f"A cross-layer transcoder needs as many inputs as outputs; got {n} and {len(widths_out)} widths, "
                f"{len(sites_in)} and {len(sites_out)} sites."
            )
        self.widths_in, self.widths_out = tuple(widths_in), tuple(widths_out)
        self.sites_in, self.sites_out, self.name = tuple(sites_in), tuple(sites_out), ""
        self.parts = nn.ModuleList(
            Dictionary(
                self.widths_in[layer],
                d_dict,
                self.widths_out[layer:],
                sparsifier=sparsifier,
                site_in=self.sites_in[layer],
                site_out=self.sites_out[layer:],
                seed=seed + layer,
            )
            for layer in range(n)
        )

    def summary(self) -> str:
        """One sentence: what it is, between which sites, how wide, by which rule."""
        return described(self)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: its shape, without the weights."""
        return {"name": self.name, **shape_of(self)}

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by name."""
        return arrays_of(self.state_dict())

    @property
    def d_in(self) -> int:
        return sum(self.widths_in)

    @property
    def d_out(self) -> int:
        return sum(self.widths_out)

    @property
    def d_dict(self) -> int:
        """Latents of all layers together."""
        return sum(part.d_dict for part in self.parts)

    @property
    def sparsifier(self) -> Sparsifier:
        """The first layer's; all have the same settings."""
        return self.parts[0].sparsifier  # type: ignore[return-value]

    @property
    def W_enc(self) -> Tensor:
        """The first layer's, to ask for dtype and device."""
        return self.parts[0].W_enc  # type: ignore[return-value]

    def pre_acts(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_dict"]:
        """Pre-activations of all layers' latents."""
        return torch.cat([part.pre_acts(own) for part, own in self._with(x)], -1)

    def encode(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_dict"]:
        """Latents of all layers."""
        return torch.cat([part.encode(own) for part, own in self._with(x)], -1)

    def decode(
        self, latents: Float[Tensor, "*batch d_dict"], x: Float[Tensor, "*batch d_in"] | None = None
    ) -> Float[Tensor, "*batch d_out"]:
        """Reconstruction of all outputs; `x` is not needed."""
        own = latents.split([part.d_dict for part in self.parts], -1)
        return self._sum([part.decode(part_latents) for part, part_latents in zip(self.parts, own, strict=True)])

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> DictionaryOutput:
        latents = self.encode(x)
        return DictionaryOutput(self.decode(latents), latents, self.pre_acts(x))

    def run(self, x: Float[Tensor, "row d_in"]) -> CodeOutput:
        """As `Dictionary.run`."""
        found = [part.run(own) for part, own in self._with(x)]
        return CodeOutput(self._sum([f.recons for f in found]), JoinedCode([f.code for f in found]))

    def penalty(
        self, code: Code, recons: Float[Tensor, "row d_out"], targets: Float[Tensor, "row d_out"]
    ) -> Tensor | None:
        """The sum of the parts' penalties, each seen from the outputs it writes to."""
        total = None
        for layer, part in enumerate(self.parts):
            reach = part.d_out
            one = part.penalty(code.parts[layer], recons[..., -reach:], targets[..., -reach:])  # type: ignore[attr-defined]
            if one is not None:
                one = one * (reach / self.d_out)  # means over fewer outputs become means over all
                total = one if total is None else total + one
        return total

    def dead_reconstruction(
        self, x: Float[Tensor, "row d_in"], dead: Bool[Tensor, " d_dict"], k: int
    ) -> Float[Tensor, "row d_out"]:
        """What each layer's k strongest dead latents would write."""
        marks = dead.split([part.d_dict for part in self.parts])
        found = [part.dead_reconstruction(own, m, k) for (part, own), m in zip(self._with(x), marks, strict=True)]
        return self._sum(found)

    def revive(
        self,
        dead: Bool[Tensor, " d_dict"],
        x: Float[Tensor, "row d_in"],
        residual: Float[Tensor, "row d_out"],
        generator: torch.Generator,
    ) -> None:
        """As `Dictionary.revive`, layer by layer."""
        marks = dead.split([part.d_dict for part in self.parts])
        for (part, own), mark in zip(self._with(x), marks, strict=True):
            part.revive(mark, own, residual[..., -part.d_out :], generator)

    def changed(self, change: Callable[[Dictionary, int], Dictionary]) -> "CrossLayerTranscoder":
        """A copy whose parts are what `change` makes of each part and its layer's index."""
        other = CrossLayerTranscoder.__new__(CrossLayerTranscoder)
        nn.Module.__init__(other)
        other.widths_in, other.widths_out = self.widths_in, self.widths_out
        other.sites_in, other.sites_out, other.name = self.sites_in, self.sites_out, self.name
        other.parts = nn.ModuleList(change(part, layer) for layer, part in enumerate(self.parts))
        return other.train(self.training)

    def _with(self, x: Tensor) -> list[tuple[Dictionary, Tensor]]:
        """Each part with the input it reads."""
        return list(zip(self.parts, x.split(self.widths_in, -1), strict=True))  # type: ignore[arg-type]

    def _sum(self, written: list[Tensor]) -> Tensor:
        """Add what the parts write, each from its own layer's output on."""
        total = written[0].clone()
        for part in written[1:]:
            total[..., -part.shape[-1] :] += part
        return total
