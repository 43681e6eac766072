"""One word of the glossary."""

from dataclasses import asdict, dataclass
from typing import Any

from probe.show.record import Record


@dataclass(frozen=True)
class Word(Record):
    """One word. good: how to judge the number. source: where it comes from; ours where none is named."""

    name: str
    meaning: str
    good: str
    source: str = ""

    def __repr__(self) -> str:
        return f"{self.name}: {self.told()}"

    def told(self) -> str:
        """The meaning, and how to judge it, as one text."""
        return f"{self.meaning} {self.good}".strip()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)
