"""Openwork's looking half: a model, its activations, and what is learned from them. Importing does no work.

import probe
model = probe.load_model("smollm2-135m")
with probe.intervene(model, [probe.Zero(probe.head(9, 6))]):
    logits = model(tokens)
"""

from probe.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
