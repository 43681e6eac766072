"""circuit-tracer folders: `config.yaml` beside one safetensors file a layer, or beside those of a cross-layer transcoder.

A set of transcoders is `layer_{l}.safetensors` with W_enc (d_dict, d_in), W_dec (d_dict, d_out), b_enc, b_dec, and, where there
are any, W_skip (x @ W_skip.T) and activation_function.threshold. A cross-layer transcoder is `W_enc_{l}.safetensors` and
`W_dec_{l}.safetensors`, W_dec_{l} being (d_dict, n_layers - l, d_out); its output biases are one a layer. The config
names the hooks without their `blocks.{l}.`; all layers from 0 on must be there, and of one width.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from probe.dictionaries import CrossLayerTranscoder, Dictionary, ReLU, Sparsifier, TopK
from probe.dictionaries.store import AnyDictionary
from probe.errors import BadInput
from probe.exchange import gemma_scope
from probe.exchange.files import facts_of, read_mapping, read_npz, read_safetensors, setting, take, write_tensors
from probe.exchange.foreign import Foreign, Format, plain, refuse_rule
from probe.exchange.hub import fetch_file
from probe.exchange.places import ours
from probe.exchange.settings import only_known
from probe.exchange.weights import Weights, inner, jump_relu, thresholds

CONFIG, THRESHOLD, CROSS = "config.yaml", "activation_function.threshold", "cross_layer"
READ = ("model_name", "model_kind", "feature_input_hook", "feature_output_hook", "transcoders", "activation", "k")
HARMLESS = (
    "scan",
    "name",
    "description",
    "license",
    "repo_id",
    "subfolder",
    "revision",
    "url",
    "urls",
    "lazy_encoder",
    "lazy_decoder",
)


def find(root: Path) -> list[str]:
    config = _config(root)
    if config.get("model_kind") == "cross_layer_transcoder" or (root / "W_enc_0.safetensors").is_file():
        return [CROSS]
    listed = config.get("transcoders")
    return [f"layer_{layer}" for layer in range(len(listed) if isinstance(listed, list) else _count(root, "layer_{}"))]


def _config(root: Path) -> dict[str, Any]:
    config = read_mapping(root / CONFIG) if (root / CONFIG).is_file() else {}
    return config if "model_kind" in config else {}


def _count(root: Path, pattern: str) -> int:
    """How many layers have a file. BadInput if one is left out."""
    there = {int(m.group(1)) for path in root.glob(pattern.format("*") + ".safetensors") if (m := _numbered(path))}
    if there and there != set(range(max(there) + 1)):
        missing = sorted(set(range(max(there) + 1)) - there)
        raise BadInput(
            f"{root} lacks {pattern.format(missing[0])}.safetensors; all layers up to {max(there)} are needed."
        )
    return len(there)


def _numbered(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r".*_(\d+)", path.stem)


def read(root: Path, name: str) -> Foreign:
    config = _config(root)
    only_known(config, READ, HARMLESS, str(root))
    facts = facts_of(config, ("model_name", "scan", "feature_input_hook", "feature_output_hook"))
    if name == CROSS:
        return _read_cross(root, config, facts)
    layer = int(name.removeprefix("layer_"))
    path = _layer_file(root, config, layer)
    tensors = read_npz(path) if path.suffix == ".npz" else read_safetensors(path)
    weights = _layer(tensors, config, str(path)).sound(str(path))
    return Foreign(str(path), (weights,), _hooks(config, "input", [layer]), _hooks(config, "output", [layer]), facts)


def _layer_file(root: Path, config: Mapping[str, Any], layer: int) -> Path:
    listed = config.get("transcoders")
    where = str(listed[layer]) if isinstance(listed, list) else f"layer_{layer}.safetensors"
    if where.startswith("hf://"):
        return fetch_file(where)
    if not (root / where).resolve().is_relative_to(root.resolve()):
        raise BadInput(f"{root / CONFIG} names {where}, which is outside its folder; it was not read.")
    return root / where


def _layer(tensors: Mapping[str, Tensor], config: Mapping[str, Any], source: str) -> Weights:
    if "w_enc" in tensors or source.endswith(".npz"):
        return gemma_scope.weights(tensors, source)
    t = take(tensors, source, ("W_enc", "W_dec", "b_enc", "b_dec"), ("W_skip", THRESHOLD, "k"))
    if "k" in t:  # a TopK transcoder may carry its k beside its weights
        config = {**config, "activation": "topk", "k": int(t["k"].reshape(-1)[0])}
    rule, learned = _rule(config, t.get(THRESHOLD), source)
    return Weights(t["W_enc"].T, t["b_enc"], t["W_dec"], t["b_dec"], rule, learned, t.get("W_skip"))


def _rule(config: Mapping[str, Any], threshold: Tensor | None, source: str) -> tuple[Sparsifier, dict[str, Tensor]]:
    if threshold is not None:
        return jump_relu(threshold)
    activation = config.get("activation", "relu")
    if activation == "topk":
        return TopK(setting(config, "k", int, source)), {}
    if activation != "relu":
        raise BadInput(f"{source} uses the activation '{activation}'; relu, topk and thresholds have a counterpart.")
    return ReLU(), {}


def _hooks(config: Mapping[str, Any], side: str, layers: Sequence[int]) -> tuple[str, ...]:
    """Our names of the config's hook at each layer; where it gives none, `input` or `output`."""
    hook = config.get(f"feature_{side}_hook")
    if not isinstance(hook, str):
        return tuple(side if len(layers) == 1 else f"{side}.{layer}" for layer in layers)
    return tuple(ours(f"blocks.{layer}.{hook.removesuffix('.hook_out_grad')}") for layer in layers)


