"""What a layer would predict, and what each part adds to a logit directly."""

from probe.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
