"""Tiny random models of the block shapes that matter, through the same loader as real ones. No network."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from probe.model.key_value_cache import hand_over
from probe.model.toy import toy_tokenizer

_SIZE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
_GQA = {**_SIZE, "num_key_value_heads": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {
        "model_type": "gpt2",
        "n_embd": 32,
        "n_layer": 3,
        "n_head": 4,
        "n_positions": 64,
    },  # LayerNorm, biases, positions
    "gpt_neox": {"model_type": "gpt_neox", **_SIZE},  # parallel blocks, partial rotary, biases
    "opt": {"model_type": "opt", **_SIZE, "ffn_dim": 48, "word_embed_proj_dim": 32},  # ReLU
    "llama": {
        "model_type": "llama",
        **_GQA,
        "attention_bias": True,
        "mlp_bias": True,
    },  # grouped queries, SwiGLU with biases
    "qwen3": {"model_type": "qwen3", **_GQA, "head_dim": 8},  # QK-norm
    "gemma2": {
        "model_type": "gemma2",
        **_GQA,
        "head_dim": 8,
    },  # post-norms, soft-caps, offset norm weights, scaled embedding
    "gemma3": {"model_type": "gemma3_text", **_GQA, "head_dim": 8},  # post-norms and QK-norm
    "olmo2": {"model_type": "olmo2", **_GQA},  # post-norms only
}


@cache
def tiny(name: str, dtype: str = "float64") -> TransformerBridge:
    """A random model of one architecture, weights large enough that every term shows."""
    tokenizer = toy_tokenizer()
    fields = dict(CONFIGS[name])
    config = AutoConfig.for_model(
        fields.pop("model_type"), vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, pad_token_id=0, **fields
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(getattr(torch, dtype)).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.25)
    model.generation_config = GenerationConfig()
    with tempfile.TemporaryDirectory() as folder:
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        bridge = TransformerBridge.boot_transformers(
            str(Path(folder)), hf_model=model, tokenizer=tokenizer, dtype=getattr(torch, dtype)
        )
    for weight in bridge.parameters():
        weight.requires_grad_(False)
    hand_over(bridge)
    return bridge


def saved(name: str, folder: Path, chat_template: str = "", **fields: Any) -> Path:
    """A random model of one architecture with the toy tokenizer, as transformers saves one."""
    tokenizer = toy_tokenizer()
    if chat_template:
        tokenizer.chat_template = chat_template
    model = random_model(name, len(tokenizer), **fields)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def random_model(name: str, vocabulary: int, **more: Any) -> Any:
    """A random transformers model, weights large enough that every term shows."""
    fields = {**CONFIGS[name], **more}
    config = AutoConfig.for_model(
        fields.pop("model_type"), vocab_size=vocabulary, bos_token_id=1, eos_token_id=2, pad_token_id=0, **fields
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.25)
    return model
