"""Small models for tests and offline notebooks: random ones of every block shape, and hand-wired ones with known circuits.

`toy_model()` is what `load_model("toy")` returns: Llama-like (RMSNorm, SwiGLU, grouped-query attention, rotary), random
weights, with a byte-level tokenizer trained in a moment on the text below. Its predictions mean nothing; its arithmetic is real.
"""

from typing import TYPE_CHECKING, Any

import torch

from probe.model.aliases import TOY

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerFast

_TEXT = """An openworked watch shows its movement. The balance swings, the escapement counts, the train of wheels carries the
count to the hands, and the dial is cut away so that a person can see why the time is what it is. A transformer hides its
movement behind a single number for each word. The war lasted from 1714 to 1718. When Mary and John went to the store, John
gave a drink to Mary. The capital of France is Paris and the capital of Italy is Rome. One two three four five six seven."""


def toy_tokenizer() -> "PreTrainedTokenizerFast":
    """Byte-level BPE with 512 entries; any text can be encoded and decoded exactly."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<eos>"]
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([_TEXT], trainer)
    backend.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        add_bos_token=True,
        name_or_path="toy",
    )


def native(seed: int = 0, tokenizer: Any = None, scale: float = 1.0, **config: Any) -> "TransformerBridge":
    """A small random model of transformer-lens's own architecture; `config` overrides its fields.

    scale multiplies every matrix, so that random activations are far from zero and nonlinearities matter.
    """
    from transformer_lens.model_bridge import TransformerBridge
    from transformer_lens.model_bridge.sources import native as _native  # noqa: F401  (attaches boot_native)

    fields: dict[str, Any] = {
        "n_layers": 2,
        "d_model": 32,
        "d_head": 8,
        "n_heads": 4,
        "d_mlp": 64,
        "d_vocab": 64,
        "n_ctx": 64,
        "act_fn": "gelu",
        "normalization_type": "LN",
        "positional_embedding_type": "standard",
        "init_mode": "gpt2",
        "seed": seed,
        "architecture": "TransformerLensNative",
    }
    model = TransformerBridge.boot_native({**fields, **config}, tokenizer=tokenizer)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.original_model.parameters():
            if weight.ndim > 1:
                weight.mul_(scale)
            else:  # biases start at 0 and norm weights at 1, which would hide a dropped bias term
                weight.add_(0.1 * scale * torch.randn(weight.shape, generator=generator))
    model.eval()
    return model


def toy_model(seed: int = 0) -> "TransformerBridge":
    """Four random Llama-like layers, 64 wide, with the toy tokenizer."""
    tokenizer = toy_tokenizer()
    return native(
        seed,
        tokenizer,
        scale=3.0,
        **{**TOY, "d_vocab": len(tokenizer)},
        d_head=16,
        n_key_value_heads=2,
        n_ctx=512,
        act_fn="silu",
        gated_mlp=True,
        normalization_type="RMS",
        final_rms=True,
        positional_embedding_type="rotary",
        rotary_dim=16,
    )


def lookup_model(n_tokens: int = 8, gain: float = 3.0) -> "TransformerBridge":
    """Hand-wired: neuron i fires with strength 1 on token i alone and adds `gain` to the logit of token i + 1.

    No norm, attention writes nothing, positions are zero, so the whole circuit is token -> neuron -> logit.
    """
    model = native(
        n_layers=1,
        d_model=2 * n_tokens,
        n_heads=1,
        d_head=4,
        d_mlp=n_tokens,
        d_vocab=n_tokens,
        act_fn="relu",
        normalization_type=None,
    )
    eye, none = torch.eye(n_tokens), torch.zeros(n_tokens, n_tokens)
    block = model.blocks[0]
    with torch.no_grad():
        for weight in model.original_model.parameters():
            weight.zero_()
        model.W_E.copy_(torch.cat([eye, none], 1))  # the first half of the residual stream says which token
        block.mlp.W_in.copy_(torch.cat([eye, none], 0))
        block.mlp.W_out.copy_(torch.cat([none, gain * eye.roll(1, 1)], 1))  # the second half which token comes next
        model.W_U.copy_(torch.cat([none, eye], 0))
    return model
