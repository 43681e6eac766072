"""A dictionary explains activations as a sparse sum: few active latents, each writing its own direction.

    pre_acts = x @ W_enc + b_enc         latents = sparsifier(pre_acts)
    recons   = latents @ W_dec + b_dec  (+ x @ W_skip.T)

The kind follows from its parts. A sparse autoencoder (SAE) reconstructs the site it reads. A transcoder reads one site and
predicts another: what an MLP reads and what it returns (Dunefsky et al. 2024). A skip transcoder adds a linear path, so
that its latents need to explain only what is not linear (Paulo et al. 2025). Names and shapes are SAELens's.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from probe.dictionaries.codes import Code
from probe.dictionaries.sparsifiers import Sparsifier
from probe.errors import BadInput


class DictionaryOutput(NamedTuple):
    """What a dictionary makes of activations: reconstruction, latents, and pre-activations of the latents."""

    recons: Float[Tensor, "*batch d_out"]
    latents: Float[Tensor, "*batch d_dict"]
    pre_acts: Float[Tensor, "*batch d_dict"]


class CodeOutput(NamedTuple):
    """The same for training: the latents as a `Code`, which need not hold the silent ones."""

    recons: Float[Tensor, "row d_out"]
    code: Code


class Dictionary(nn.Module):
    """Encoder, sparsifier, decoder and, where `skip`, a linear path. Sites are canonical names.

    Decoder rows start with unit norm times `decoder_scale`, each pointing where its encoder reads (transposed, if the widths
    agree) or anywhere. Raises BadInput for widths below 1 or a sparsifier that needs more latents.
    """

    def __init__(
        self,
        d_in: int,
        d_dict: int,
        d_out: int | None = None,
        *,
        sparsifier: Sparsifier,
        site_in: str = "",
        site_out: str = "",
        skip: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        d_out = d_in if d_out is None else d_out
        if min(d_in, d_dict, d_out) < 1:
            raise BadInput(
                f"A dictionary needs widths of at least 1; asked were d_in {d_in}, d_dict {d_dict}, d_out {d_out}."
            )
        if site_in == site_out and d_in != d_out:
            raise BadInput(f"An SAE reconstructs what it reads, so d_out must be d_in ({d_in}), not {d_out}.")
        sparsifier.check(d_dict)
        self.site_in, self.site_out, self.sparsifier = site_in, site_out, sparsifier
        self.name = ""  # its artifact's, once it is stored
        rows = torch.randn(d_dict, d_in, generator=torch.Generator().manual_seed(seed))
        rows /= rows.norm(dim=1, keepdim=True)
        # W_enc is a transposed view: one latent's weights lie together in memory, where the sparse gradient puts them.
        self.W_enc = nn.Parameter(rows.t())
        self.b_enc = nn.Parameter(torch.zeros(d_dict))
        self.W_dec = nn.Parameter(rows.clone() if self.kind == "sae" else torch.zeros(d_dict, d_out))
        self.b_dec = nn.Parameter(torch.zeros(d_out))
        self.W_skip = nn.Parameter(torch.zeros(d_out, d_in)) if skip else None

    @property
    def d_in(self) -> int:
        return self.W_enc.shape[0]

    @property
    def d_dict(self) -> int:
        return self.W_enc.shape[1]

    @property
    def d_out(self) -> int:
        return len(self.b_dec)

    @property
    def kind(self) -> str:
        """`sae`, `transcoder` or `skip_transcoder`."""
        if self.site_in == self.site_out:
            return "sae"
        return "transcoder" if getattr(self, "W_skip", None) is None else "skip_transcoder"

    def pre_acts(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_dict"]:
        """How far each latent is from the origin of its ReLU."""
        return x @ self.W_enc + self.b_enc

    def encode(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_dict"]:
        """Latents of activations."""
        return self.sparsifier(self.pre_acts(x))

    def decode(
        self, latents: Float[Tensor, "*batch d_dict"], x: Float[Tensor, "*batch d_in"] | None = None
    ) -> Float[Tensor, "*batch d_out"]:
        """Reconstruction from latents; a skip transcoder also needs the input `x` of its linear path."""
        return self._add_linear(latents @ self.W_dec, x)

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> DictionaryOutput:
        pre_acts = self.pre_acts(x)
        latents = self.sparsifier(pre_acts)
        return DictionaryOutput(self.decode(latents, x), latents, pre_acts)

    def run(self, x: Float[Tensor, "row d_in"]) -> CodeOutput:
        """The forward pass of training and of long evaluations: as `forward`, without the silent latents."""
        code = self.sparsifier.code(x, self.W_enc, self.b_enc)
        return CodeOutput(self._add_linear(code.decode(self.W_dec), x), code)

    def _add_linear(self, written: Tensor, x: Tensor | None) -> Tensor:
        if self.W_skip is None:
            return written + self.b_dec
        if x is None:
            raise BadInput("A skip transcoder decodes from latents and its input; call decode(latents, x).")
        return written + self.b_dec + x @ self.W_skip.T


def SAE(d_in: int, d_dict: int, *, sparsifier: Sparsifier, site: str = "", seed: int = 0) -> Dictionary:
    """A sparse autoencoder of one site; its encoder starts as the transpose of its decoder."""
    return Dictionary(d_in, d_dict, sparsifier=sparsifier, site_in=site, site_out=site, seed=seed)


def Transcoder(
    d_in: int,
    d_dict: int,
    d_out: int | None = None,
    *,
    sparsifier: Sparsifier,
    site_in: str = "input",
    site_out: str = "output",
    skip: bool = False,
    seed: int = 0,
) -> Dictionary:
    """A transcoder from one site to another, with a linear path if `skip`."""
    if site_in == site_out:
        raise BadInput(
            f"A transcoder reads one site and predicts another, but both are '{site_in}'. Use SAE(...) for one site."
        )
    return Dictionary(
        d_in, d_dict, d_out, sparsifier=sparsifier, site_in=site_in, site_out=site_out, skip=skip, seed=seed
    )
