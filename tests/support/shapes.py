"""The runtime check of shapes under pytest: beartype on jaxtyping annotations, and on nothing else.

Other hints are pyright's job. Many of them name classes that are imported for type checking only, because importing
torch takes seconds; beartype could not resolve those.
"""

from typing import Any, get_args

from beartype import beartype
from jaxtyping import AbstractArray


def mentions_shape(hint: Any) -> bool:
    """Whether a jaxtyping array stands anywhere in the annotation: `Float[Tensor, "pos"] | None` yes, `str` no."""
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(mentions_shape(part) for part in get_args(hint))


def checked(function: Any) -> Any:
    """The type checker handed to jaxtyping's import hook."""
    hints = getattr(function, "__annotations__", {})
    function.__annotations__ = {name: hint if mentions_shape(hint) else Any for name, hint in hints.items()}
    return beartype(function)
