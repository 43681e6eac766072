"""Two sequences of token ids side by side: which token stands for which, and where one has none.

Equal runs are found longest first (difflib's matching blocks), as a person would: what is common is never torn apart to save an
edit. Between two equal runs the differing tokens are paired in order, the rest of the longer side stands alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from probe.show.record import Record


@dataclass(frozen=True)
class Column:
    """A place of the alignment: the positions in both sequences, None for a gap. same: whether both hold the same token."""

    a: int | None
    b: int | None
    same: bool


@dataclass(frozen=True)
class Alignment(Record):
    """columns in reading order; every position of either sequence is in exactly one of them."""

    columns: tuple[Column, ...]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Positions that stand for each other, same token or not."""
        return [(c.a, c.b) for c in self.columns if c.a is not None and c.b is not None]

    @property
    def n_same(self) -> int:
        return sum(c.same for c in self.columns)


def align(a: Sequence[int], b: Sequence[int]) -> Alignment:
    """The alignment of two sequences of ids, either of which may be empty."""
    columns: list[Column] = []
    for tag, i, i_end, j, j_end in SequenceMatcher(None, list(a), list(b), autojunk=False).get_opcodes():
        both = min(i_end - i, j_end - j)
        columns += [Column(i + k, j + k, tag == "equal") for k in range(both)]
        columns += [Column(k, None, False) for k in range(i + both, i_end)]
        columns += [Column(None, k, False) for k in range(j + both, j_end)]
    return Alignment(tuple(columns))
