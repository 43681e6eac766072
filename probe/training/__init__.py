"""One dictionary learned from pairs of activations: step, loop, plan, log."""

from probe.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
