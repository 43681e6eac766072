"""Numbers and texts of the command line that no work could mean, refused before anything is loaded, in one place for all options.

Each command says what its options mean and checks what only it can know; here is what holds wherever an option of that name
stands. A number must be finite and of a size that some machine could serve; a text must be one that a file can keep.
"""

import inspect
import math
from collections.abc import Callable
from functools import wraps

from probe.errors import BadInput, brief

MAX_SEED = 2**31 - 1
"""Every random number generator in use takes seeds from 0 to this."""
MOST: dict[str, float] = {
    **dict.fromkeys(("tokens", "max_tokens", "budget"), 10**11),
    **dict.fromkeys(("epochs", "resample_every", "top", "top_k", "units", "edges", "max_edges", "max_nodes"), 10**7),
    **dict.fromkeys(("context", "batch", "window"), 2**20),
    **dict.fromkeys(("check", "control", "random", "prompts"), 10_000),
    **dict.fromkeys(("generate", "branches"), 100_000),
    **dict.fromkeys(("d_dict", "widths", "unit", "neuron", "latent"), 2**28),
    **dict.fromkeys(("seed", "seeds"), MAX_SEED),
    "length": 2**20,
    "layer": 10_000,
    "memory": 10**15,  # bytes
    "max_mb": 10**6,
}
"""The largest number for an option of this name; for any other, what 32 bits hold."""
_LONGEST = 4_000_000  # characters of a text


def checked(command: Callable[..., object]) -> Callable[..., object]:
    """The command, which looks at its options first. Its signature and its help stay."""

    @wraps(command)
    def run(*args: object, **options: object) -> object:
        given = inspect.signature(command).bind(*args, **options).arguments
        for name, value in given.items():
            require_possible(name, value)
        return command(*args, **options)

    return run


def require_possible(name: str, value: object) -> None:
    """BadInput for an option's value that no work could mean."""
    for one in value if isinstance(value, list | tuple) else [value]:
        if problem := _problem(name, one):
            raise BadInput(f"--{name.replace('_', '-').strip('-')} {problem}.")


def _problem(name: str, value: object) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        most = MOST.get(name, 2**32)
        if isinstance(value, float) and not math.isfinite(value):
            return f"is {value}; a finite number was wanted"
        return f"is {brief(value)}; at most {most:,.0f} was wanted" if abs(value) > most else None
    if isinstance(value, str):
        if len(value) > _LONGEST:
            return f"has {len(value):,} characters; at most {_LONGEST:,} are read"
        if any("\ud800" <= c <= "\udfff" for c in value[:_LONGEST]):
            return f"is {brief(value)}, which holds what is no character; write it in UTF-8"
    return None
