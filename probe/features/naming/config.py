"""How labels are looked for: on how much text, in which pool, by which rules, and when one is said to fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from probe.doc import Doc
from probe.errors import BadInput
from probe.features.naming.word_lists import read_lists
from probe.methods.kinds import AnyText
from probe.plain_values import Settings, look_at_config

Rule = Literal["pmi", "tokens", "inputs", "promoted"]
RULES = ("pmi", "tokens", "inputs", "promoted")
Sort = Literal["tokens", "after", "before", "bigrams", "classes", "positions", "syntax", "lists"]
SORTS = ("tokens", "after", "before", "bigrams", "classes", "positions", "syntax", "lists")


@dataclass(frozen=True)
class ReadFor(Settings):
    """The text on which units are named, and when a unit counts as firing."""

    read: Annotated[int, Doc(least=1)] = 60_000
    "Tokens of the table's text at most, rows evenly spaced. One half of the documents proposes or ranks, the other scores."
    share: Annotated[float, Doc(least=0, most=1)] = 0.01
    "A unit fires where it is above 0 and among about this share of its strongest tokens; 1 counts all above 0."
    firings: Annotated[int, Doc(least=1)] = 10
    "A unit must fire so often in either half to be looked at."
    seed: Annotated[int, Doc(least=0)] = 0
    "Of the halves, of units that are drawn, of shuffles."

    def __post_init__(self) -> None:
        look_at_config(self)
        if not self.share:
            raise BadInput("share is 0, so no unit would fire; a share of the tokens was wanted, like 0.01.")


@dataclass(frozen=True)
class LabelConfig(Settings):
    """How labels are proposed, and when one fits."""

    rules: Sequence[Rule] = RULES
    "Who proposes: the pool by PMI; lists of tokens it fires at; tokens its input direction reads; tokens its output promotes."
    pool: Sequence[Sort] = SORTS
    "What stands in the pool."
    lists: Sequence[AnyText] = ()
    "Word lists of one's own in the pool, each as name: word, word."
    weight: Annotated[float, Doc(least=0, most=1)] = 0.2
    "How much a candidate's rarity counts beside how many firings it covers; 1 is PMI itself, which likes rare candidates."
    occurrences: Annotated[int, Doc(least=1)] = 5
    "Times that a token or a pair of tokens must occur to be a candidate."
    listed: Annotated[int, Doc(least=1, most=20)] = 8
    "Tokens of a list at most."
    least: Annotated[float, Doc(least=0.5, most=1)] = 0.6
    "AUROC below which no label fits, however sure it is."

    def __post_init__(self) -> None:
        look_at_config(self)
        if not self.rules:
            raise BadInput(f"No rule is named that could propose a label; choose among {', '.join(RULES)}.")
        if "pmi" in self.rules and not self.pool and not self.lists:
            raise BadInput(
                f"The pool of candidates is empty. Name what is in it ({', '.join(SORTS)}), give word lists of your own "
                "(lists), or leave out the rule pmi."
            )
        if self.lists and "pmi" not in self.rules:
            raise BadInput(
                "Word lists of your own stand in the pool, which no rule named here asks; name the rule pmi too."
            )
        read_lists(self.lists)
