"""Can a model with this configuration be read here? Asked before a weight is, and answered in a sentence that names it.

What is looked through is a decoder: one stream, written to by blocks and read by one unembedding. Encoders (BERT), models in
two halves (T5, BART) and families that transformer-lens has no adapter for are none. A configuration also decides how much
is built before the first weight is read, so one that asks for a million layers or no head at all is refused here too.
"""

import json
from pathlib import Path
from typing import Any

import torch

from probe.errors import BadInput, Unavailable

MOST = {
    "num_hidden_layers": 1000,
    "num_attention_heads": 10_000,
    "num_key_value_heads": 10_000,
    "hidden_size": 1_000_000,
    "intermediate_size": 10_000_000,
    "vocab_size": 10_000_000,
}
"""Far above any model there is; a larger number is damage, or meant to keep the machine busy."""
_PACKED = 8  # numbers a byte may hold: one bit each
_NOT_DECODERS = {
    "seq2seq": "an encoder and a decoder",
    "masked_lm": "an encoder, which reads in both directions",
    "audio": "a model of sound",
    "vision": "a model of pictures",
}


def read_config(source: str, **where: Any) -> Any:
    """The configuration of a folder, hub id or GGUF file (`gguf_file`), checked. Code that comes with a model is never run."""
    from transformers import AutoConfig

    name = source
    if "gguf_file" in where:
        name = str(Path(source) / where["gguf_file"])
    else:
        check_raw(Path(source))
    config = AutoConfig.from_pretrained(source, **{"trust_remote_code": False, **where})
    check_family(config, name)
    check_sizes(config, name)
    check_shape(config, name)
    return config


def family(config: Any) -> str:
    """What the model calls itself: `LlamaForCausalLM`, else its type."""
    named = getattr(config, "architectures", None) or [getattr(config, "model_type", None) or type(config).__name__]
    return str(named[0])[:80]


def check_family(config: Any, source: str) -> None:
    """Refuse what is no decoder of text, and what has no adapter."""
    from transformer_lens.model_bridge.sources._hf_format import determine_architecture_from_hf_config
    from transformer_lens.utilities.architectures import classify_architecture, classify_model_config
    from transformers import AutoModelForCausalLM

    name = family(config)
    try:
        kind = classify_model_config(config)
        if kind not in _NOT_DECODERS:
            kind = classify_architecture(determine_architecture_from_hf_config(config))
    except ValueError:  # its message lists every family there is
        kind = "unknown"
    if kind in _NOT_DECODERS:
        raise BadInput(
            f"'{source}' is a {name}: {_NOT_DECODERS[kind]}. Openwork looks through decoders, which write text from left to "
            "right, like GPT-2 or Llama."
        )
    if kind == "unknown" or type(config) not in AutoModelForCausalLM._model_mapping:
        raise BadInput(
            f"'{source}' is a {name}, a family that cannot be read here: transformer-lens has no adapter for it, or transformers "
            "no decoder of text. Llama, Qwen, Gemma, GPT-2, Pythia and their relatives can."
        )


def text_part(config: Any) -> Any:
    """The part of a configuration that describes the decoder; of a model of text, all of it."""
    return config.get_text_config(decoder=True)


def check_sizes(config: Any, source: str) -> None:
    """Refuse counts that no model has."""
    text = text_part(config)
    _check_counts({name: getattr(text, name, None) for name in MOST}, source)


def check_raw(folder: Path) -> None:
    """The same of a file as it is written: a count of 0 would be divided by before there is a configuration."""
    try:
        written = json.loads((folder / "config.json").read_text(encoding="utf8"))
    except (OSError, ValueError):
        return  # a hub id, a GGUF file, or what is refused when it is read
    if isinstance(written, dict):
        _check_counts(written, str(folder))


def _check_counts(found: dict[str, Any], source: str) -> None:
    for name, most in MOST.items():
        value = found.get(name)
        if isinstance(value, int) and not 1 <= value <= most:
            raise BadInput(
                f"The configuration of '{source}' has {name} = {value}; 1 to {most} were expected. It is damaged."
            )


def check_shape(config: Any, source: str) -> None:
    """Refuse streams that readings could not follow: embedded in another width, or normalised after each block."""
    text = text_part(config)
    width, embedded = getattr(text, "hidden_size", None), getattr(text, "word_embed_proj_dim", None)
    if embedded is not None and embedded != width:
        raise BadInput(
            f"'{source}' embeds tokens in {embedded} numbers and projects them to a stream of {width}, like OPT-350m. "
            "Reading a stream that is not the embedding's is not supported; take another size of this family."
        )
    if getattr(text, "do_layer_norm_before", True) is False:
        raise BadInput(
            f"'{source}' normalises its stream after each block (do_layer_norm_before is false), so nothing adds up along it. "
            "This is not supported; take another size of this family."
        )


def check_bulk(config: Any, source: str, held: int, dtype: torch.dtype) -> None:
    """Refuse a configuration that needs far more weights than the `held` bytes of the files, and a model that memory does not."""
    from transformers import AutoModelForCausalLM

    from probe.memory import require

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    wanted = sum(w.numel() for w in model.parameters())
    if held and wanted > _PACKED * held:
        raise Unavailable(
            f"The configuration of '{source}' describes {wanted:,} weights and its files hold {held:,} bytes: one of them is "
            "damaged, or a part is missing. Fetch the model again."
        )
    require(wanted * dtype.itemsize, f"The model '{source}'")


def weight_bytes(folder: Path) -> int:
    """Bytes of the weight files in a folder."""
    return sum(p.stat().st_size for p in folder.iterdir() if p.suffix in (".safetensors", ".bin"))


def wants_code(folder: Path) -> list[str]:
    """Files of the folder that name Python code of its own, to be run at loading."""
    found = []
    for name in ("config.json", "tokenizer_config.json"):
        try:
            if "auto_map" in json.loads((folder / name).read_text(encoding="utf8")):
                found.append(name)
        except (OSError, ValueError, TypeError):
            continue
    return found
