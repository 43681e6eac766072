"""What can be trained, by name, and how: kinds of dictionaries, rules of sparsity, settings. No torch: a form offers them before
it loads any."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from probe.doc import Doc
from probe.plain_values import Settings, look_at_config
from probe.training.dead_tokens import DEAD_TOKENS

Kind = Literal["skip_transcoder", "transcoder", "sae", "crosscoder", "cross_layer_transcoder"]
Rule = Literal["topk", "batchtopk", "jumprelu", "relu", "gated", "matryoshka"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True)
class TrainConfig(Settings):
    """How to train. Equal configs, data and threads give equal weights.

    >>> config = ow.TrainConfig(epochs=1, batch=256)
    >>> config.epochs
    1
    """

    lr: Annotated[float, Doc(above=0)] = 4e-3
    "Peak learning rate of Adam, on standardised activations."
    batch: Annotated[int, Doc(least=1)] = 1024
    "Tokens a step. Larger is faster per token, smaller learns more per token."
    epochs: Annotated[int, Doc(least=1)] = 3
    "Passes over the training tokens."
    warmup: Annotated[float, Doc(least=0, most=1)] = 0.05
    "Share of the training during which the learning rate rises from 0."
    decay: Annotated[float, Doc(least=0, most=1)] = 0.7
    "Share of the training, at its end, during which the learning rate falls linearly to 0."
    clip: Annotated[float, Doc(above=0)] = 1.0
    "Largest norm of the gradient of all weights together."
    seed: Annotated[int, Doc(least=0)] = 0
    "Order of the tokens, the tokens latents start at."
    start: bool = True
    "Start latents at tokens of the data and the linear path at the ridge map; else keep the weights as they are."
    dead_tokens: Annotated[int, Doc(least=1)] = DEAD_TOKENS
    "A latent counts as dead after this many tokens without firing."
    aux: Annotated[float, Doc(least=0)] = 0.03125
    "Weight of the loss that asks dead latents to reconstruct the residual (AuxK); 0 leaves them alone."
    aux_k: Annotated[int | None, Doc(least=1)] = None
    "Dead latents asked at each token; by default half as many as the dictionary reads dimensions."
    resample_every: Annotated[int, Doc(least=0)] = 0
    "Steps between two resamplings of dead latents at badly reconstructed tokens; 0 for never."
    decoder: Literal["free", "unit"] = "free"
    "Norm of the decoder rows while training."
    precision: Literal["float32", "bfloat16"] = "float32"
    "Of the matrix products (bfloat16 is autocast, which pays on CUDA; weights and their updates stay float32)."
    log_every: Annotated[int, Doc(least=1)] = 10
    "Steps between two lines of metrics."
    checkpoint_every: Annotated[int, Doc(least=1)] = 200
    "Steps between two checkpoints."

    def __post_init__(self) -> None:
        look_at_config(self)
