"""Openwork's explaining half: which parts of a model cause a prediction, and whether that explanation is true.

graph = circuits.trace(model, "The capital of France is")
"""

from probe.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
