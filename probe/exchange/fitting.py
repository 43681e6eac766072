"""An imported dictionary is put into a model: on sites it has, of the widths they have.

The one hook of other libraries that is no site holds what a norm computes before its weight and bias. Both are affine, so they
go into the weights of the dictionary, which then reads (and, an SAE, writes) the site after the norm.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from probe.dictionaries.store import AnyDictionary
from probe.errors import BadInput
from probe.exchange.foreign import Foreign
from probe.exchange.places import normalised, settled
from probe.model.norms import norm_parts
from probe.model.sites import Site, hook_name, parse_site, width

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def fitted(foreign: Foreign, model: "TransformerBridge") -> Foreign:
    """The same dictionary on sites of the model. BadInput where the model has none that holds what it was trained on."""
    before_weight = normalised(foreign.sites_in[0])
    if before_weight is not None and not foreign.cross_layer:
        foreign = _after_norm(foreign, model, *before_weight)
    if any(name.split(".")[0] in ("", "input", "output") for name in (*foreign.sites_in, *foreign.sites_out)):
        raise BadInput(
            f"{foreign.source} does not say where in the model it belongs. Give site_in, and site_out of a transcoder; of a "
            "cross-layer transcoder, write the hooks into its config.yaml."
        )
    if "hookpoint" in foreign.facts and any(_between_norms(name, model) for name in foreign.sites_out):
        raise BadInput(
            f"{foreign.source} was trained on what attention returns. This model normalises that before it writes it, and no "
            "site holds it; import it without a model."
        )
    foreign = replace(
        foreign,
        sites_in=tuple(settled(name, model) for name in foreign.sites_in),
        sites_out=tuple(settled(name, model) for name in foreign.sites_out),
    )
    return _uncentred(foreign, model) if foreign.centred and model_centres(model) else foreign


STREAM = (
    "resid_pre",
    "resid_mid",
    "resid_post",
    "attn_out",
    "mlp_out",
    "attn_write",
    "mlp_write",
    "embed",
    "pos_embed",
)
"""Sites along which a centred model has no mean."""


def needs_a_model(foreign: Foreign) -> bool:
    """Whether only the model can say what the dictionary reads: its stream had no mean, if its norms are layer norms."""
    return foreign.centred and _on_stream(foreign.sites_in)


def _on_stream(sites: Sequence[str]) -> bool:
    def kind(name: str) -> str:
        try:
            return parse_site(name).kind
        except BadInput:
            return ""

    return any(kind(name) in STREAM for name in sites)


def model_centres(model: "TransformerBridge") -> bool:
    """Whether the norms take the mean off, so that centring what is written changes no prediction (and was done at all)."""
    norm = getattr(model.blocks[0], "ln1", None) or getattr(model.blocks[0], "ln2", None)
    return norm is not None and norm_parts(norm, torch.zeros(1)).centred


def _uncentred(foreign: Foreign, model: "TransformerBridge") -> Foreign:
    """The encoder sees the stream without its mean, as it did in training; what is written lacks a mean that nothing reads."""
    if not _on_stream(foreign.sites_in):
        return foreign
    d = int(model.cfg.d_model)
    away = torch.eye(d, dtype=torch.float64) - 1 / d
    if any(len(weights.W_enc) != d for weights in foreign.weights):
        raise BadInput(f"{foreign.source} reads another width than the {d} of this model's stream.")
    facts = {**foreign.facts, "mean": "taken out of the encoder's input"}
    return replace(foreign, weights=tuple(weights.reads(away) for weights in foreign.weights), facts=facts)


def _between_norms(name: str, model: "TransformerBridge") -> bool:
    """Whether what a module of attention returns is not what attention writes."""
    found = re.fullmatch(r"blocks\.(\d+)\.hook_attn_out", name)
    return found is not None and hook_name(Site("ln1_post_scale", int(found.group(1))), model) is not None


def _after_norm(foreign: Foreign, model: "TransformerBridge", layer: int, norm: str) -> Foreign:
    """x before the norm's weight is (site - bias) / weight; layer norms of unprepared models had both in the hook already."""
    site = parse_site(Site("mlp_in" if norm == "ln2" else "attn_in", layer), model)
    is_sae, weights = foreign.sites_in == foreign.sites_out, foreign.weights[0]
    parts = norm_parts(getattr(model.blocks[layer], norm), weights.W_enc)
    scale, shift, facts = parts.weight.cpu(), parts.bias.cpu(), foreign.facts
    if len(scale) != len(weights.W_enc):
        raise BadInput(
            f"{foreign.source} reads {len(weights.W_enc)} numbers; {site.short} holds {len(scale)} in this model."
        )
    if foreign.norm_is_plain or not parts.centred:
        if bool((scale == 0).any()):
            raise BadInput(
                f"The norm's weight of layer {layer} has zeros, so {foreign.source} cannot be made to read after it."
            )
        weights = weights.reads(1 / scale, shift)
        weights = weights.writes(scale, shift) if is_sae else weights
        facts = {**facts, "folded": f"weight and bias of blocks.{layer}.{norm}"}
    sites_out = (site.name,) if is_sae else foreign.sites_out
    return replace(foreign, weights=(weights,), sites_in=(site.name,), sites_out=sites_out, facts=facts)


def check_widths(dictionary: AnyDictionary, source: str, model: "TransformerBridge") -> None:
    """BadInput if a site is of another width in the model."""
    for sites, widths in ((dictionary.sites_in, dictionary.widths_in), (dictionary.sites_out, dictionary.widths_out)):
        for name, have in zip(sites, widths, strict=True):
            site = parse_site(name, model)
            if have != (want := width(site, model)):
                raise BadInput(f"{source} has {have} numbers at {site.short}, which is {want} wide in this model.")
