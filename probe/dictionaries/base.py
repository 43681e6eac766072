"""A dictionary explains activations as a sparse sum: few active latents, each writing its own direction.

    pre_acts = x @ W_enc + b_enc         latents = sparsifier(pre_acts)
    recons   = latents @ W_dec + b_dec  (+ x @ W_skip.T)

The kind follows from its parts. A sparse autoencoder (SAE) reconstructs the site it reads. A transcoder reads one site and
predicts another: what an MLP reads and what it returns (Dunefsky et al. 2024). A skip transcoder adds a linear path, so
that its latents need to explain only what is not linear (Paulo et al. 2025). A crosscoder reads and reconstructs several sites
at once, layers or models, side by side on the last axis (Lindsey et al. 2024). Names and shapes are SAELens's.
"""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from probe.asked_of import looked_at
from probe.dictionaries.dead import dead_reconstruction, revive
from probe.dictionaries.sparsifiers.base import Sparsifier
from probe.dictionaries.sparsifiers.codes import Code
from probe.errors import BadInput
from probe.memory import require
from probe.model.sites import short_name
from probe.show.record import Record
from probe.show.values import arrays_of, gist


class DictionaryOutput(NamedTuple):
    """What a dictionary makes of activations: reconstruction, latents, and pre-activations of the latents."""

    recons: Float[Tensor, "*batch d_out"]
    latents: Float[Tensor, "*batch d_dict"]
    pre_acts: Float[Tensor, "*batch d_dict"]

    def __repr__(self) -> str:
        return f"DictionaryOutput({', '.join(f'{n} {gist(v)}' for n, v in self._asdict().items())})"


class CodeOutput(NamedTuple):
    """The same for training: the latents as a `Code`, which need not hold the silent ones."""

    recons: Float[Tensor, "row d_out"]
    code: Code


