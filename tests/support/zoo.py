# ruff: noqa: E501
"""Tiny random configurations, one for each block shape that a loaded model can have. A new architecture is a new line here.

`docs/architectures.md` is the table that `make architectures` makes of them; tests take a sample. Sizes are chosen so that no two
axes have the same length by accident: 32 wide, 4 heads, 48 neurons, 3 layers where attention kinds alternate.
"""

import tempfile
from functools import cache
from typing import Any

import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig

from probe.model.load import load_model
from probe.model.toy import native, toy_tokenizer

SIZE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
GQA = {**SIZE, "num_key_value_heads": 2}
_ROPE = {"rope_theta": 10000.0}
_YARN = {
    "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "mscale": 1.0, "mscale_all_dim": 1.0,
    **_ROPE,
}  # fmt: skip
_LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16, **_ROPE,
}  # fmt: skip
_MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
_MLA = {
    **SIZE, "q_lora_rank": 12, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 6,
    "num_key_value_heads": 4,
}  # fmt: skip
_GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
_MAMBA = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "expand": 2}

ZOO: dict[str, dict[str, Any]] = {
    "gpt2": {"model_type": "gpt2", **_GPT2},
    "gpt_bigcode": {"model_type": "gpt_bigcode", **_GPT2, "multi_query": True},
    "openai-gpt": {"model_type": "openai-gpt", **_GPT2},
    "gpt_neo": {"model_type": "gpt_neo", "hidden_size": 32, "num_layers": 2, "num_heads": 4, "intermediate_size": 48,
                "attention_types": [[["global", "local"], 1]], "max_position_embeddings": 64, "window_size": 4},
    "gptj": {"model_type": "gptj", **_GPT2, "rotary_dim": 4},
    "gpt_neox": {"model_type": "gpt_neox", **SIZE},
    "gpt_neox-serial": {"model_type": "gpt_neox", **SIZE, "use_parallel_residual": False},
    "opt": {"model_type": "opt", **SIZE, "ffn_dim": 48, "word_embed_proj_dim": 32},
    "opt-350m": {"model_type": "opt", **SIZE, "ffn_dim": 48, "word_embed_proj_dim": 16, "do_layer_norm_before": False},
    "bloom": {"model_type": "bloom", "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "mpt": {"model_type": "mpt", "d_model": 32, "n_layers": 2, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 64},
    "falcon-7b": {"model_type": "falcon", **SIZE, "multi_query": True, "parallel_attn": True, "new_decoder_architecture": False},
    "falcon-40b": {"model_type": "falcon", **SIZE, "new_decoder_architecture": True, "num_kv_heads": 2},
    "falcon-alibi": {"model_type": "falcon", **SIZE, "alibi": True, "multi_query": False, "parallel_attn": False,
                     "new_decoder_architecture": False},
    "codegen": {"model_type": "codegen", **_GPT2, "rotary_dim": 4},
    "xglm": {"model_type": "xglm", "d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 48, "max_position_embeddings": 64},
    "llama": {"model_type": "llama", **GQA},
    "llama-tied": {"model_type": "llama", **GQA, "tie_word_embeddings": True},
    "llama-head_dim": {"model_type": "llama", **GQA, "head_dim": 12},
    "llama-biases": {"model_type": "llama", **GQA, "attention_bias": True, "mlp_bias": True},
    "llama-rope3": {"model_type": "llama", **GQA, "rope_parameters": _LLAMA3},
    "llama-yarn": {"model_type": "llama", **GQA, "rope_parameters": _YARN},
    "mistral": {"model_type": "mistral", **GQA, "sliding_window": 4, "head_dim": 8},
    "ministral3": {"model_type": "ministral3", **GQA, "head_dim": 8},
    "mixtral": {"model_type": "mixtral", **GQA, "num_local_experts": 4},
    "qwen2": {"model_type": "qwen2", **GQA},
    "qwen3": {"model_type": "qwen3", **GQA, "head_dim": 8},
    "qwen2_moe": {"model_type": "qwen2_moe", **GQA, **_MOE, "shared_expert_intermediate_size": 24},
    "qwen3_moe": {"model_type": "qwen3_moe", **GQA, **_MOE, "head_dim": 8},
    "qwen3_next": {"model_type": "qwen3_next", **GQA, **_MOE, "head_dim": 8, "num_hidden_layers": 4, "linear_num_value_heads": 4,
                   "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
                   "shared_expert_intermediate_size": 24, "full_attention_interval": 2},
    "gemma": {"model_type": "gemma", **GQA, "head_dim": 8},
    "gemma2": {"model_type": "gemma2", **GQA, "head_dim": 8, "query_pre_attn_scalar": 10},
    "gemma3": {"model_type": "gemma3_text", **GQA, "head_dim": 8, "query_pre_attn_scalar": 10},
    "gemma4": {"model_type": "gemma4_text", **GQA, "head_dim": 8, "global_head_dim": 8, "hidden_size_per_layer_input": 0,
               "vocab_size_per_layer_input": 512, "num_kv_shared_layers": 0, "layer_types": ["sliding_attention", "full_attention"]},
    "phi": {"model_type": "phi", **SIZE},
    "phi3": {"model_type": "phi3", **GQA},
    "phimoe": {"model_type": "phimoe", **GQA, "num_local_experts": 4},
    "olmo": {"model_type": "olmo", **GQA},
    "olmo2": {"model_type": "olmo2", **GQA},
    "olmo3": {"model_type": "olmo3", **GQA},
    "olmoe": {"model_type": "olmoe", **GQA, "num_experts": 4, "num_experts_per_tok": 2},
    "stablelm": {"model_type": "stablelm", **GQA},
    "stablelm-parallel": {"model_type": "stablelm", **GQA, "use_parallel_residual": True},
    "stablelm-norms": {"model_type": "stablelm", **GQA, "qk_layernorm": True},
    "smollm3": {"model_type": "smollm3", **GQA},
    "starcoder2": {"model_type": "starcoder2", **GQA},
    "glm": {"model_type": "glm", **GQA, "head_dim": 8},
    "glm4": {"model_type": "glm4", **GQA, "head_dim": 8},
    "glm4_moe": {"model_type": "glm4_moe", **GQA, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
                 "head_dim": 8, "n_group": 1, "topk_group": 1},
    "nemotron": {"model_type": "nemotron", **GQA, "head_dim": 8},
    "exaone4": {"model_type": "exaone4", **GQA, "sliding_window": 4},
    "ernie4_5": {"model_type": "ernie4_5", **GQA, "head_dim": 8},
    "ernie4_5_moe": {"model_type": "ernie4_5_moe", **GQA, "moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 24},
    "hunyuan": {"model_type": "hunyuan_v1_dense", **GQA, "head_dim": 8},
    "seed_oss": {"model_type": "seed_oss", **GQA, "head_dim": 8},
    "arcee": {"model_type": "arcee", **GQA},
    "apertus": {"model_type": "apertus", **GQA},
    "cohere": {"model_type": "cohere", **GQA},
    "cohere-norms": {"model_type": "cohere", **GQA, "use_qk_norm": True},
    "cohere2": {"model_type": "cohere2", **GQA, "sliding_window": 4},
    "granite": {"model_type": "granite", **GQA, "embedding_multiplier": 3.0, "logits_scaling": 4.0, "residual_multiplier": 0.3,
                "attention_multiplier": 0.2},
    "granitemoe": {"model_type": "granitemoe", **GQA, "num_local_experts": 4, "num_experts_per_tok": 2, "embedding_multiplier": 3.0,
                   "logits_scaling": 4.0, "residual_multiplier": 0.3, "attention_multiplier": 0.2},
    "granitemoehybrid": {"model_type": "granitemoehybrid", **GQA, "num_local_experts": 4, "num_experts_per_tok": 2,
                         "layer_types": ["mamba", "attention"], "shared_intermediate_size": 24, "mamba_n_heads": 8,
                         "mamba_d_head": 8, "mamba_d_state": 8, "mamba_expand": 2, "mamba_chunk_size": 8, "residual_multiplier": 0.3},
    "deepseek_v2": {"model_type": "deepseek_v2", **_MLA, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1,
                    "moe_intermediate_size": 24, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1},
    "deepseek_v3": {"model_type": "deepseek_v3", **_MLA, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1,
                    "moe_intermediate_size": 24, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1},
    "youtu": {"model_type": "youtu", **_MLA},
    "jetmoe": {"model_type": "jetmoe", "hidden_size": 32, "num_hidden_layers": 2, "num_key_value_heads": 2, "kv_channels": 8,
               "intermediate_size": 48, "num_local_experts": 4, "num_experts_per_tok": 2, "max_position_embeddings": 64},
    "llama4": {"model_type": "llama4_text", **GQA, "intermediate_size_mlp": 48, "num_local_experts": 4, "head_dim": 8,
               "interleave_moe_layer_step": 2, "no_rope_layers": [1, 0], "attention_chunk_size": 16},
    "gpt_oss": {"model_type": "gpt_oss", **GQA, "num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 8, "sliding_window": 4},
    "nanochat": {"model_type": "nanochat", **GQA},
    "modernbert-decoder": {"model_type": "modernbert-decoder", **SIZE, "local_attention": 8},
    "flex_olmo": {"model_type": "flex_olmo", **GQA, "num_experts": 4, "num_experts_per_tok": 2},
    "bitnet": {"model_type": "bitnet", **GQA},
    "vaultgemma": {"model_type": "vaultgemma", **GQA, "head_dim": 8},
    "jais2": {"model_type": "jais2", **GQA, "head_dim": 8},
    "mamba": {"model_type": "mamba", **_MAMBA},
    "mamba2": {"model_type": "mamba2", **_MAMBA, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 8},
    "falcon_mamba": {"model_type": "falcon_mamba", **_MAMBA},
    "falcon_h1": {"model_type": "falcon_h1", **GQA, "head_dim": 8, "mamba_d_ssm": 64, "mamba_n_heads": 8, "mamba_d_head": 8,
                  "mamba_d_state": 8, "mamba_chunk_size": 8, "mamba_n_groups": 1},
    "jamba": {"model_type": "jamba", **GQA, "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2,
              "expert_layer_offset": 1, "num_experts": 4, "num_experts_per_tok": 2, "mamba_d_state": 8, "mamba_dt_rank": 4,
              "use_mamba_kernels": False},
    "bamba": {"model_type": "bamba", **GQA, "attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8,
              "mamba_chunk_size": 8, "mamba_expand": 2, "mamba_n_groups": 1},
    "lfm2": {"model_type": "lfm2", **GQA, "layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False,
             "block_ff_dim": 48},
    "nemotron_h": {"model_type": "nemotron_h", **GQA, "head_dim": 8, "layers_block_type": ["mamba", "attention"],
                   "mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1, "chunk_size": 8},
    "recurrent_gemma": {"model_type": "recurrent_gemma", **GQA, "head_dim": 8, "lru_width": 32, "attention_window_size": 16,
                        "block_types": ["recurrent", "attention"]},
    "zamba2": {"model_type": "zamba2", **GQA, "layers_block_type": ["mamba", "hybrid"], "mamba_d_state": 8, "n_mamba_heads": 8,
               "mamba_ngroups": 1, "chunk_size": 8, "attention_head_dim": 16, "num_mem_blocks": 1, "adapter_rank": 4},
    "rwkv": {"model_type": "rwkv", "hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32, "intermediate_size": 48,
             "context_length": 64},
    "bert": {"model_type": "bert", **SIZE},
    "bert-decoder": {"model_type": "bert", **SIZE, "is_decoder": True},
    "bart": {"model_type": "bart", "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
             "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64},
    "t5": {"model_type": "t5", "d_model": 32, "num_layers": 2, "num_heads": 4, "d_ff": 48, "d_kv": 8},
}  # fmt: skip

NATIVE: dict[str, dict[str, Any]] = {
    "toy-attention-only": {"attn_only": True},
    "toy-relu": {"act_fn": "relu"},
    "toy-solu": {"act_fn": "solu"},
    "toy-solu_ln": {"act_fn": "solu_ln"},
    "toy-no-norm": {"normalization_type": None},
}
"""Models of transformer-lens's own architecture, by the fields that differ from `probe.model.toy.native`'s."""


@cache
def pair(name: str, dtype: str = "float64") -> tuple[TransformerBridge, torch.nn.Module]:
    """A random model as Openwork loads it from a folder, and the same model of transformers, which nothing has touched.

    Weights are large enough that every term shows; norm weights and biases are random too.
    """
    tokenizer, fields = toy_tokenizer(), dict(ZOO[name])
    config = AutoConfig.for_model(
        fields.pop("model_type"), vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, pad_token_id=0, **fields
    )
    torch.manual_seed(0)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    plain = auto.from_config(config, attn_implementation="eager", experts_implementation="eager")
    plain = plain.to(getattr(torch, dtype)).eval()
    for weight in plain.parameters():
        torch.nn.init.normal_(weight, std=0.25).requires_grad_(False)
    plain.generation_config = GenerationConfig(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    with tempfile.TemporaryDirectory() as folder:
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        bridge = load_model(folder, dtype=dtype)
        options = {"attn_implementation": "eager", "experts_implementation": "eager", "dtype": getattr(torch, dtype)}
        plain = auto.from_pretrained(folder, **options).eval()  # some settings do not survive being saved
    for weight in plain.parameters():
        weight.requires_grad_(False)
    bridge.original_model.set_experts_implementation("eager")  # the faster ones have no double precision
    return bridge, plain


@cache
def toy(name: str) -> TransformerBridge:
    """A model of `NATIVE`."""
    return native(tokenizer=toy_tokenizer(), **{"d_vocab": 512, **NATIVE[name]})
