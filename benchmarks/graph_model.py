"""A random model and random transcoders as files that Openwork and circuit-tracer both load; nothing is trained.

The model is stored as transformers stores one, the transcoders as circuit-tracer stores a set. Matrices are scaled by their
fan-in, so that every layer writes as much as it reads; every bias and norm weight is off its neutral value. A transcoder
reads the MLP's input, whose entries have unit variance, with rows of unit length: its pre-activations are near a standard
normal, and the threshold sets how many latents are on.
"""

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from torch import Tensor

from probe.model.toy import toy_tokenizer


@dataclass(frozen=True)
class Sizes:
    """architecture: `llama` (RMSNorm, SwiGLU, rotary, grouped queries) or `gpt2` (LayerNorm, biases, learned positions)."""

    architecture: str = "llama"
    layers: int = 6
    d_model: int = 512
    heads: int = 8
    d_dict: int = 4096
    active: int = 16
    "Latents on per token and layer, on average."
    seed: int = 0


def _config(sizes: Sizes, vocabulary: int) -> Any:
    from transformers import AutoConfig

    special: dict[str, Any] = {"vocab_size": vocabulary, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    special["tie_word_embeddings"] = False  # else a token's own logit would take all the probability
    if sizes.architecture == "gpt2":
        shape = {
            "n_embd": sizes.d_model,
            "n_layer": sizes.layers,
            "n_head": sizes.heads,
            "n_positions": 512,
            "n_ctx": 512,
        }
        return AutoConfig.for_model("gpt2", **shape, **special)
    shape = {"hidden_size": sizes.d_model, "num_hidden_layers": sizes.layers, "max_position_embeddings": 512}
    heads = {"num_attention_heads": sizes.heads, "num_key_value_heads": sizes.heads // 2}
    return AutoConfig.for_model("llama", intermediate_size=4 * sizes.d_model, **shape, **heads, **special)


def _fill(name: str, weight: Tensor, generator: torch.Generator) -> None:
    noise = torch.randn(weight.shape, generator=generator)
    if weight.ndim == 1:  # norms keep their 1, biases their 0
        weight.add_(0.1 * noise)
    elif any(part in name for part in ("embed", "wte", "wpe")):
        weight.copy_(noise)
    else:
        weight.copy_(noise / math.sqrt(min(weight.shape)))


def make_model(folder: Path, sizes: Sizes) -> None:
    """Config, weights and tokenizer, in float32."""
    from transformers import AutoModelForCausalLM

    tokenizer = toy_tokenizer()
    model = AutoModelForCausalLM.from_config(_config(sizes, len(tokenizer)))
    generator = torch.Generator().manual_seed(sizes.seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            _fill(name, weight, generator)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    written = folder / "tokenizer_config.json"  # with a class that transformers 4 has, too
    written.write_text(json.dumps({**json.loads(written.read_text()), "tokenizer_class": "PreTrainedTokenizerFast"}))


def make_transcoders(folder: Path, sizes: Sizes) -> None:
    """One JumpReLU transcoder a layer, and the config that says which hooks they stand between."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(sizes.seed + 1)
    threshold = NormalDist().inv_cdf(1 - sizes.active / sizes.d_dict)
    folder.mkdir(parents=True, exist_ok=True)
    for layer in range(sizes.layers):
        rows, columns = (torch.randn(sizes.d_dict, sizes.d_model, generator=generator) for _ in range(2))
        tensors = {
            "W_enc": rows / rows.norm(dim=1, keepdim=True),
            "W_dec": columns / columns.norm(dim=1, keepdim=True),
            "b_enc": 0.1 * torch.randn(sizes.d_dict, generator=generator),
            "b_dec": 0.1 * torch.randn(sizes.d_model, generator=generator),
            "activation_function.threshold": torch.full((sizes.d_dict,), threshold),
        }
        save_file(tensors, folder / f"layer_{layer}.safetensors")
    hooks = "feature_input_hook: mlp.hook_in\nfeature_output_hook: mlp.hook_out\n"
    (folder / "config.yaml").write_text(f"model_name: random\nmodel_kind: transcoder_set\n{hooks}scan: random\n")


def make(folder: Path, sizes: Sizes) -> None:
    """`model` and `transcoders` in a folder."""
    make_model(folder / "model", sizes)
    make_transcoders(folder / "transcoders", sizes)


def prompt(n: int) -> str:
    """A text of exactly `n` tokens, the beginning-of-text token counted."""
    tokenizer = toy_tokenizer()
    text = "When Mary and John went to the store, John gave a drink to Mary. The capital of Italy is Rome. " * (
        1 + n // 8
    )
    ids = tokenizer(text)["input_ids"][:n]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    if tokenizer(text)["input_ids"] != ids:
        raise ValueError(f"No text of {n} tokens begins so; another number of tokens may cut between words.")
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--architecture", choices=["llama", "gpt2"], default="llama")
    given = parser.parse_args()
    make(given.folder, Sizes(given.architecture))
