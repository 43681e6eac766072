"""From text to rows of tokens, from tokens to what people read, and what is asked of a prompt."""

from probe.public import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
