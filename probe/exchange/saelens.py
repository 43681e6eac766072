"""SAELens 6 folders: `cfg.json` and `sae_weights.safetensors`, of inference and of training checkpoints (and most of version 5).

    encode(x) = act((x * s - b_dec if apply_b_dec_to_input) @ W_enc + b_enc)          decode(f) = (f @ W_dec + b_dec) / s

with s = 1 unless activations were normalised by a constant, kept in `activation_scaler.json`, or whitened. Under
`rescale_acts_by_decoder_norm`, pre-activations are weighted by decoder norms before the largest are chosen. All of
this is affine and is folded exactly; normalisation that differs by token is refused. BatchTopK leaves training as JumpReLU.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from probe.artifacts.json import write_json
from probe.dictionaries import Dictionary, Gated, ReLU, TopK
from probe.dictionaries.store import AnyDictionary
from probe.errors import BadInput, brief
from probe.exchange.files import facts_of, read_mapping, read_safetensors, setting, take, write_tensors
from probe.exchange.foreign import Foreign, Format, folders_with, one, refuse_rule
from probe.exchange.places import ours
from probe.exchange.settings import MODEL, TRAINING, is_off, one_of, only_known
from probe.exchange.weights import Weights, batch_topk, gated, inner, jump_relu, thresholds

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
SCALER, WHITENING = "activation_scaler.json", "activation_whitening.safetensors"
TRANSCODERS = ("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder")
ARCHITECTURES = ("standard", "topk", "jumprelu", "gated", "batchtopk", "matryoshka_batchtopk", *TRANSCODERS)
READ = (
    *("architecture", "d_in", "d_sae", "d_out", "dtype", "k", "apply_b_dec_to_input", "normalize_activations"),
    *(
        "rescale_acts_by_decoder_norm",
        "matryoshka_widths",
        "activation_fn",
        "activation_fn_kwargs",
        "reshape_activations",
    ),
    *("hook_name", "hook_name_out", "hook_head_index", "hook_head_index_out", "hf_hook_name", "hf_hook_name_out"),
    *("model_from_pretrained_kwargs", "finetuning_scaling_factor"),
)
_KEPT = (
    "model_name",
    "hook_name",
    "hook_name_out",
    "hook_head_index",
    "context_size",
    "prepend_bos",
    "l0",
    "neuronpedia_id",
)


def find(root: Path) -> list[str]:
    return folders_with(root, CONFIG, WEIGHTS)


def read(root: Path, name: str) -> Foreign:
    folder = root / name
    config, tensors = _modern(read_mapping(folder / CONFIG)), read_safetensors(folder / WEIGHTS)
    architecture = config["architecture"]
    if architecture not in ARCHITECTURES:
        raise BadInput(
            f"{folder} holds the architecture '{architecture}', which has no counterpart here. "
            f"Known are {', '.join(ARCHITECTURES)}."
        )
    meta = config.get("metadata") or {}
    _check(config, meta, str(folder))
    site_in = ours(str(meta.get("hook_name") or ""))
    transcodes = architecture in TRANSCODERS
    site_out = ours(str(meta.get("hook_name_out") or "")) if transcodes else site_in
    facts = {"architecture": architecture, **facts_of(meta, _KEPT)}
    if transcodes and not (site_in and site_out):
        site_in, site_out = site_in or "input", site_out or "output"
    weights = _normalised(_weights(tensors, config, str(folder)), config, folder)
    return Foreign(str(folder), (weights,), (site_in,), (site_out,), facts, centred=_centred(meta))


def _check(config: Mapping[str, Any], meta: Mapping[str, Any], source: str) -> None:
    """Refuse settings that change what is computed and have no counterpart. What `metadata` says besides describes, and computes
    nothing."""
    only_known(config, READ, TRAINING, source)
    one_of(config, "activation_fn", (None, "relu", "topk", "jumprelu"), source)
    one_of(config, "reshape_activations", (None, "none", "hook_z"), source)
    extra = config.get("activation_fn_kwargs") or {}
    if isinstance(extra, dict):
        only_known(extra, ("k",), (), f"{source} (activation_fn_kwargs)")
    for name in ("hook_head_index", "hook_head_index_out"):
        if meta.get(name) is not None:
            raise BadInput(
                f"{source} reads one head of its hook ({name} = {brief(meta[name])}); no site holds a head alone."
            )
    loading = _loading(meta)
    only_known(
        loading,
        ("center_writing_weights", "fold_ln", "fold_value_biases"),
        MODEL,
        f"{source} (model_from_pretrained_kwargs)",
    )
    hook = str(meta.get("hook_name") or "")
    after = ("ln1", "ln2", "ln_final", "mlp_in", "attn_in", "mlp.hook_in", "attn.hook_in")
    if not is_off(loading.get("fold_ln")) and any(part in hook for part in after):
        raise BadInput(f"{source} reads {hook} of a model whose norms were folded away (fold_ln); that is not read.")
    if not is_off(loading.get("fold_value_biases")) and ("hook_z" in hook or "hook_v" in hook):
        raise BadInput(
            f"{source} reads {hook} of a model whose value biases were moved (fold_value_biases); that is not read."
        )


def _loading(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """How the model was loaded that the dictionary was trained on."""
    found = meta.get("model_from_pretrained_kwargs")
    return found if isinstance(found, Mapping) else {}


def _centred(meta: Mapping[str, Any]) -> bool:
    """Whether that model's stream had its mean taken out."""
    return not is_off(_loading(meta).get("center_writing_weights"))


