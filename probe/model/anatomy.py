"""Which sites a model really has: looked up in one short forward pass, kept for the model's lifetime.

A hook's name promises more than every architecture keeps. A mixture of experts reports its output under the name of neurons,
Bloom adds the stream inside its MLP, latent attention lays heads out in another order, and some attention reports its pattern
under the name of scores. So the identities that everything else rests on are checked on a few tokens of the very model:

    resid_pre + attn_out = resid_mid        resid_mid + mlp_write = resid_post        softmax(scores) = pattern
    z W_O + b_O = what attention returns    mlp_post W_out + b_out = what the MLP returns
    logits = the model's output (before a soft-cap)

Where another hook of the model keeps the identity, it is used; a number that the model multiplies (logits of Cohere and Granite)
is a site's `factor`; else the model does not have the site, and `missing` says why.
"""

from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from probe.errors import BadInput
from probe.model.examination.identities import Examination
from probe.model.examination.readings import ROWS, probe_tokens
from probe.model.examination.spots import Anatomy, Spot
from probe.model.examination.tolerances import readable, same
from probe.model.site_kinds import GLOSSARY, Site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

__all__ = ["Anatomy", "Spot", "anatomy", "probe_tokens", "readable", "require_stream", "same_anatomy", "spot"]

_known: "WeakKeyDictionary[TransformerBridge, Anatomy]" = WeakKeyDictionary()
_examining = RLock()


def anatomy(model: "TransformerBridge") -> Anatomy:
    """What a model has. Raises Unavailable for a model that does not run."""
    if model not in _known:
        with _examining:  # two passes at once would read each other's hooks, and what they concluded would stay
            if model not in _known:
                found = Examination(model).result()
                found.stream_in_place = _stream_follows(model, found)
                _known[model] = found
    return _known[model]


def same_anatomy(made: "TransformerBridge", model: "TransformerBridge") -> None:
    """A copy has what its model has, where that is known."""
    if model in _known:
        _known[made] = _known[model]


def spot(site: Site, model: "TransformerBridge") -> Spot:
    """Where the model holds a site; BadInput says why it does not."""
    found = anatomy(model)
    if site not in found.spots:
        why = found.missing.get(site)
        raise BadInput(f"This model has no '{site.short}' ({GLOSSARY[site.kind].meaning}){f': {why}' if why else ''}.")
    return found.spots[site]


def require_stream(model: "TransformerBridge") -> None:
    """BadInput where a change of `resid_mid` would not reach the stream."""
    if not anatomy(model).stream_in_place:
        raise BadInput(
            "This model keeps its residual stream apart from what its MLPs read, so resid_mid cannot be changed there; "
            "change attn_out, resid_pre or resid_post."
        )


def _stream_follows(model: "TransformerBridge", found: Anatomy) -> bool:
    """Whether resid_post = resid_mid + mlp_write still holds when resid_mid is changed, in all layers of one pass."""
    layers = [s.layer for s in found.spots if s.kind == "resid_mid"]
    kept: dict[Site, Tensor] = {}

    def changer(at: Spot) -> Callable:
        def change(value: Tensor, hook: object) -> Tensor:
            changed = at.change(value, ROWS, lambda v: 3 * v.flip(-1) + 1)
            kept[at.site] = at.read(changed, ROWS).clone()
            return changed

        return change

    def reader(at: Spot) -> Callable:
        return lambda value, hook: kept.__setitem__(at.site, at.read(value, ROWS))

    hooks = [(found.spots[Site("resid_mid", i)].hook, changer(found.spots[Site("resid_mid", i)])) for i in layers]
    for kind in ("mlp_write", "resid_post"):
        hooks += [(at.hook, reader(at)) for i in layers if (at := found.spots.get(Site(kind, i))) is not None]
    with torch.no_grad(), model.hooks(fwd_hooks=hooks):
        model(probe_tokens(model))
    return all(
        same(kept[Site("resid_mid", i)] + kept[Site("mlp_write", i)], kept[Site("resid_post", i)])
        for i in layers
        if Site("mlp_write", i) in kept and Site("resid_post", i) in kept
    )
