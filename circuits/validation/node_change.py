"""What is done to the nodes of a set: as it is asked for, and the values that another prompt's run gives them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from circuits.validation.changed_run import values_in
from circuits.validation.testbed import Testbed
from probe.errors import BadInput
from probe.plain_values import Settings
from probe.text.prompts import Prompt, Prompts, encode_prompt, several

CHANGE_WORDS = {"zero": "ablate", "patch": "restore"}
"""Other words for a mode."""


@dataclass(frozen=True, eq=False)
class NodeChange(Settings):
    """What is done to the nodes of a set."""

    mode: str = "ablate"
    "`ablate` (or `zero`), `scale` (by factor), `clamp` (to level), `patch` (or `restore`: to values of other prompts)."
    factor: float = 0.0
    "Of `scale`."
    level: float = 0.0
    "Of `clamp`."
    restore: Prompts = ()
    "Of `patch`: a prompt for each of the graphs, as long as its own."

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", CHANGE_WORDS.get(self.mode, self.mode))


def restored_from(restore: Prompts, mode: str, n: int) -> list[Prompt]:
    """The prompts whose values n graphs are restored to; BadInput unless there is one for each, where that is asked."""
    others = several(restore)
    if bool(others) != (mode == "restore"):
        raise BadInput(
            "Give the prompts whose values are restored with mode='restore', and only then: restore='another prompt of equal "
            f"length'. The mode is '{mode}' and {len(others)} were given."
        )
    if others and len(others) != n:
        raise BadInput(
            f"{n} prompts are tested and {len(others)} prompts to restore from were given; give one for each."
        )
    return others


def levels_in(bed: Testbed, other: Prompt) -> Float[np.ndarray, " node"]:
    """Every node's value in the run of another prompt."""
    ids = torch.tensor([encode_prompt(bed.model, other)], device=bed.tokens.device)
    return values_in(bed.model, bed.graph, bed.placed, ids)
