"""What a search for groups found, as its page keeps it: the groups, how many units were compared, and by what, in words."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from circuits.supernodes.groups import Group, Supernodes


@dataclass(frozen=True)
class Suggested:
    """The record of `suggest_supernodes` without its graph, which the page has."""

    groups: "tuple[Group, ...]"
    compared: int
    words: str


def suggested(record: "Supernodes", words: str) -> Suggested:
    """What is kept of a record."""
    return Suggested(tuple(record.groups), len(record.nodes), words)
