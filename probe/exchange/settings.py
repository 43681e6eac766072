"""Settings of other libraries: those that change what a dictionary computes are read, and any that nobody here knows is refused.

A file's numbers are half of a dictionary; the other half is what its library does with them, which its settings say. A setting
passed over in silence (another activation, a stream without its mean) gives latents that look right and are not. So each format
lists what it reads and what is known to matter in training only; everything else has to be off.
"""

from collections.abc import Collection, Mapping
from typing import Any

from probe.errors import BadInput

_OFF = (None, False, 0, "", "none", "None")


def only_known(config: Mapping[str, Any], read: Collection[str], harmless: Collection[str], source: str) -> None:
    """Refuse a setting that is neither read nor harmless, unless it is off (none, false, zero or empty)."""
    strange = {
        name: value for name, value in config.items() if name not in read and name not in harmless and not is_off(value)
    }
    if strange:
        shown = ", ".join(f"{str(name)[:60]} = {shortened(value)}" for name, value in list(strange.items())[:4])
        raise BadInput(
            f"{source} sets {shown}{' and more' * (len(strange) > 4)}. What that does to the arithmetic is not known here, so "
            "nothing was imported. If it matters in training only, take it out of the settings and import again."
        )


def is_off(value: Any) -> bool:
    """Whether a setting says that something is not done."""
    if isinstance(value, list | tuple | dict):
        return all(is_off(each) for each in (value.values() if isinstance(value, dict) else value))
    return any(value is off or (type(value) is type(off) and value == off) for off in _OFF) or value == 0.0


def shortened(value: Any) -> str:
    """A value as it is printed, in a few characters."""
    text = repr(value) if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}..."


def one_of(config: Mapping[str, Any], name: str, known: Collection[Any], source: str) -> None:
    """Refuse a setting with another value than those that have a counterpart."""
    value = config.get(name)
    if isinstance(value, dict | list) or value not in known:
        choices = ", ".join(repr(v) for v in known if v is not None)
        raise BadInput(f"{source} gives {name} as {shortened(value)}; only {choices} have a counterpart here.")


def words(text: str) -> frozenset[str]:
    """Names, as they are listed below."""
    return frozenset(text.split())


TRAINING = words(
    """
    _hook_head_indices_per_sae _hook_names_per_sae act_store_device activations_mixing_fraction adam_beta1 adam_beta2
    array_index autocast autocast_lm aux_loss_coefficient b_dec_init_method buffer_size_gb cached_activations_path
    checkpoint_path compile_llm compile_sae context_size d_head data_column dataset dataset_path dataset_trust_remote_code
    dead_feature_estimation_method dead_feature_threshold dead_feature_window decoder_heuristic_init
    decoder_heuristic_init_norm decoder_init_norm decoder_orthogonal_init device disable_concat_sequences
    eval_batch_size_prompts eval_every_n_wandb_logs exclude_special_tokens expansion_factor feature_reinit_scale
    feature_sampling_method feature_sampling_window feature_resampling_method finetuning_method finetuning_tokens
    from_pretrained_path get_loss hook_eval hook_layer hook_point_layer init_encoder_as_decoder_transpose
    is_dataset_tokenized jumprelu_bandwidth jumprelu_init_threshold jumprelu_sparsity_loss_mode
    jumprelu_ste_to_input jumprelu_tanh_scale l0 l0_coefficient l0_warm_up_steps l1_coefficient l1_loss_wd_norm
    l1_warm_up_steps layer llm_compilation_mode llm_device log_activations_store_to_wandb log_feature_sparsity_path
    log_optimizer_state_to_wandb log_to_wandb log_weights_to_wandb logger lp_norm lr lr_decay_steps lr_end lr_scheduler_name
    lr_warm_up_steps metadata min_l1_coefficient model_batch_size model_class_name model_name mse_loss_normalization
    n_batches_for_norm_estimate n_batches_in_buffer n_checkpoints n_eval_batches n_restart_cycles n_running_sparsity
    neuronpedia_id noise_scale normalize_sae_decoder num_dead_features num_workers output_path pre_act_loss_coefficient
    prefetch_llm_batches prepend_bos release repo_id folder_name resample_batches resume resume_from_checkpoint run_name
    run_time_of_day sae_compilation_mode sae_id sae_lens_training_version sae_lens_version save_final_checkpoint
    scale_sparsity_penalty_by_decoder_norm seed seqpos seqpos_slice shuffle sparsity sparsity_penalty store_batch_size
    store_batch_size_prompts streaming target_l0 tokenizer_name tokens_per_buffer topk_threshold_lr total_training_steps
    total_training_tokens train_batch_size train_batch_size_samples train_batch_size_tokens training_tokens
    unique_id use_cached_activations use_chat_formatting use_ghost_grads use_matryoshka_aux_loss use_sparse_activations
    use_tqdm verbose wandb_entity wandb_id wandb_log_frequency wandb_project warm_up_steps
    """
)
"""Settings of SAELens and transcoder_circuits that say how a dictionary was trained, or where it is kept."""

MODEL = words(
    """
    attn_implementation cache_dir center_unembed checkpoint_index checkpoint_value default_prepend_bos device device_map dtype
    low_cpu_mem_usage n_devices revision token torch_dtype trust_remote_code
    """
)
"""How a model was loaded, where that changes no activation: the unembedding's mean, the precision, the place."""
