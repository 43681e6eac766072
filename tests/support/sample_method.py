"""A method as a contributor would write one, for the tests of declarations: it counts a prompt's tokens."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from probe.methods import Doc, Layers, chosen_layers, method
from probe.progress import SILENT, Progress
from probe.show.record import Record
from probe.text.prompts import Prompt, read_prompt
from probe.text.targets import Target, asked

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

TIMES = 2


@dataclass(frozen=True, kw_only=True)
class Counted(Record):
    prompt: str
    count: int
    layers: list[int]


@method("count-tokens", group="sample", paper="Nobody (2026)")
def count_tokens(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    target: Annotated[Target | None, Doc("A token; none by default.")] = None,
    layers: Annotated[Layers, Doc("Which layers.")] = None,
    times: Annotated[int, Doc("How often it is counted.", least=1, most=9)] = TIMES,
    share: Annotated[float, Doc("A share.", least=0, most=1)] = 0.5,
    ratio: Annotated[float, Doc("Any number.")] = 1.0,
    by: Annotated[Literal["one", "two"], Doc("How.")] = "one",
    again: Annotated[bool, Doc("Once more.")] = False,
    names: Annotated[list[str] | None, Doc("Names.")] = None,
    progress: Progress = SILENT,
) -> Counted:
    """The number of a prompt's tokens.

    The rest says more.
    """
    text, ids = read_prompt(model, prompt)
    if target is not None:
        asked(model, target)
    return Counted(prompt=text, count=len(ids) * times, layers=chosen_layers(model.cfg.n_layers, layers))