def _modern(config: dict[str, Any]) -> dict[str, Any]:
    """The settings as version 6 names them; before, hook and model stood at the top level."""
    if isinstance(config.get("metadata"), Mapping):
        return {"architecture": "standard", **config}
    new = {"hook_point": "hook_name", "hook_point_head_index": "hook_head_index", "activation_fn_str": "activation_fn"}
    config = {new.get(key, key): value for key, value in config.items()}
    if config.get("activation_fn") == "topk":
        config |= {"architecture": "topk", "k": (config.get("activation_fn_kwargs") or {}).get("k")}
    if isinstance(config.get("normalize_activations"), bool):
        config["normalize_activations"] = "expected_average_only_in" if config["normalize_activations"] else "none"
    return {"architecture": "standard", **config, "metadata": config}


def _weights(tensors: Mapping[str, Tensor], config: Mapping[str, Any], source: str) -> Weights:
    """As they stand in the file, on the activations it was trained on."""
    architecture = config["architecture"]
    needed = ["W_enc", "W_dec", "b_dec"]
    needed += ["b_gate", "b_mag", "r_mag"] if architecture == "gated" else ["b_enc"]
    needed += ["threshold"] if "jumprelu" in architecture and "log_threshold" not in tensors else []
    needed += ["W_skip"] if "skip" in architecture else []
    needed += ["topk_threshold"] if "batchtopk" in architecture else []
    t = take(tensors, source, needed, ("log_threshold", "scaling_factor") if architecture != "gated" else ())
    if "scaling_factor" in t and not bool((t["scaling_factor"] == 1).all()):
        raise BadInput(f"{source} rescales latents by a fine-tuned factor (scaling_factor); that is not read.")
    if architecture == "gated":
        rule, learned = gated(t["b_gate"], t["b_mag"], t["r_mag"])
    elif "batchtopk" in architecture:
        widths = config.get("matryoshka_widths") or []
        if not isinstance(widths, list) or not all(isinstance(width, int) for width in widths):
            raise BadInput(f"{source} gives matryoshka_widths as {brief(widths)}; a list of whole numbers was wanted.")
        rule, learned = batch_topk(setting(config, "k", int | float, source), t["topk_threshold"], widths)
    elif "jumprelu" in architecture:
        rule, learned = jump_relu(t["log_threshold"].exp() if "log_threshold" in t else t["threshold"])
    elif architecture == "topk":
        rule, learned = TopK(setting(config, "k", int, source)), {}
    else:
        rule, learned = ReLU(), {}
    bias = t["b_gate"] if architecture == "gated" else t["b_enc"]
    weights = Weights(t["W_enc"], bias, t["W_dec"], t["b_dec"], rule, learned, t.get("W_skip")).sound(source)
    centres = architecture not in TRANSCODERS and config.get("apply_b_dec_to_input", True)
    return weights.centred(weights.b_dec) if centres else weights


