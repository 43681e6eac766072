"""The one graph of nodes and edges: type, influence and pruning, checks, disk, picture."""

from probe.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
