"""What other libraries call a place in the model, in Openwork's names and back.

transformer-lens's hook names are Openwork's own. Module paths (`layers.10.mlp`, `transformer.h.3`) name what a module returns;
a transcoder there reads what the module is given. A name nobody knows is kept as it is: such a dictionary encodes and
decodes, and says so where it is to be put into a model.
"""

import re
from typing import TYPE_CHECKING

from probe.errors import BadInput
from probe.model.sites import Site, hook_name, parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_MODULE = re.compile(r"((?:\w+\.)*)(?:layers|h|blocks|block|layer)\.(\d+)(?:\.(\w+))?")
_OWNERS = {
    "model",
    "language_model",
    "text_model",
    "transformer",
    "decoder",
    "gpt_neox",
    "backbone",
    "base_model",
    "lm",
    "llm",
}
"""What a model calls the part that holds its blocks of text; a vision tower has layers too."""
_PARTS = {
    None: ("resid_pre", "resid_post"),
    **dict.fromkeys(("mlp", "feed_forward", "ffn"), ("mlp_in", "mlp_out")),
    **dict.fromkeys(("self_attn", "attn", "attention", "self_attention"), ("attn_in", "attn_out")),
}
_NORMALISED = re.compile(r"blocks\.(\d+)\.(ln1|ln2)\.hook_normalized")


def ours(name: str) -> str:
    """The canonical name of a hook, or the name as it is."""
    try:
        return parse_site(name).name
    except BadInput:
        return name


def of_module(path: str, transcodes: bool) -> tuple[str, str]:
    """Sites read and written by a dictionary that was trained at a module."""
    found = _MODULE.fullmatch(path)
    if found and not set(found.group(1).split(".")) - {""} <= _OWNERS:
        found = None
    kinds = _PARTS.get(found.group(3)) if found else None
    if found is None or kinds is None:
        return (f"{path} (input)", path) if transcodes else (path, path)
    source, target = (Site(kind, int(found.group(2))).name for kind in kinds)
    return (source if transcodes else target), target


def module_of(source: str, target: str, layers: str = "layers") -> str | None:
    """The module path that `of_module` reads as these two sites, or None."""
    try:
        ends = parse_site(source), parse_site(target)
    except BadInput:
        return None
    for part in (None, "mlp", "self_attn"):
        path = f"{layers}.{ends[1].layer}" + (f".{part}" if part else "")
        if of_module(path, source != target) == (ends[0].name, ends[1].name):
            return path
    return None


def normalised(name: str) -> tuple[int, str] | None:
    """Layer and norm where a hook holds what a norm computes before its weight, else None."""
    found = _NORMALISED.fullmatch(name)
    return (int(found.group(1)), found.group(2)) if found else None


def settled(name: str, model: "TransformerBridge") -> str:
    """The site's name in this model; where it has no post-norm, what an MLP writes is what it returns. BadInput without one."""
    try:
        site = parse_site(name, model)
    except BadInput as error:
        raise BadInput(f"The file gives '{name}' as a place in the model. {error} Say which site is meant.") from error
    if site.kind == "mlp_write" and hook_name(Site("ln2_post_scale", site.layer), model) is None:
        return Site("mlp_out", site.layer).name
    return site.name
