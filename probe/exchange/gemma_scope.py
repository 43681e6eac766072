"""Gemma Scope: `params.npz` (the first release) and `params.safetensors` (the second, with lower-case names).

JumpReLU on raw activations: latents = pre * (pre > threshold) with pre = x @ W_enc + b_enc, recons = latents @ W_dec + b_dec, and
in the second release of transcoders x @ affine_skip_connection besides. The files do not say where they read; the names of
their folders do (`layer_12/width_16k/average_l0_82` in a repository named after the site).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from probe.dictionaries.store import AnyDictionary
from probe.errors import BadInput
from probe.exchange.files import facts_of, read_mapping, read_npz, read_safetensors, take
from probe.exchange.foreign import Foreign, Format, folders_with, one, refuse_rule
from probe.exchange.settings import one_of, only_known
from probe.exchange.weights import Weights, jump_relu, thresholds
from probe.model.sites import Site

NPZ, SAFETENSORS = "params.npz", "params.safetensors"
READ = ("architecture", "affine_connection", "hf_hook_point_in", "hf_hook_point_out", "width", "model_name", "type")
HARMLESS = ("l0", "dtype", "d_in", "d_sae", "num_tokens", "training_tokens", "layer", "site", "sparsity", "initial_l0")
_KINDS = {
    "res": "resid_post",
    "resid_post": "resid_post",
    "att": "z",
    "attn_out": "z",
    "mlp": "mlp_write",
    "mlp_out": "mlp_write",
    "transcoders": "mlp_in",
    "transcoder": "mlp_in",
    "clt": "mlp_in",
}
_REPOSITORY = re.compile(r"(?:.*[-_/])?gemma-scope-.*-(res|att|mlp|transcoders)(?:-canonical)?")  # of the first release
_FOLDER = re.compile(r"(resid_post|attn_out|mlp_out|transcoder|clt)(?:_all)?")  # of the second
_LAYER = re.compile(r"layer_(\d+)(?:_width_.*)?")
_HOOK = re.compile(r"(?:model\.)?(?:language_model\.)?layers\.(\d+)\.(.+)")
_HOOKS = {
    "output": "resid_post",
    "self_attn.o_proj.input": "z",
    "post_feedforward_layernorm.output": "mlp_write",
    "pre_feedforward_layernorm.output": "mlp_in",
}


def find(root: Path) -> list[str]:
    if root.is_file():
        return ["."] if root.suffix == ".npz" else []
    return sorted({*folders_with(root, NPZ), *folders_with(root, SAFETENSORS)})


def read(root: Path, name: str) -> Foreign:
    path = root if root.is_file() else root / name / NPZ
    path = path if path.is_file() else path.with_name(SAFETENSORS)
    found = weights(read_npz(path) if path.suffix == ".npz" else read_safetensors(path), str(path)).sound(str(path))
    beside = path.with_name("config.json")
    config = read_mapping(beside) if beside.is_file() else {}
    only_known(config, READ, HARMLESS, str(beside))
    one_of(config, "architecture", (None, "jump_relu", "jumprelu"), str(beside))
    if config.get("affine_connection") and found.W_skip is None:
        raise BadInput(f"{beside} says that there is an affine connection, and {path.name} holds none.")
    site_in, site_out = _of_hooks(config) or _sites(path, found.W_skip is not None)
    facts = facts_of(config, ("model_name", "hf_hook_point_in", "hf_hook_point_out"))
    return Foreign(str(path), (found,), (site_in,), (site_out,), facts)


def _of_hooks(config: Mapping[str, Any]) -> tuple[str, str] | None:
    """The sites that the settings name, where they do (the second release)."""
    named = [config.get(f"hf_hook_point_{side}") for side in ("in", "out")]
    if not isinstance(named[0], str):
        return None
    source = _of_hook(named[0])
    return source, _of_hook(named[1]) if isinstance(named[1], str) else source


def _of_hook(name: str) -> str:
    found = _HOOK.fullmatch(name)
    kind = _HOOKS.get(found.group(2)) if found else None
    return Site(kind, int(found.group(1))).name if found and kind else name


def _sites(path: Path, transcodes: bool) -> tuple[str, str]:
    """From the folders' names, where they give them, the innermost first. Transcoders of the first release read before the norm's
    weight, those of the second what the MLP reads; attention SAEs read heads side by side."""
    parts = path.resolve().parent.parts[::-1]
    if "embedding" in parts:
        raise BadInput(f"{path} reads embeddings divided by the square root of their width, which no site holds.")
    layer = next((found for part in parts if (found := _LAYER.fullmatch(part))), None)
    named = next((found for part in parts if (found := _FOLDER.fullmatch(part) or _REPOSITORY.fullmatch(part))), None)
    kind = _KINDS[named.group(1)] if named else "mlp_in" if transcodes else ""
    if not (kind and layer):
        return ("input", "output") if kind == "mlp_in" else ("", "")
    source = Site(kind, int(layer.group(1))).name
    if kind != "mlp_in":
        return source, source
    first = f"blocks.{layer.group(1)}.ln2.hook_normalized"
    return first if path.suffix == ".npz" else source, Site("mlp_write", int(layer.group(1))).name


def weights(tensors: Mapping[str, Tensor], source: str) -> Weights:
    """From either release's names. BadInput for other tensors."""
    named = {f"W_{name[2:]}" if name.startswith("w_") else name: value for name, value in tensors.items()}
    t = take(
        named, source, ("W_enc", "W_dec", "b_enc", "b_dec", "threshold"), ("affine_skip_connection", "scaling_factor")
    )
    if "scaling_factor" in t and not bool((t["scaling_factor"] == 1).all()):
        raise BadInput(f"{source} rescales latents by a fine-tuned factor (scaling_factor); that is not read.")
    rule, learned = jump_relu(t["threshold"])
    skip = t["affine_skip_connection"].T if "affine_skip_connection" in t else None
    return Weights(t["W_enc"], t["b_enc"], t["W_dec"], t["b_dec"], rule, learned, skip)


def write(dictionaries: Sequence[AnyDictionary], folder: Path, facts: Mapping[str, Any]) -> None:
    """The first release's `params.npz`. Rules of thresholds only."""
    dictionary = one(dictionaries, "Gemma Scope")
    plain = Weights.of(dictionary)
    threshold = thresholds(plain)
    if threshold is None or plain.W_skip is not None:
        raise refuse_rule(dictionary, "Gemma Scope", "thresholds (JumpReLU, BatchTopK) without a linear path")
    tensors = {"W_enc": plain.W_enc, "W_dec": plain.W_dec, "b_enc": plain.b_enc, "b_dec": plain.b_dec}
    arrays = {name: value.float().numpy() for name, value in {**tensors, "threshold": threshold}.items()}
    np.savez(folder / NPZ, **arrays)


FORMAT = Format(
    "gemma-scope", "Gemma Scope: params.npz, or params.safetensors of the second release", find, read, write
)
