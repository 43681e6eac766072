"""dictionary_learning folders: `ae.pt`, a state dict, and `config.json`, which names its class.

All but two classes take their decoder's bias off the input: encode(x) = rule((x - bias) @ W_enc + b_enc). AutoEncoderNew and
JumpReluAutoEncoder do not. BatchTopK and Matryoshka encode with their learned threshold, -1 standing for none. Reading
unpickles tensors and plain values only. Writing is `torch.save` of a dict of tensors, because that is what this format is:
no object of ours is in it, and Openwork itself never stores so.
"""

import io
import json
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from probe.dictionaries import BatchTopK, Dictionary, Gated, JumpReLU, Matryoshka, ReLU, TopK
from probe.dictionaries.store import AnyDictionary
from probe.errors import BadInput, OpenworkError, Unavailable
from probe.exchange.bounded import require_archive, require_room
from probe.exchange.files import facts_of, is_zip, read_mapping, setting, take
from probe.exchange.foreign import Foreign, Format, cast, folders_with, one, refuse_rule
from probe.exchange.places import of_module, ours
from probe.exchange.settings import only_known, words
from probe.exchange.weights import Weights, batch_topk, gated, inner, jump_relu
from probe.model.sites import parse_site

WEIGHTS, CONFIG = "ae.pt", "config.json"
_LINEAR = ("encoder.weight", "decoder.weight")
_NEEDED = {
    "AutoEncoder": (*_LINEAR, "encoder.bias", "bias"),
    "AutoEncoderNew": (*_LINEAR, "encoder.bias", "decoder.bias"),
    "GatedAutoEncoder": (*_LINEAR, "decoder_bias", "r_mag", "gate_bias", "mag_bias"),
    "AutoEncoderTopK": (*_LINEAR, "encoder.bias", "b_dec"),
    "BatchTopKSAE": (*_LINEAR, "encoder.bias", "b_dec", "k", "threshold"),
    "JumpReluAutoEncoder": ("W_enc", "b_enc", "W_dec", "b_dec", "threshold"),
    "MatryoshkaBatchTopKSAE": ("W_enc", "b_enc", "W_dec", "b_dec", "k", "threshold", "group_sizes"),
}
READ = ("dict_class", "k", "layer", "lm_name", "submodule_name", "activation_dim", "dict_size", "group_sizes")
HARMLESS = words(
    """
    trainer_class lr steps seed device warmup_steps decay_start auxk_alpha top_k_aux threshold_beta threshold_start_step
    wandb_name l1_penalty sparsity_penalty sparsity_warmup_steps resample_steps initial_sparsity_penalty p_start p_end
    anneal_start anneal_end anneal_end_step sparsity_function n_sparsity_updates sparsity_queue_length bandwidth target_l0
    group_fractions group_weights log_steps verbose k_anneal_steps aux_penalty dead_feature_threshold entropy momentum_decay
    """
)
BUFFER = words(
    """
    d_submodule n_ctxs ctx_len refresh_batch_size out_batch_size device remove_bos add_special_tokens
    max_activation_norm_multiple remove_high_norm activation_save_dtype
    """
)
_UNCENTRED = ("AutoEncoderNew", "JumpReluAutoEncoder")


def find(root: Path) -> list[str]:
    return folders_with(root, WEIGHTS)


