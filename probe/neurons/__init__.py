"""What MLP units read and write, by weights and on a prompt."""

from probe.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
