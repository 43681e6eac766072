"""Changes of a run as values; running with them; and a run with and without."""

from probe.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
