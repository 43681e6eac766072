"""One attention head or all of them: patterns, scores, and what their weights do."""

from probe.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