def _normalised(weights: Weights, config: Mapping[str, Any], folder: Path) -> Weights:
    """The weights on raw activations, with latents weighted by decoder norms where they were compared so."""
    kind = config.get("normalize_activations") or "none"
    weighted = bool(config.get("rescale_acts_by_decoder_norm", "batchtopk" in config["architecture"]))
    if kind == "covariance_whitening":  # mixes the outputs, so norms have to be taken before
        weights = weights.norms_folded() if weighted else weights
        t = take(read_safetensors(folder / WHITENING), str(folder / WHITENING), ("mean", "matrix", "inverse_matrix"))
        return weights.reads(t["matrix"], t["mean"]).writes(t["inverse_matrix"], t["mean"])
    if kind == "expected_average_only_in":
        factor = _factor(folder)
        weights = weights.reads(factor).writes(1 / factor)
        if weighted:  # thresholds are in units of what latents write
            weights = replace(weights, learned={name: value / factor for name, value in weights.learned.items()})
    elif kind != "none":
        raise BadInput(
            f"{folder} was trained on activations normalised token by token ('{kind}'). That cannot be folded into weights "
            "that read raw activations, so it is not imported."
        )
    return weights.norms_folded() if weighted else weights


def _factor(folder: Path) -> float:
    """What activations were multiplied by, which training checkpoints keep in a file of its own."""
    if not (folder / SCALER).is_file():
        raise BadInput(
            f"{folder} was trained on activations multiplied by a constant, but {SCALER}, which holds it, is not there. "
            "Export it from SAELens as an inference model, which folds the constant."
        )
    factor = read_mapping(folder / SCALER).get("scaling_factor")
    if not isinstance(factor, float | int) or not 0 < factor < math.inf:
        raise BadInput(f"{folder / SCALER} gives the factor as {brief(factor)}; a positive number was wanted.")
    return float(factor)


def write(dictionaries: Sequence[AnyDictionary], folder: Path, facts: Mapping[str, Any]) -> None:
    dictionary = one(dictionaries, "SAELens")
    weights = Weights.of(dictionary)
    architecture = _architecture(dictionary, weights)
    tensors = {"W_enc": weights.W_enc, "W_dec": weights.W_dec, "b_dec": weights.b_dec, "b_enc": weights.b_enc}
    if (threshold := thresholds(weights)) is not None:
        tensors["threshold"] = threshold
    if weights.W_skip is not None:
        tensors["W_skip"] = weights.W_skip
    if architecture == "gated":
        r_mag, bias = weights.learned["r_mag"], tensors.pop("b_enc")
        tensors |= {"r_mag": r_mag, "b_gate": bias, "b_mag": weights.learned["offset"] + r_mag.exp() * bias}
    write_tensors(tensors, folder / WEIGHTS, dictionary.W_enc.dtype)
    write_json(folder / CONFIG, _config(dictionary, architecture, facts))


def _architecture(dictionary: Dictionary, weights: Weights) -> str:
    rule, skip = inner(dictionary.sparsifier), "skip_" if dictionary.W_skip is not None else ""
    if dictionary.kind == "sae" and not skip:
        if thresholds(weights) is not None:
            return "jumprelu"
        return {ReLU: "standard", TopK: "topk", Gated: "gated"}[type(rule)]
    if dictionary.kind != "sae" and thresholds(weights) is not None:
        return f"jumprelu_{skip}transcoder"
    if dictionary.kind != "sae" and isinstance(rule, ReLU):
        return f"{skip}transcoder"
    raise refuse_rule(dictionary, "SAELens", "SAEs of every rule and transcoders with ReLU, JumpReLU or BatchTopK")


def _config(dictionary: Dictionary, architecture: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"sae_lens_version": "6.0.0", "sae_lens_training_version": None}
    metadata |= {"model_name": facts.get("model_name"), "hook_name": dictionary.site_in or None}
    config: dict[str, Any] = {
        "d_in": dictionary.d_in,
        "d_sae": dictionary.d_dict,
        "dtype": str(dictionary.W_enc.dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "architecture": architecture,
    }
    if architecture == "topk":
        config |= {"k": inner(dictionary.sparsifier).k, "rescale_acts_by_decoder_norm": False}
    if architecture in TRANSCODERS:
        config["d_out"] = dictionary.d_out
        metadata["hook_name_out"] = dictionary.site_out
    return {**config, "metadata": metadata}


FORMAT = Format("saelens", "SAELens 6: cfg.json and sae_weights.safetensors", find, read, write)