def read(root: Path, name: str) -> Foreign:
    folder = root / name
    path = folder / WEIGHTS
    config = read_mapping(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    trainer = config["trainer"] if isinstance(config.get("trainer"), dict) else {}
    tensors = _load(path)
    kind = str(trainer.get("dict_class") or _guess(tensors, path))
    if kind not in _NEEDED:
        raise BadInput(f"{folder} holds a {kind}, which has no counterpart here; known are {', '.join(_NEEDED)}.")
    t = take(tensors, str(path), _NEEDED[kind], ("k", "threshold") if kind == "AutoEncoderTopK" else ())
    buffer = config["buffer"] if isinstance(config.get("buffer"), dict) else {}
    only_known(trainer, READ, HARMLESS, str(folder))
    only_known(buffer, ("io",), BUFFER, f"{folder} (buffer)")
    site = (
        _site(trainer) if buffer.get("io", "out") == "out" else ""
    )  # trained on what a module is given, which has no name here
    facts = {"class": kind, **facts_of(trainer, ("lm_name", "submodule_name", "layer"))}
    return Foreign(str(folder), (_weights(t, kind, trainer, str(path)),), (site,), (site,), facts)


def _load(path: Path) -> dict[str, Any]:
    """The state dict, unpickled with nothing but tensors and plain values allowed."""
    if not is_zip(path):
        raise Unavailable(f"{path} is truncated, or not a file of torch.save in its zip form. Fetch it again.")
    try:
        require_archive(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OpenworkError:
        raise
    except pickle.UnpicklingError as error:
        raise BadInput(f"{path} holds more than tensors and plain values, so it was not read.") from error
    except Exception as error:  # damaged bytes make it raise nearly anything
        raise Unavailable(f"{path} is truncated or no file of torch.save ({type(error).__name__}).") from error
    if isinstance(found, dict):
        parts = [p for p in (found, found.get("ae")) if isinstance(p, dict)]
        require_room([value for part in parts for value in part.values()], path)
    if isinstance(found, dict) and isinstance(found.get("ae"), dict):
        return _of_backup(found["ae"], float(found.get("norm_factor") or 1))
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds a {type(found).__name__}; a state dict was wanted.")
    return found


def _of_backup(tensors: dict[str, Any], factor: float) -> dict[str, Any]:
    """Of a backup made in the middle of training, on activations divided by `factor`: their biases and thresholds grow by it."""
    grow = (
        "encoder.bias",
        "b_enc",
        "gate_bias",
        "mag_bias",
        "bias",
        "decoder.bias",
        "decoder_bias",
        "b_dec",
        "threshold",
    )
    return {name: value * factor if name in grow else value for name, value in tensors.items()}


def _guess(tensors: Mapping[str, Any], path: Path) -> str:
    """The class whose names these are, where no config says it."""
    fits = [kind for kind, names in _NEEDED.items() if set(names) <= set(tensors)]
    if not fits:
        raise BadInput(f"{path} holds {', '.join(map(str, list(tensors)[:8])) or 'nothing'}; no known class has these.")
    if "AutoEncoderTopK" in fits and "BatchTopKSAE" in fits:
        raise BadInput(
            f"{path} may be of AutoEncoderTopK or of BatchTopKSAE; {CONFIG} must say which, as trainer.dict_class."
        )
    return max(fits, key=lambda kind: len(_NEEDED[kind]))


def _weights(t: dict[str, Tensor], kind: str, trainer: Mapping[str, Any], source: str) -> Weights:
    rule, learned = _rule(t, kind, source, trainer)
    bias = next(t[name] for name in ("encoder.bias", "b_enc", "gate_bias") if name in t)
    b_dec = next(t[name] for name in ("bias", "decoder.bias", "decoder_bias", "b_dec") if name in t)
    linear = "encoder.weight" in t
    W_enc = t["encoder.weight"].T if linear else t["W_enc"]
    weights = Weights(W_enc, bias, t["decoder.weight"].T if linear else t["W_dec"], b_dec, rule, learned).sound(source)
    return weights if kind in _UNCENTRED else weights.centred(weights.b_dec)


def _rule(t: dict[str, Tensor], kind: str, source: str, trainer: Mapping[str, Any]) -> tuple[Any, dict[str, Tensor]]:
    if kind == "GatedAutoEncoder":
        return gated(t["gate_bias"], t["mag_bias"], t["r_mag"])
    if kind == "AutoEncoderTopK":
        return TopK(
            _whole(t["k"], source) if "k" in t else setting(trainer, "k", int, source)
        ), {}  # older files lack it
    if kind in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
        widths = t["group_sizes"].cumsum(0).long().tolist() if "group_sizes" in t else ()
        if t["threshold"].numel() != 1:
            raise BadInput(f"{source}: threshold holds {t['threshold'].numel()} numbers; one was wanted.")
        return batch_topk(_whole(t["k"], source), t["threshold"].clamp_min(0), widths)
    return jump_relu(t["threshold"]) if kind == "JumpReluAutoEncoder" else (ReLU(), {})


def _whole(value: Tensor, source: str) -> int:
    if value.numel() != 1:
        raise BadInput(f"{source}: k holds {value.numel()} numbers; one was wanted.")
    return int(value)


_NAMED = re.compile(r"(.+?)_?(?:layer_?)?(\d+)")


def _site(trainer: Mapping[str, Any]) -> str:
    """Their names are `resid_post_layer_3` and the like, a hook's, or a module's path; a layer that is given must agree."""
    name, layer = str(trainer.get("submodule_name") or ""), trainer.get("layer")
    if not name or layer is None:
        return ours(name)
    glued = _NAMED.fullmatch(name)
    short = glued[1] if glued and glued[2] == str(layer) else name
    known = [ours(f"{short}.{layer}"), ours(name), of_module(name, False)[1]]
    site = next((site for site in known if _layer_of(site) is not None), name)
    if _layer_of(site) not in (None, layer):
        raise BadInput(
            f"The settings name {name[:80]} and layer {str(layer)[:20]}, which are two places. Give site_in."
        )
    return site


def _layer_of(site: str) -> int | None:
    """The layer of a site by our names, else None."""
    try:
        return parse_site(site).layer
    except BadInput:
        return None


def write(dictionaries: Sequence[AnyDictionary], folder: Path, facts: Mapping[str, Any]) -> None:
    """torch.save of a dict of tensors (see above), and the config."""
    dictionary = one(dictionaries, "dictionary_learning")
    if dictionary.kind != "sae" or dictionary.W_skip is not None:
        raise BadInput(f"dictionary_learning keeps SAEs only, not a {dictionary.kind}.")
    kind, tensors = _named(dictionary)
    buffer = io.BytesIO()  # torch reports a full disk in its own way; a plain file reports it in everyone's
    torch.save(cast(tensors, dictionary.W_enc.dtype), buffer)
    (folder / WEIGHTS).write_bytes(buffer.getbuffer())
    rule = inner(dictionary.sparsifier)
    trainer = {"dict_class": kind, "activation_dim": dictionary.d_in, "dict_size": dictionary.d_dict}
    trainer |= {"k": getattr(rule, "k", None), "lm_name": facts.get("model_name"), "submodule_name": dictionary.site_in}
    (folder / CONFIG).write_text(json.dumps({"trainer": trainer, "buffer": {}}, indent=1), encoding="utf8")


def _named(dictionary: Dictionary) -> tuple[str, dict[str, Tensor]]:
    """The class that has this dictionary's rule, and the tensors by its names."""
    plain, rule = Weights.of(dictionary), inner(dictionary.sparsifier)
    w = plain if isinstance(rule, ReLU | JumpReLU) else plain.centred(-plain.b_dec)
    own = {"W_enc": w.W_enc, "b_enc": w.b_enc, "W_dec": w.W_dec, "b_dec": w.b_dec}
    linear = {"encoder.weight": w.W_enc.T, "decoder.weight": w.W_dec.T}
    whole = {"k": torch.tensor(rule.k, dtype=torch.int32)} if isinstance(rule, TopK | BatchTopK) else {}
    if isinstance(rule, ReLU):
        return "AutoEncoderNew", {**linear, "encoder.bias": w.b_enc, "decoder.bias": w.b_dec}
    if isinstance(rule, JumpReLU):
        return "JumpReluAutoEncoder", {**own, "threshold": next(iter(w.learned.values()))}
    if isinstance(rule, Gated):
        r_mag, offset = w.learned["r_mag"], w.learned["offset"]
        biases = {"decoder_bias": w.b_dec, "gate_bias": w.b_enc, "mag_bias": offset + r_mag.exp() * w.b_enc}
        return "GatedAutoEncoder", {**linear, **biases, "r_mag": r_mag}
    if isinstance(rule, TopK):
        unset = torch.tensor(-1.0)
        return "AutoEncoderTopK", {**linear, "encoder.bias": w.b_enc, "b_dec": w.b_dec, **whole, "threshold": unset}
    if not isinstance(rule, BatchTopK):
        raise refuse_rule(dictionary, "dictionary_learning", ", ".join(_NEEDED))
    whole["threshold"] = next(iter(w.learned.values()))
    if isinstance(dictionary.sparsifier, Matryoshka):
        ends = [*(width for width in dictionary.sparsifier.widths if width < dictionary.d_dict), dictionary.d_dict]
        return "MatryoshkaBatchTopKSAE", {
            **own,
            **whole,
            "group_sizes": torch.tensor(ends).diff(prepend=torch.zeros(1).long()),
        }
    return "BatchTopKSAE", {**linear, "encoder.bias": w.b_enc, "b_dec": w.b_dec, **whole}


FORMAT = Format("dictionary-learning", "dictionary_learning: ae.pt and config.json (SAEs)", find, read, write)