class Dictionary(Record, nn.Module, page=True):
    """Encoder, sparsifier, decoder and, where `skip`, a linear path. Sites are canonical names.

    Where it reads or writes several sites, d_in or d_out gives the width of each, and their activations stand side by side on
    the last axis. Decoder rows start with unit norm, each pointing where its encoder reads, if it reconstructs what it
    reads; else at zero. The sparsifier is copied. Raises BadInput for widths below 1 or a sparsifier that needs more latents.

    >>> made = ow.Dictionary(64, 512, sparsifier=ow.TopK(8), site_in="mlp_in.1", site_out="mlp_out.1", skip=True)
    >>> made.kind
    'skip_transcoder'
    """

    @looked_at
    def __init__(
        self,
        d_in: int | Sequence[int],
        d_dict: int,
        d_out: int | Sequence[int] | None = None,
        *,
        sparsifier: Sparsifier,
        site_in: str | Sequence[str] = "",
        site_out: str | Sequence[str] = "",
        skip: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        self.widths_in = _tuple(d_in)
        self.widths_out = self.widths_in if d_out is None else _tuple(d_out)
        self.sites_in, self.sites_out = _tuple(site_in), _tuple(site_out)
        self._check(d_dict)
        bytes_of = 4 * d_dict * (sum(self.widths_in) + sum(self.widths_out))
        require(2 * bytes_of, f"A dictionary of {d_dict:,} latents")  # twice: the rows it starts with are copied
        self.sparsifier = copy.deepcopy(sparsifier)
        self.sparsifier.bind(d_dict)
        self.name = ""  # its artifact's, once it is stored
        total_in, total_out = sum(self.widths_in), sum(self.widths_out)
        rows = torch.randn(d_dict, total_in, generator=torch.Generator().manual_seed(seed))
        rows /= rows.norm(dim=1, keepdim=True)
        # W_enc is a transposed view: one latent's weights lie together in memory, where the sparse gradient puts them.
        self.W_enc = nn.Parameter(rows.t())
        self.b_enc = nn.Parameter(torch.zeros(d_dict))
        same = self.sites_in == self.sites_out
        self.W_dec = nn.Parameter(rows.clone() if same else torch.zeros(d_dict, total_out))
        self.b_dec = nn.Parameter(torch.zeros(total_out))
        self.W_skip = nn.Parameter(torch.zeros(total_out, total_in)) if skip else None

    def _check(self, d_dict: int) -> None:
        if min(*self.widths_in, *self.widths_out, d_dict) < 1:
            raise BadInput(
                f"A dictionary needs widths of at least 1; asked were d_in {_plain(self.widths_in)}, d_dict {d_dict}, "
                f"d_out {_plain(self.widths_out)}."
            )
        for side, sites, widths in (("in", self.sites_in, self.widths_in), ("out", self.sites_out, self.widths_out)):
            if len(sites) != len(widths):
                raise BadInput(f"d_{side} gives {len(widths)} widths for {len(sites)} sites ({', '.join(sites)}).")
        if self.sites_in == self.sites_out and self.widths_in != self.widths_out:
            wanted, got = _plain(self.widths_in), _plain(self.widths_out)
            raise BadInput(f"An SAE reconstructs what it reads, so d_out must be d_in ({wanted}), not {got}.")

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
    def site_in(self) -> str:
        """The site it reads; BadInput if there are several (see `sites_in`)."""
        return the_only(self.sites_in, "reads")

    @property
    def site_out(self) -> str:
        """The site it writes; BadInput if there are several (see `sites_out`)."""
        return the_only(self.sites_out, "writes")

    @property
    def kind(self) -> str:
        """`sae`, `crosscoder`, `transcoder` or `skip_transcoder`."""
        if self.sites_in == self.sites_out:
            return "sae" if len(self.sites_in) == 1 else "crosscoder"
        return "transcoder" if self.W_skip is None else "skip_transcoder"

    def summary(self) -> str:
        """One sentence: what it is, between which sites, how wide, by which rule."""
        return described(self)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: its shape, without the weights."""
        return {"name": self.name, **shape_of(self)}

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by name."""
        return arrays_of(self.state_dict())

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
        """The forward pass of training and of long evaluations: as `forward`, without the silent latents.

        In training mode (`train()`) a sparsifier may look at the whole batch; in evaluation mode (`eval()`) it is `forward`.
        """
        code = self.sparsifier.code(x, self.W_enc, self.b_enc)
        return CodeOutput(self._add_linear(code.decode(self.W_dec), x), code)

    def penalty(
        self, code: Code, recons: Float[Tensor, "row d_out"], targets: Float[Tensor, "row d_out"]
    ) -> Tensor | None:
        """What the sparsifier's training minimises besides the mean squared error."""
        return self.sparsifier.penalty(self, code, recons, targets)

    def dead_reconstruction(
        self, x: Float[Tensor, "row d_in"], dead: Bool[Tensor, " d_dict"], k: int
    ) -> Float[Tensor, "row d_out"]:
        """What the k strongest dead latents of each row would write, see `dictionaries.dead`."""
        return dead_reconstruction(self.W_enc, self.b_enc, self.W_dec, x, dead, k)

    def revive(
        self,
        dead: Bool[Tensor, " d_dict"],
        x: Float[Tensor, "row d_in"],
        residual: Float[Tensor, "row d_out"],
        generator: torch.Generator,
    ) -> None:
        """Point dead latents at rows that are badly reconstructed, see `dictionaries.dead`."""
        revive(self, dead, x, residual, generator)

    def _add_linear(self, written: Tensor, x: Tensor | None) -> Tensor:
        if self.W_skip is None:
            return written + self.b_dec
        if x is None:
            raise BadInput("A skip transcoder decodes from latents and its input; call decode(latents, x).")
        return written + self.b_dec + x @ self.W_skip.T


def described(learned: Any) -> str:
    """A dictionary of any kind in one sentence."""
    sites = [", ".join(map(short_name, ends)) for ends in (learned.sites_in, learned.sites_out)]
    where = sites[0] if sites[0] == sites[1] else f"{sites[0]} → {sites[1]}"
    name = f"{learned.name}: " if learned.name else ""
    rule = ", ".join(_setting(key, value) for key, value in learned.sparsifier.config().items())
    return f"{name}{learned.kind.replace('_', ' ')} at {where}, {learned.d_in} → {learned.d_dict:,} → {learned.d_out} ({rule})."


def shape_of(dictionary: Any) -> dict[str, Any]:
    """What must be known to build the dictionary again, apart from its weights."""
    facts: dict[str, Any] = {
        "dictionary_kind": dictionary.kind,
        "d_in": dictionary.d_in,
        "d_dict": dictionary.d_dict,
        "d_out": dictionary.d_out,
        "skip": getattr(dictionary, "W_skip", None) is not None,
        "sparsifier": dictionary.sparsifier.config(),
    }
    for side in ("in", "out"):
        sites = getattr(dictionary, f"sites_{side}")
        facts[f"sites_{side}"], facts[f"widths_{side}"] = list(sites), list(getattr(dictionary, f"widths_{side}"))
        if len(sites) == 1:
            facts[f"site_{side}"] = sites[0]
    return facts


def _setting(key: str, value: Any) -> str:
    return str(value) if key == "name" else f"{key} {gist(value)}"


def _tuple(value: int | str | Sequence) -> tuple:
    return (value,) if isinstance(value, int | str) else tuple(value)


def _plain(widths: tuple[int, ...]) -> str:
    return " + ".join(str(w) for w in widths)


def the_only(sites: tuple[str, ...], does: str) -> str:
    """The one site there is."""
    if len(sites) != 1:
        raise BadInput(
            f"This dictionary {does} {len(sites)} sites ({', '.join(sites)}); what was asked for works with dictionaries of one."
        )
    return sites[0]


def SAE(d_in: int, d_dict: int, *, sparsifier: Sparsifier, site: str = "", seed: int = 0) -> Dictionary:
    """A sparse autoencoder of one site; its encoder starts as the transpose of its decoder.

    >>> sae = ow.SAE(64, 512, sparsifier=ow.TopK(8), site="resid_post.1")
    >>> sae.d_dict
    512
    """
    return Dictionary(d_in, d_dict, sparsifier=sparsifier, site_in=site, site_out=site, seed=seed)


def Transcoder(
    d_in: int,
    d_dict: int,
    d_out: int | Sequence[int] | None = None,
    *,
    sparsifier: Sparsifier,
    site_in: str = "input",
    site_out: str | Sequence[str] = "output",
    skip: bool = False,
    seed: int = 0,
) -> Dictionary:
    """A transcoder from one site to another (or to several: d_out then gives each one's width), with a linear path if `skip`.

    >>> ow.Transcoder(64, 512, sparsifier=ow.TopK(8), site_in="mlp_in.1", site_out="mlp_out.1").site_out
    'mlp_out.1'
    """
    if site_in == site_out:
        raise BadInput(
            f"A transcoder reads one site and predicts another, but both are '{site_in}'. Use SAE(...) for one site."
        )
    return Dictionary(
        d_in, d_dict, d_out, sparsifier=sparsifier, site_in=site_in, site_out=site_out, skip=skip, seed=seed
    )


def Crosscoder(
    widths: Sequence[int], d_dict: int, *, sparsifier: Sparsifier, sites: Sequence[str], seed: int = 0
) -> Dictionary:
    """A crosscoder of several sites: layers of one model, or one site of several models (see `pairs.JoinedPairs`).

    >>> both = ow.Crosscoder([64, 64], 512, sparsifier=ow.TopK(8), sites=["resid_post.1", "resid_post.2"])
    >>> len(both.sites_in)
    2
    """
    if len(sites) < 2:
        raise BadInput(f"A crosscoder joins two sites or more, but {list(sites)} was given. Use SAE(...) for one.")
    return Dictionary(widths, d_dict, sparsifier=sparsifier, site_in=sites, site_out=sites, seed=seed)
