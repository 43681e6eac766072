"""EleutherAI's sparsify: `<hookpoint>/cfg.json` and `sae.safetensors`, one folder a module (`layers.10`, `layers.0.mlp`).

latents = the k largest of relu(x @ encoder.weight.T + encoder.bias), on x - b_dec for an SAE and on x for a transcoder;
decode = latents @ W_dec + b_dec (+ x @ W_skip.T). Input and output are of one width.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from probe.artifacts.json import write_json
from probe.dictionaries import Dictionary, TopK
from probe.dictionaries.store import AnyDictionary
from probe.errors import BadInput
from probe.exchange.files import facts_of, read_mapping, read_safetensors, setting, take, write_tensors
from probe.exchange.foreign import Foreign, Format, folders_with, plain, refuse_rule
from probe.exchange.places import module_of, of_module
from probe.exchange.settings import only_known
from probe.exchange.weights import Weights, inner

CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"
READ = ("activation", "k", "transcode", "skip_connection", "signed", "jumprelu", "d_in")
HARMLESS = ("expansion_factor", "normalize_decoder", "num_latents", "multi_topk", "init_b_dec_as_zeros")


def find(root: Path) -> list[str]:
    return folders_with(root, CONFIG, WEIGHTS)


def read(root: Path, name: str) -> Foreign:
    folder = root / name
    config, source = read_mapping(folder / CONFIG), str(folder)
    if config.get("activation", "topk") != "topk" or config.get("signed") or config.get("jumprelu"):
        raise BadInput(
            f"{folder} uses {config.get('activation', 'another rule')}, not TopK; only TopK has a counterpart."
        )
    only_known(config, READ, HARMLESS, source)
    transcodes = bool(config.get("transcode"))
    needed = ["encoder.weight", "encoder.bias", "W_dec", "b_dec"] + ["W_skip"] * bool(config.get("skip_connection"))
    t = take(read_safetensors(folder / WEIGHTS), source, needed)
    rule = TopK(setting(config, "k", int, source))
    weights = Weights(
        t["encoder.weight"].T, t["encoder.bias"], t["W_dec"], t["b_dec"], rule, W_skip=t.get("W_skip")
    ).sound(source)
    hookpoint = _hookpoint(folder)
    site_in, site_out = of_module(hookpoint, transcodes)
    facts = {"hookpoint": hookpoint, **facts_of(config, ("transcode", "expansion_factor"))}
    weights = weights if transcodes else weights.centred(weights.b_dec)
    return Foreign(source, (weights,), (site_in,), (site_out,), facts)


def _hookpoint(folder: Path) -> str:
    """The folder's name; where several were trained from different seeds, its parent's."""
    name = folder.resolve().name
    return folder.resolve().parent.name if name.startswith("seed") and name[4:].isdigit() else name


def write(dictionaries: Sequence[AnyDictionary], folder: Path, facts: Mapping[str, Any]) -> None:
    """One sub-folder for each dictionary, named after its module; a single one without a module stands in the folder itself."""
    layers = str(facts.get("layers") or "layers")
    for dictionary in dictionaries:
        place = module_of(*_ends(plain(dictionary, "sparsify")), layers)
        if place is None and len(dictionaries) > 1:
            raise BadInput(
                f"No module reads {dictionary.sites_in[0]} and gives {dictionary.sites_out[0]}; export it alone."
            )
        target = folder / (place or ".")
        if (target / CONFIG).exists():
            raise BadInput(f"Two of the dictionaries belong to {place}; export them into different folders.")
        target.mkdir(exist_ok=True)
        _write(plain(dictionary, "sparsify"), target)


def _ends(dictionary: Dictionary) -> tuple[str, str]:
    return dictionary.site_in, dictionary.site_out


def _write(dictionary: Dictionary, folder: Path) -> None:
    rule, transcodes = inner(dictionary.sparsifier), dictionary.kind != "sae"
    if not isinstance(rule, TopK):
        raise refuse_rule(dictionary, "sparsify", "TopK")
    if dictionary.d_in != dictionary.d_out:
        raise BadInput(f"sparsify needs inputs and outputs of one width, not {dictionary.d_in} and {dictionary.d_out}.")
    weights = Weights.of(dictionary)
    weights = weights if transcodes else weights.centred(-weights.b_dec)
    tensors = {"encoder.weight": weights.W_enc.T, "encoder.bias": weights.b_enc}
    tensors |= {"W_dec": weights.W_dec, "b_dec": weights.b_dec}
    if weights.W_skip is not None:
        tensors["W_skip"] = weights.W_skip
    write_tensors(tensors, folder / WEIGHTS, dictionary.W_enc.dtype)
    config = {"activation": "topk", "expansion_factor": max(1, dictionary.d_dict // dictionary.d_in)}
    config |= {"normalize_decoder": False, "num_latents": dictionary.d_dict, "k": rule.k, "multi_topk": False}
    config |= {"skip_connection": weights.W_skip is not None, "transcode": transcodes, "d_in": dictionary.d_in}
    write_json(folder / CONFIG, config)


FORMAT = Format("sparsify", "EleutherAI sparsify: <hookpoint>/cfg.json and sae.safetensors", find, read, write)
