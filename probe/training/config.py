"""How to train, and the learning rate that follows from it."""

import math
from dataclasses import dataclass

from probe.errors import BadInput
from probe.plain_values import Settings, look_at_config


@dataclass(frozen=True)
class TrainConfig(Settings):
    """How to train. Equal configs, data and threads give equal weights.

    >>> config = ow.TrainConfig(epochs=1, batch=256)
    >>> config.epochs
    1
    """

    lr: float = 4e-3
    "Peak learning rate of Adam, on standardised activations."
    batch: int = 1024
    "Tokens a step. Larger is faster per token, smaller learns more per token."
    epochs: int = 3
    "Passes over the training tokens."
    warmup: float = 0.05
    "Share of the training during which the learning rate rises from 0."
    decay: float = 0.7
    "Share of the training, at its end, during which the learning rate falls linearly to 0."
    clip: float = 1.0
    "Largest norm of the gradient of all weights together."
    seed: int = 0
    "Order of the tokens, and the tokens latents start at."
    start: bool = True
    "Start latents at tokens of the data and the linear path at the ridge map; else keep the weights as they are."
    dead_tokens: int = 50_000
    "A latent counts as dead after this many tokens without firing."
    aux: float = 1 / 32
    "Weight of the loss that asks dead latents to reconstruct the residual (AuxK); 0 leaves them alone."
    aux_k: int | None = None
    "Dead latents asked at each token; by default half as many as the dictionary reads dimensions."
    resample_every: int = 0
    "Steps between two resamplings of dead latents at badly reconstructed tokens; 0 for never."
    decoder: str = "free"
    "Norm of the decoder rows while training: free or unit."
    precision: str = "float32"
    "Of the matrix products: float32 or bfloat16 (autocast; weights and their updates stay float32)."
    log_every: int = 10
    "Steps between two lines of metrics."
    checkpoint_every: int = 200
    "Steps between two checkpoints."

    def __post_init__(self) -> None:
        look_at_config(self)
        positive = ("lr", "batch", "epochs", "clip", "dead_tokens", "log_every", "checkpoint_every")
        wrong = [name for name in positive if not 0 < getattr(self, name) < math.inf]
        if wrong:
            raise BadInput(f"{', '.join(wrong)} must be greater than 0 and finite.")
        if not 0 <= self.aux < math.inf or self.resample_every < 0 or (self.aux_k is not None and self.aux_k < 1):
            raise BadInput("aux and resample_every must be 0 or greater, aux_k at least 1.")
        if self.decoder not in ("free", "unit") or self.precision not in ("float32", "bfloat16"):
            raise BadInput(
                f"decoder is '{self.decoder}' (free or unit) and precision '{self.precision}' (float32 or bfloat16)."
            )
        if self.seed < 0:
            raise BadInput(f"The seed is {self.seed}; it must be 0 or greater.")
        if not (0 <= self.warmup <= 1 and 0 <= self.decay <= 1):
            raise BadInput(
                f"warmup ({self.warmup}) and decay ({self.decay}) are shares of the training, between 0 and 1."
            )


def learning_rate(config: TrainConfig, share: float) -> float:
    """Warm-up, plateau, linear decay; `share` of the training that is done, in (0, 1]."""
    rise = share / config.warmup if config.warmup else 1.0
    fall = (1 - share) / config.decay if config.decay else 1.0
    return config.lr * max(0.0, min(1.0, rise, fall))
