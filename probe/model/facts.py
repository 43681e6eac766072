"""A loaded model on one screen. Printing the model itself writes out every module of every layer, some 200,000 characters.

describe(model)     smollm2-135m: 30 layers of 9 heads (3 keys and values) and 1,536 neurons, ...
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from probe.errors import BadInput, brief
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, kw_only=True)
class ModelFacts(Record):
    """Sizes by the field's names: d_model wide, d_mlp neurons and n_heads heads a layer, d_head wide, n_ctx tokens at most.
    n_key_value_heads: heads that share keys and values are fewer. gated: whether the MLP is (W_gate). norm: LN, RMS, ...;
    parallel: attention and MLP read the same stream. parameters: numbers learned, each counted once; bytes as loaded."""

    name: str
    architecture: str
    n_layers: int
    d_model: int
    n_heads: int
    n_key_value_heads: int
    d_head: int
    d_mlp: int | None
    gated: bool
    norm: str
    parallel: bool
    d_vocab: int
    n_ctx: int
    bos: str | None
    parameters: int
    bytes: int
    dtype: str
    device: str

    def summary(self) -> str:
        """One sentence."""
        few = f" ({self.n_key_value_heads} of keys and values)" if self.n_key_value_heads != self.n_heads else ""
        neurons = f" and {self.d_mlp:,} neurons" if self.d_mlp else ""
        return (
            f"{self.name}: {self.architecture}, {self.n_layers} layers of {self.n_heads} heads{few}{neurons}, "
            f"{self.d_model} wide; "
            f"{self.parameters / 1e6:,.1f} M parameters in {self.dtype} on {self.device}; {self.d_vocab:,} tokens."
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def describe(model: "TransformerBridge") -> ModelFacts:
    """What a loaded model is: sizes, norm, vocabulary, weights, where it lies. BadInput for what is no model.

    >>> facts = ow.describe(model)
    >>> facts.n_layers, facts.d_model
    (4, 64)
    """
    from probe.identity import model_name

    if not hasattr(model, "original_model"):
        raise BadInput(
            f"A loaded model was wanted, and {brief(model)} came. Load one: probe.load_model('smollm2-135m')."
        )
    cfg, weights = model.cfg, {w.data_ptr(): w for w in model.original_model.parameters()}.values()
    tokenizer = model.tokenizer
    bos = bos_of(model)
    first = next(iter(weights))
    return ModelFacts(
        name=model_name(model),
        architecture=str(
            getattr(cfg, "architecture", None) or getattr(cfg, "original_architecture", None) or "unknown"
        ),
        n_layers=int(cfg.n_layers),
        d_model=int(cfg.d_model),
        n_heads=int(cfg.n_heads),
        n_key_value_heads=int(getattr(cfg, "n_key_value_heads", None) or cfg.n_heads),
        d_head=int(cfg.d_head),
        d_mlp=None if getattr(cfg, "d_mlp", None) is None else int(cfg.d_mlp),
        gated=bool(getattr(cfg, "gated_mlp", False)),
        norm=str(getattr(cfg, "normalization_type", None) or "none"),
        parallel=bool(getattr(cfg, "parallel_attn_mlp", False)),
        d_vocab=int(cfg.d_vocab),
        n_ctx=int(getattr(cfg, "n_ctx", 0) or 0),
        bos=None if bos is None or tokenizer is None else str(tokenizer.convert_ids_to_tokens(bos)),
        parameters=sum(w.numel() for w in weights),
        bytes=sum(w.numel() * w.element_size() for w in weights),
        dtype=str(first.dtype).removeprefix("torch."),
        device=str(first.device),
    )


def bos_of(model: "TransformerBridge", prepend_bos: bool | None = None) -> int | None:
    """The token every row begins with: the tokenizer's BOS if it has one and the model (or the caller) wants it."""
    bos = getattr(getattr(model, "tokenizer", None), "bos_token_id", None)
    wanted = getattr(model.cfg, "default_prepend_bos", True) if prepend_bos is None else prepend_bos
    return bos if wanted else None
