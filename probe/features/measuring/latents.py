"""Units that are the latents of a dictionary."""

import hashlib
import json
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from probe.dictionaries import CrossLayerTranscoder, Dictionary, Entries
from probe.dictionaries.sparsifiers.codes import JoinedCode
from probe.errors import BadInput
from probe.features.measuring.sources import ADDED, RESIDUAL, Directions, Reads, Units, post_norm, through_post_norm
from probe.model.sites import parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache

AnyDictionary = Dictionary | CrossLayerTranscoder


def latents_of(model: "TransformerBridge", dictionary: AnyDictionary, cache: "Cache") -> Units:
    sites = tuple(cache.site(s) for s in dictionary.sites_in)
    for site, width in zip(sites, dictionary.widths_in, strict=True):
        if cache.width(site) != width:
            raise BadInput(
                f"The dictionary reads {width} dimensions of {parse_site(site).short}, where {cache.folder} holds "
                f"{cache.width(site)}. Use a cache of the model it was trained on."
            )
    told = latent_directions(model, dictionary)
    return Units(
        kind=told.kind,
        name=dictionary.name or dictionary.kind,
        n=told.n,
        sites=sites,
        layers=told.layers,
        module=_Latents(dictionary),
        signed=False,
        identity=_fingerprint(dictionary),
        writers=told.writers,
        decoder=told.decoder,
        reads=told.reads,
        convention={"active": "the latent is above 0", **told.convention},
    )


def latent_directions(model: "TransformerBridge", dictionary: AnyDictionary) -> Directions:
    """What its latents write and read."""
    writers, said = _written(model, dictionary)
    parts = _parts(dictionary)
    return Directions(
        kind="latent",
        n=dictionary.d_dict,
        layers=tuple((first, parse_site(part.sites_in[0]).layer or 0) for first, part in parts),
        writers=writers,
        decoder=writers if len(parts) > 1 and writers is not None else parts[0][1].W_dec.detach(),
        reads=tuple(_reads(first, part) for first, part in parts),
        convention={"writes": said},
    )


class _Latents:
    """What fires in a dictionary: its encoder and sparsifier alone, as in `Dictionary.run`, without the reconstruction."""

    def __init__(self, dictionary: AnyDictionary):
        self.parts = [part for _, part in _parts(dictionary.eval())]

    def __call__(self, *x: Tensor) -> Entries:
        own = x if len(self.parts) > 1 else (torch.cat(x, -1),)
        pairs = zip(self.parts, own, strict=True)
        codes = [part.sparsifier.code(some.to(part.W_enc), part.W_enc, part.b_enc) for part, some in pairs]
        return JoinedCode(codes).entries() if len(codes) > 1 else codes[0].entries()


def _parts(dictionary: AnyDictionary) -> list[tuple[int, Dictionary]]:
    """The dictionaries it consists of, and the first latent of each."""
    parts = list(dictionary.parts) if isinstance(dictionary, CrossLayerTranscoder) else [dictionary]
    firsts = [sum(p.d_dict for p in parts[:i]) for i in range(len(parts))]  # type: ignore[misc]
    return list(zip(firsts, parts, strict=True))  # type: ignore[arg-type]


def _reads(first: int, part: Dictionary) -> Reads:
    weights = part.W_enc.detach().t().split(part.widths_in, 1)
    return Reads(
        first, first + part.d_dict, tuple((parse_site(s), w) for s, w in zip(part.sites_in, weights, strict=True))
    )


def _written(model: "TransformerBridge", dictionary: AnyDictionary) -> tuple[Tensor | None, str]:
    """The direction each latent adds to the residual stream, and the convention in words."""
    sites = [parse_site(s, model) for s in dictionary.sites_out]
    if any(s.kind not in RESIDUAL for s in sites):
        return None, f"{sites[-1].short} is not in the residual stream, so no tokens are promoted or suppressed by it"
    summed = len(sites) > 1 and all(s.kind in ADDED for s in sites)
    written = []
    for _, part in _parts(dictionary):
        pieces = [
            through_post_norm(model, parse_site(site), rows.detach().float())
            for site, rows in zip(part.sites_out, part.W_dec.split(part.widths_out, 1), strict=True)
        ]
        written.append(torch.stack(pieces).sum(0) if summed else pieces[-1])
    what = "decoder rows" if len(sites) == 1 else "decoder rows, summed over the sites written" if summed else ""
    what = what or f"decoder rows of the last site, {sites[-1].short}"
    post = any(post_norm(model, s) for s in sites)
    return torch.cat(written), what + (" after the post-norm's weight (its divisor left out)" if post else "")


def _fingerprint(dictionary: AnyDictionary) -> str:
    """12 hex digits over kind, sites and weights."""
    said = [dictionary.kind, *dictionary.sites_in, *dictionary.sites_out, dictionary.sparsifier.config()]
    digest = hashlib.blake2b(json.dumps(said).encode(), digest_size=6)
    for name, weight in sorted(dictionary.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
