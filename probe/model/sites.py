"""Sites by name: what people write, and whether a model has it. The glossary of axes and sites is in `probe.model.site_kinds`."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from probe.errors import BadInput, brief
from probe.model.site_kinds import (
    GLOSSARY,
    Site,
    SiteKind,
    layered,
    mlp_in,
    mlp_out,
    resid_post,
    resid_pre,
    spellings,
    spellings_of,
)
from probe.model.unit_names import UnitName, nearly

if TYPE_CHECKING:
    import torch
    from transformer_lens.model_bridge import TransformerBridge

__all__ = [
    "GLOSSARY",
    "Site",
    "SiteKind",
    "as_dtype",
    "axis_size",
    "expanded",
    "hook_name",
    "in_model",
    "layers_with",
    "mlp_in",
    "mlp_out",
    "parse_site",
    "parse_sites",
    "resid_post",
    "resid_pre",
    "short_name",
    "site_named",
    "sites_of",
    "spellings",
    "width",
]


def _suggest(text: str, layer: int | None) -> str:
    """The closest known spellings, for the end of an error message."""
    at = 0 if layer is None else layer
    known = {s: s for kind in GLOSSARY for s in spellings_of(kind, at if layered(kind) else None)}
    close = difflib.get_close_matches(text, known, n=3, cutoff=0.6)
    if not close:
        return f" Sites are named like {', '.join(list(_examples())[:4])}."
    return f" Did you mean {' or '.join(close)}?"


def _examples() -> list[str]:
    return [f"{kind}.0" if layered(kind) else kind for kind in ("resid_post", "mlp_in", "mlp_out", "embed")]


def parse_site(text: "str | Site", model: "TransformerBridge | None" = None) -> Site:
    """The site that `text` names: canonical, short or older spelling. With a model, it must exist there.

    Raises BadInput with the nearest names when nothing matches, when the layer is missing, or when the model lacks it.

    >>> ow.parse_site("resid_post.-1", model).name
    'blocks.3.hook_resid_post'
    """
    if isinstance(text, Site):
        return in_model(_from_the_end(text, model), model) if model is not None else text
    site = site_named(text)
    if model is not None:
        return in_model(_from_the_end(site, model), model)
    if (site.layer or 0) < 0:
        raise BadInput(f"'{text}' counts layers from the end, and which model's is not known here; name the layer.")
    return site


def site_named(text: str) -> Site:
    """The same before any model is known: its layer may count from the end."""
    if not isinstance(text, str):
        raise BadInput(f"A site is named in text, like resid_post.5; {type(text).__name__} {str(text)[:40]} came.")
    found = re.search(r"\.(-?\d+)(?=\.|$)", text)
    layer = int(found.group(1)) if found else None
    for kind in GLOSSARY:
        if text in spellings_of(kind, layer if layered(kind) else None) and (layer is not None or not layered(kind)):
            return Site(kind, layer if layered(kind) else None)
    if text in GLOSSARY:
        raise BadInput(f"'{text}' exists in every layer; say which, like {text}.4, or all of them, {text}.*.")
    unit = UnitName.typed(text) if text[:1] in "lL" else None
    if unit is not None and unit.kind != "latent":
        kind = "z" if unit.kind == "head" else "mlp_post"
        raise BadInput(f"'{text}' is a {unit.kind} and no site; for a {unit.kind} read {kind}.{unit.layer}.")
    raise BadInput(f"There is no site '{text}'.{nearly(text) or _suggest(text, layer)}")


def parse_sites(texts: "str | Site | Iterable[str | Site]", model: "TransformerBridge") -> list[Site]:
    """The sites that texts name, each once, in the order of the forward pass; `resid_post.*` and `resid_post` are every layer's.

    Raises BadInput for what `parse_site` refuses, and where nothing is named.
    """
    given = [texts] if isinstance(texts, str | Site) else texts
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise BadInput(f"Sites are named in text, like resid_post.5, one or a list of them; {brief(texts)} came.")
    found = {site for one in given for site in _every_layer(one, model)}
    if not found:
        raise BadInput("No site was named; name at least one, like mlp_in.4.")
    return sorted(found, key=lambda s: s.depth)


def expanded(texts: "str | Site | Iterable[str | Site]", held: Iterable[str]) -> "list[str | Site]":
    """Sites of something stored: `resid_post.*` becomes those of its kind among `held`, others stay as they are."""
    names, found = list(held), []
    for one in [texts] if isinstance(texts, str | Site) else texts:
        kind = one.removesuffix(".*") if isinstance(one, str) else ""
        every = [name for name in names if kind in GLOSSARY and layered(kind) and parse_site(name).kind == kind]
        found += every if every and isinstance(one, str) and one in (kind, f"{kind}.*") else [one]
    return found


def _every_layer(text: "str | Site", model: "TransformerBridge") -> list[Site]:
    kind = text.kind if isinstance(text, Site) else str(text).removesuffix(".*")
    named = not isinstance(text, Site) or text.layer is None
    if named and kind in GLOSSARY and layered(kind):
        found = [Site(kind, i) for i in range(model.cfg.n_layers) if hook_name(Site(kind, i), model) is not None]
        return found or [parse_site(Site(kind, 0), model)]
    return [parse_site(text, model)]


def _from_the_end(site: Site, model: "TransformerBridge") -> Site:
    """The site with its layer counted from the start, if that is possible; `in_model` refuses what is left."""
    layer, n = site.layer, int(model.cfg.n_layers)
    return replace(site, layer=layer + n) if layer is not None and -n <= layer < 0 else site


def in_model(site: Site, model: "TransformerBridge") -> Site:
    """The same site, if this model has it; BadInput otherwise."""
    n_layers = model.cfg.n_layers
    if site.layer is not None and not 0 <= site.layer < n_layers:
        raise BadInput(f"'{site.short}' asks for layer {site.layer}, but this model has layers 0 to {n_layers - 1}.")
    from probe.model.anatomy import spot  # looks at tensors; sites are named before torch is loaded

    spot(site, model)
    return site


def hook_name(site: Site, model: "TransformerBridge") -> str | None:
    """The name under which this model's hooks hold the site, or None: the canonical one, or another that holds what the glossary
    says (`probe.model.anatomy`). Parallel blocks have no `resid_mid`; models without post-norms hold `mlp_write` and
    `mlp_out` at one place.
    """
    from probe.model.anatomy import anatomy

    found = anatomy(model).spots.get(site)
    return None if found is None else found.hook


def width(site: Site, model: "TransformerBridge") -> int:
    """Numbers per token at a site, all heads together; BadInput where it depends on the prompt, or is a single number."""
    from probe.model.anatomy import spot

    if "q_pos" in site.axes or site.axes[-1] == "1":
        raise BadInput(f"'{site.short}' has axes {' '.join(site.axes)}, so it has no width that could be cached.")
    return spot(site, model).width


def axis_size(site: Site, axis: str, model: "TransformerBridge") -> int:
    """How long one of the trailing axes of a site is in this model: `head`, `d_head`, `d_mlp`, ..."""
    from probe.model.anatomy import spot

    return spot(site, model).sizes[axis]


def sites_of(model: "TransformerBridge") -> list[Site]:
    """Every site of the glossary that this model has, in the order of the forward pass.

    >>> len(ow.sites_of(model)) > 50
    True
    """
    layers: list[int] = list(range(model.cfg.n_layers))
    every = [Site(k, layer) for k in GLOSSARY for layer in (layers if layered(k) else [None])]
    return sorted((s for s in every if hook_name(s, model) is not None), key=lambda s: s.depth)


def layers_with(kind: str, model: "TransformerBridge") -> list[int]:
    """Layers in which this model has sites of a kind: all, or in hybrids those with attention, or with neurons."""
    return [i for i in range(model.cfg.n_layers) if hook_name(Site(kind, i), model) is not None]


def as_dtype(name: str) -> "torch.dtype":
    """`float32`, `bfloat16`, `float16` or `float64` as a torch dtype."""
    import torch  # the only use here; the dashboard names sites before it loads torch

    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
    if name not in known:
        raise BadInput(f"'{name}' is no dtype Openwork uses; choose one of {', '.join(known)}.")
    return known[name]


def short_name(site: str) -> str:
    """`resid_post.5` for a site's whole name; what names no site stays as it is."""
    try:
        return parse_site(site).short if site else "no site"
    except BadInput:
        return site
