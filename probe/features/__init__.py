"""What each unit of a dictionary or an MLP does: examples, density, effects on the logits, neighbours; one table on disk."""

from probe.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
