"""Words that tasks are made of, and which of them a model's tokenizer writes as one token."""

from functools import cache
from typing import TYPE_CHECKING, TypeVar

from probe.errors import BadInput
from probe.text.documents import bundled
from probe.text.targets import single

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Word = TypeVar("Word")


@cache
def listed(name: str) -> tuple[str, ...]:
    """The words of `data/tasks/NAME.txt`, one a line."""
    return tuple(bundled(f"tasks/{name}.txt").read_text(encoding="utf8").split("\n")[:-1])


def pairs_listed(name: str) -> tuple[tuple[str, str], ...]:
    """The pairs of `data/tasks/NAME.txt`, one a line with a tab between."""
    return tuple((first, second) for line in listed(name) for first, _, second in [line.partition("\t")])


def enough(found: list[Word], name: str, least: int = 2) -> list[Word]:
    """Words that a model reads as one token each. BadInput where they are fewer than `least`."""
    if len(found) < least:
        raise BadInput(
            f"This model's tokenizer writes {len(found)} of the {name} of this task as one token, and {least} are needed. Give "
            "examples of your own (a JSONL file)."
        )
    return found


class Words:
    """Words as one model reads them."""

    def __init__(self, model: "TransformerBridge"):
        self.model = model
        self._known: dict[str, bool] = {}

    def one_token(self, text: str) -> bool:
        """Whether the model writes this text, with its space, as one token."""
        if text not in self._known:
            self._known[text] = single(self.model, text) is not None
        return self._known[text]

    def of(self, name: str, least: int = 2) -> list[str]:
        """The words of a list that are one token after a space. BadInput where fewer than `least` are."""
        return enough([word for word in listed(name) if self.one_token(f" {word}")], name, least)