def _read_cross(root: Path, config: Mapping[str, Any], facts: dict[str, Any]) -> Foreign:
    n = _count(root, "W_enc_{}")
    if not n:
        raise BadInput(f"{root} should hold a cross-layer transcoder, but it has no W_enc_0.safetensors.")
    layers = [_cross_layer(root, config, layer, n) for layer in range(n)]
    sites = _hooks(config, "input", range(n)), _hooks(config, "output", range(n))
    return Foreign(str(root), tuple(layers), *sites, facts)


def _cross_layer(root: Path, config: Mapping[str, Any], layer: int, n: int) -> Weights:
    """One layer's latents; of all that write to an output, its own layer's adds the output's bias."""
    source, own = str(root / f"W_enc_{layer}.safetensors"), f"_{layer}"
    t = take(
        read_safetensors(Path(source)), source, (f"W_enc{own}", f"b_enc{own}", f"b_dec{own}"), (f"threshold{own}",)
    )
    decoder = str(root / f"W_dec_{layer}.safetensors")
    W_dec = take(read_safetensors(Path(decoder)), decoder, (f"W_dec{own}",))[f"W_dec{own}"]
    if W_dec.ndim != 3 or W_dec.shape[1] != n - layer:
        raise BadInput(f"{decoder} is {tuple(W_dec.shape)}; layer {layer} of {n} writes to {n - layer} layers.")
    rule, learned = _rule(config, t.get(f"threshold{own}"), source)
    b_dec = torch.cat([t[f"b_dec{own}"], W_dec.new_zeros((n - layer - 1) * W_dec.shape[2])])
    return Weights(t[f"W_enc{own}"].T, t[f"b_enc{own}"], W_dec.flatten(1), b_dec, rule, learned).sound(source)


def write(dictionaries: Sequence[AnyDictionary], folder: Path, facts: Mapping[str, Any]) -> None:
    """A set of transcoders, one a layer, or one cross-layer transcoder."""
    if len(dictionaries) == 1 and isinstance(dictionaries[0], CrossLayerTranscoder):
        _write_cross(dictionaries[0], folder, facts)
        return
    ordered = sorted((plain(d, "circuit-tracer") for d in dictionaries), key=lambda d: _split(d.site_in)[0])
    _check_set(ordered)
    for layer, dictionary in enumerate(ordered):
        _write_layer(dictionary, folder / f"layer_{layer}.safetensors")
    _write_config(folder, "transcoder_set", ordered[0].site_in, ordered[0].site_out, ordered[0].sparsifier, facts)


def _split(site: str) -> tuple[int, str]:
    """Layer and hook of a site."""
    found = re.fullmatch(r"blocks\.(\d+)\.(.+)", site)
    if found is None:
        raise BadInput(f"circuit-tracer wants places in a layer; '{site}' is none. Import or train it with its sites.")
    return int(found.group(1)), found.group(2)


