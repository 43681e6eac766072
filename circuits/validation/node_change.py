"""What is done to the nodes of a set: as it is asked for, and the values that another prompt's run gives them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from circuits.validation.changed_run import values_in
from circuits.validation.testbed import Testbed
from probe.errors import BadInput
from probe.plain_values import Settings
from probe.text.prompts import Prompt, Prompts, encode_prompt, several

ChangeMode = str
"""`ablate` (or `zero`), `scale`, `clamp`, `patch` (or `restore`)."""
CHANGE_WORDS = {"zero": "ablate", "patch": "restore"}
"""Other words for a mode."""
_NEEDS = {"scale": "factor", "clamp": "level"}
"""The number that a mode goes by, and no other does."""


@dataclass(frozen=True, eq=False)
class NodeChange(Settings):
    """What is done to the nodes of a set."""

    mode: ChangeMode = "ablate"
    "What is done: `ablate`, `scale` by the factor, `clamp` to the level, `patch` with another prompt's values."
    factor: float | None = None
    "What activations are multiplied by, with `scale`."
    level: float | None = None
    "What activations are held at, with `clamp`."
    restore: Prompt | Sequence[Prompt] = ()
    "With `patch`, the prompt whose values are put in: one for each prompt that is tested, of as many tokens."

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", CHANGE_WORDS.get(self.mode, self.mode))
        for mode, name in _NEEDS.items():
            there = getattr(self, name) is not None
            if there != (self.mode == mode):
                wanted = f"needs a {name}" if not there else f"takes no {name}; {mode} does"
                raise BadInput(f"The change {self.mode} {wanted}.")

    @property
    def amount(self) -> tuple[float, float]:
        """The factor and the level, 0 where the mode has none."""
        return self.factor or 0.0, self.level or 0.0


def restored_from(restore: Prompts, mode: str, n: int) -> list[Prompt]:
    """The prompts whose values n graphs are restored to; BadInput unless there is one for each, where that is asked."""
    others = several(restore)
    if bool(others) != (mode == "restore"):
        raise BadInput(
            "Give the prompts whose values are put in with mode='patch', and only then: restore='another prompt of equal "
            f"length'. The mode is '{'patch' if mode == 'restore' else mode}' and {len(others)} were given."
        )
    if others and len(others) != n:
        raise BadInput(f"{n} prompts are tested and {len(others)} prompts to patch from were given; give one for each.")
    return others


def levels_in(bed: Testbed, other: Prompt) -> Float[np.ndarray, " node"]:
    """Every node's value in the run of another prompt."""
    ids = torch.tensor([encode_prompt(bed.model, other)], device=bed.tokens.device)
    return values_in(bed.model, bed.graph, bed.placed, ids)
