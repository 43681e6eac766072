"""A live stream of activations of the toy, a dictionary as wide, and how it is trained."""

from harvests import CONTEXT, SITES, token_set

from probe.activations.streaming import LiveActivations
from probe.dictionaries import Dictionary, TopK, Transcoder
from probe.training.trainer import TrainConfig

CONFIG = TrainConfig(batch=20, epochs=2, checkpoint_every=2, log_every=2, dead_tokens=60, start=False)
IN, OUT = SITES[:2]


def stream(model, rows: int = 14, **changes) -> LiveActivations:
    """Blocks of three rows, so that every batch of 20 or more comes from several."""
    given = {"block_tokens": 3 * CONTEXT, "batch": 2, "held_out": 0.3, "seed": 3, **changes}
    return LiveActivations(model, token_set(rows), SITES, **given)


def small(live: LiveActivations, start: int = 0) -> Dictionary:
    return Transcoder(live.width(IN), 24, live.width(OUT), sparsifier=TopK(3), site_in=IN, site_out=OUT, seed=start)