def _check_set(ordered: Sequence[Dictionary]) -> None:
    ends = [(*_split(d.site_in), *_split(d.site_out), d.d_dict) for d in ordered]
    layers, hooks = [e[0] for e in ends], {(e[1], e[3], e[4]) for e in ends}
    if layers != list(range(len(layers))):
        raise BadInput(f"circuit-tracer needs one transcoder for every layer from 0 on; given are layers {layers}.")
    if len(hooks) > 1 or any(e[0] != e[2] for e in ends) or any(d.kind == "sae" for d in ordered):
        raise BadInput(
            "circuit-tracer needs transcoders that read one hook, write another of the same layer, and are of one width."
        )
    if len({str(inner(d.sparsifier).config().get("k")) + inner(d.sparsifier).name for d in ordered}) > 1:
        raise BadInput("circuit-tracer needs one rule for all layers; the given transcoders differ in theirs.")


def _write_layer(dictionary: Dictionary, path: Path) -> None:
    weights = Weights.of(dictionary)
    tensors = {"W_enc": weights.W_enc.T, "W_dec": weights.W_dec, "b_enc": weights.b_enc, "b_dec": weights.b_dec}
    if weights.W_skip is not None:
        tensors["W_skip"] = weights.W_skip
    if (threshold := _threshold(dictionary, weights)) is not None:
        tensors[THRESHOLD] = threshold
    write_tensors(tensors, path, dictionary.W_enc.dtype)


def _threshold(dictionary: Dictionary, weights: Weights) -> Tensor | None:
    threshold = thresholds(weights)
    if threshold is None and not isinstance(inner(dictionary.sparsifier), ReLU | TopK):
        raise refuse_rule(dictionary, "circuit-tracer", "ReLU, TopK, and thresholds (JumpReLU, BatchTopK)")
    return threshold


def _write_cross(dictionary: CrossLayerTranscoder, folder: Path, facts: Mapping[str, Any]) -> None:
    _check_cross(dictionary)
    n, width = len(dictionary.parts), dictionary.widths_out[0]
    layers = [Weights.of(part) for part in dictionary.parts]
    for layer, weights in enumerate(layers):
        bias = sum(earlier.b_dec[(layer - i) * width :][:width] for i, earlier in enumerate(layers[: layer + 1]))
        tensors = {f"W_enc_{layer}": weights.W_enc.T, f"b_enc_{layer}": weights.b_enc, f"b_dec_{layer}": bias}
        if (threshold := _threshold(dictionary.parts[layer], weights)) is not None:
            tensors[f"threshold_{layer}"] = threshold
        save = partial(write_tensors, dtype=dictionary.W_enc.dtype)
        save(tensors, folder / f"W_enc_{layer}.safetensors")
        blocks = weights.W_dec.unflatten(1, (n - layer, width))
        save({f"W_dec_{layer}": blocks}, folder / f"W_dec_{layer}.safetensors")
    _write_config(folder, "cross_layer_transcoder", dictionary.sites_in[0], dictionary.sites_out[0], ReLU(), facts)


def _check_cross(dictionary: CrossLayerTranscoder) -> None:
    n, widths = len(dictionary.parts), {dictionary.widths_in, dictionary.widths_out}
    if len({width for side in widths for width in side}) > 1 or isinstance(inner(dictionary.sparsifier), TopK):
        raise BadInput("circuit-tracer needs cross-layer transcoders of one width, with ReLU or thresholds.")
    for sites in (dictionary.sites_in, dictionary.sites_out):
        ends = [_split(site) for site in sites]
        if [layer for layer, _ in ends] != list(range(n)) or len({hook for _, hook in ends}) > 1:
            raise BadInput(f"circuit-tracer needs one hook in every layer from 0 on; this one has {', '.join(sites)}.")


def _write_config(
    folder: Path, kind: str, site_in: str, site_out: str, rule: Sparsifier, facts: Mapping[str, Any]
) -> None:
    import yaml

    config = {"model_name": str(facts.get("model_name") or ""), "model_kind": kind}
    config |= {"feature_input_hook": _split(site_in)[1], "feature_output_hook": _split(site_out)[1]}
    config["scan"] = str(facts.get("name") or "")
    if isinstance(inner(rule), TopK):
        config |= {"activation": "topk", "k": inner(rule).k}
    (folder / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf8")


FORMAT = Format("circuit-tracer", "circuit-tracer: config.yaml and a file a layer, or a CLT", find, read, write)
