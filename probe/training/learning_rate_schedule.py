"""The schedule of the learning rate: it rises from 0, stays, and falls linearly to 0."""

from probe.training.config import TrainConfig


def learning_rate(config: TrainConfig, share: float) -> float:
    """Warm-up, plateau, linear decay; `share` of the training that is done, in (0, 1]."""
    rise = share / config.warmup if config.warmup else 1.0
    fall = (1 - share) / config.decay if config.decay else 1.0
    return config.lr * max(0.0, min(1.0, rise, fall))
