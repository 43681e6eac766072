"""The kinds of parameter that name a stored result: scores, a circuit. Python takes the record itself, or its folder, too."""

import re
from dataclasses import dataclass
from os import PathLike
from typing import Any

from probe.methods.graph_kinds import is_at_place
from probe.methods.plain_kinds import NotPlain, Plain, Text


@dataclass(frozen=True)
class ResultKind(Text):
    """A stored result by its name. records: the classes that it may hold, by their names."""

    records: tuple[str, ...] = ()

    def plain(self, given: Any) -> Plain:
        named = isinstance(given, str) and re.fullmatch(self.pattern, given)
        if not named and isinstance(given, str | PathLike) and is_at_place(given):
            raise NotPlain
        if type(given).__name__ in self.records:
            raise NotPlain
        return self.check(given)
