"""The kinds of parameter a method may have: of each, what is let in, how it is kept as plain JSON, and how it is written.

A kind is known by the name of its annotation: `prompt: Prompt`, `layers: Layers`, `ratio: float`. `plain_kinds` says what
each answers.

What only the model can know (is this a token?) the method
asks itself, where it reads the value.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from probe.artifacts.folder import place
from probe.errors import BadInput, brief
from probe.methods.graph_kinds import (
    BASES,
    MODES,
    BasisKind,
    GraphKind,
    HeadLayersKind,
    ModeKind,
    NodesKind,
    TaskKind,
    ThroughKind,
    is_at_place,
)
from probe.methods.place_kinds import PlaceKind, WrittenKind
from probe.methods.plain_kinds import (
    AnyTextKind,
    Kind,
    NotPlain,
    Plain,
    Switch,
    Text,
    half_of_one,
    is_text,
    scalar,
)
from probe.methods.result_kinds import ResultKind
from probe.model.unit_names import UnitName, as_text, nearly
from probe.words import one_at_a_time

if TYPE_CHECKING:
    from probe.dictionaries.store import AnyDictionary
    from probe.interventions.places import Place
    from probe.interventions.values import Intervention

    DictionaryName = str | AnyDictionary
    Change = str | Intervention
    Unit = str | int | UnitName | Place | tuple[int, int]
    TokenOrUnit = Unit
else:
    DictionaryName = Change = Unit = TokenOrUnit = Any  # what they stand for would bring torch
CacheName = Any
"""A stored cache by its name, or an open one: what it is belongs to a later room."""
CorpusName = StudyName = TableName = str
"""A text source of `corpus`: sotu, sample:NAME, a file; a study; a feature table."""
AnyText = str
Token = str | int
Layers = str | int | Sequence[int] | None
"""Layers of a model: `3`, `[3, 5]`, `"3,5-7"`, -1 for the last; None or "all" for every one."""


@dataclass(frozen=True)
class PromptKind(Kind):
    """Text, token ids or chat messages."""

    def check(self, value: Plain) -> Plain:
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list) and value and (all(map(_is_id, value)) or all(map(_is_message, value))):
            return value
        raise ValueError

    def plain(self, given: Any) -> Plain:
        listed = _as_list(given)
        if isinstance(listed, list) and len(listed) == 1 and isinstance(listed[0], str | list):  # a batch of one
            return self.check(listed[0])
        return self.check(listed)

    def advice(self, value: Any) -> str:
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            shape = tuple(value.shape)
            return f"Its shape is {shape} and its type {value.dtype}; token ids are whole numbers, as [pos] or [batch, pos]."
        value = _as_list(value)
        if value in ("", []):
            return "It is empty; write some text, for instance: The capital of France is"
        if not isinstance(value, list):
            return "Chat messages are a list of them." if isinstance(value, Mapping) else ""
        if any(isinstance(one, Mapping) for one in value):
            return "A chat message is {'role': ..., 'content': ...}, both text."
        if len(value) > 1 and all(isinstance(one, str | list) for one in value):
            return one_at_a_time(len(value))
        return next((_no_id(one) for one in value if not _is_id(one)), "")

    def text(self, plain: Plain) -> str | None:
        return plain if isinstance(plain, str) else None


@dataclass(frozen=True)
class TargetKind(Kind):
    """A token by text or id, or the difference of two: `{"token": " Mary", "other": " John"}`."""

    def check(self, value: Plain) -> Plain:
        if isinstance(value, Mapping):
            if set(value) != {"token", "other"}:
                raise ValueError
            return {side: self._token(one) for side, one in value.items()}
        return self._token(value)

    def plain(self, given: Any) -> Plain:
        if hasattr(given, "token") and hasattr(given, "other"):
            return self.check({"token": scalar(given.token), "other": scalar(given.other)})
        return self.check(scalar(given))

    def given(self, plain: Plain, model: Any = None) -> Any:
        if not isinstance(plain, Mapping):
            return _typed_id(plain, model)
        from probe.text.targets import Difference

        return Difference(_typed_id(plain["token"], model), _typed_id(plain["other"], model))

    def parse(self, text: str) -> Plain:
        number = text.removeprefix("id:")
        return int(number) if number != text and number.isdecimal() else self.check(text)

    def text(self, plain: Plain) -> str | None:
        return None if isinstance(plain, Mapping) else f"id:{plain}" if isinstance(plain, int) else plain

    def python(self, plain: Plain) -> str:
        return f"ow.Difference({plain['token']!r}, {plain['other']!r})" if isinstance(plain, Mapping) else repr(plain)

    def advice(self, value: Any) -> str:
        if isinstance(value, str):
            return half_of_one(value) if value else "The name is empty; name one token, like ' Mary' with its space."
        return _no_id(value) if isinstance(value, int) and not isinstance(value, bool) and not _is_id(value) else ""

    def _token(self, value: Plain) -> Plain:
        if (is_text(value) and value) or _is_id(value):
            return value
        raise ValueError


@dataclass(frozen=True)
class LayersKind(Kind):
    """Layers as they are written: `3`, `3,5-7`, `-1`, `all`."""

    def check(self, value: Plain) -> Plain:
        if value in (None, "all"):
            return None
        if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,5}(-\d{1,5})?(\s*,\s*-?\d{1,5}(-\d{1,5})?)*\s*", value):
            return "".join(value.split())
        raise ValueError

    def plain(self, given: Any) -> Plain:
        given = given.tolist() if hasattr(given, "tolist") else given
        if isinstance(given, int) and not isinstance(given, bool):
            return self.check(str(given))
        if isinstance(given, Iterable) and not isinstance(given, str):
            layers = list(given)
            if not layers or not all(isinstance(one, int) and not isinstance(one, bool) for one in layers):
                raise ValueError
            return self.check(",".join(map(str, layers)))
        return self.check(given)

    def text(self, plain: Plain) -> str | None:
        return "all" if plain is None else plain


@dataclass(frozen=True)
class TokenKind(TargetKind):
    """A token by text or id, no difference."""

    def check(self, value: Plain) -> Plain:
        return self._token(value)

    def advice(self, value: Any) -> str:
        two = isinstance(value, Mapping) or hasattr(value, "other")
        return "That is the difference of two tokens, and not one." if two else super().advice(value)


@dataclass(frozen=True)
class ExplainedKind(TokenKind):
    """What paths lead to: a token, or a unit by its name."""

    def plain(self, given: Any) -> Plain:
        if isinstance(given, tuple) or (hasattr(given, "token") and hasattr(given, "other")):
            raise NotPlain
        return self.check(scalar(as_text(given)))


@dataclass(frozen=True)
class DictionaryKind(Text):
    """A stored dictionary by its name; Python takes a folder too, and a loaded one, which a call can tell of only if it is
    stored."""

    def plain(self, given: Any) -> Plain:
        if isinstance(given, PathLike):
            raise NotPlain
        if isinstance(given, str) or not (hasattr(given, "encode") or hasattr(given, "parts")):
            return self.check(given)
        name = getattr(given, "name", "")
        if not isinstance(name, str) or not re.fullmatch(self.pattern, name):
            raise NotPlain
        return name

    def given(self, plain: Any, model: Any = None) -> Any:
        if not isinstance(plain, str | PathLike):
            return plain
        from probe.dictionaries import load_dictionary

        return load_dictionary(plain, model)

    def planned(self, plain: Plain, model: Any = None) -> Any:
        return plain  # by its name: what stands beside its weights says how large it is

    def python(self, plain: Plain) -> str:
        return f"ow.load_dictionary({plain!r}, model)"


@dataclass(frozen=True)
class TableKind(Text):
    """A stored feature table by its name; Python takes its folder too, of which a call cannot tell."""

    def plain(self, given: Any) -> Plain:
        named = isinstance(given, str) and re.fullmatch(self.pattern, given)
        if not named and isinstance(given, str | PathLike) and is_at_place(given):
            raise NotPlain
        return self.check(given)


@dataclass(frozen=True)
class CacheKind(Text):
    """A stored cache by its name, which the method opens itself; Python takes an open one too, of which a call can tell only
    if it lies where names are looked up."""

    def plain(self, given: Any) -> Plain:
        if isinstance(given, str) or not hasattr(given, "n_tokens"):
            return self.check(given)
        folder = getattr(given, "folder", None)
        if folder is None or folder != place("cache", folder.name):
            raise NotPlain
        return self.check(folder.name)


@dataclass(frozen=True)
class ChangeKind(Text):
    """A change of a run as text, like `ablate:L5H3`; Python takes interventions too, which no call can tell of."""

    def plain(self, given: Any) -> Plain:
        if not isinstance(given, str):
            raise NotPlain
        return self.check(given)


@dataclass(frozen=True)
class UnitKind(Kind):
    """A unit by its name: `L5H3`, `L5N120`, `L5F650`; Python takes numbers too, which the method reads itself."""

    def plain(self, given: Any) -> Plain:
        given = as_text(scalar(given))
        if isinstance(given, int | tuple):
            raise NotPlain
        return self.check(given)

    def check(self, value: Plain) -> Plain:
        if not isinstance(value, str) or (found := UnitName.parse(value)) is None:
            raise ValueError
        return str(found)

    def parse(self, text: str) -> Plain:
        found = UnitName.typed(text)  # a person may write 5.3 or l5h3
        return self.check(text if found is None else str(found))

    def advice(self, value: Any) -> str:
        return nearly(value).strip() if isinstance(value, str) else ""


def _as_list(given: Any) -> Any:
    """Tensors, arrays and sequences as lists of Python's own values; everything else as it is."""
    given = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        return given
    return [_as_list(one) for one in given]


def _typed_id(token: Plain, model: Any) -> Plain:
    """Digits that somebody typed are an id where no token is written so, which only the model knows."""
    if not isinstance(token, str) or not token.isdecimal() or getattr(model, "tokenizer", None) is None:
        return token
    from probe.text.targets import single

    return int(token) if single(model, token) is None else token


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _no_id(value: Any) -> str:
    """What is said of what stands among token ids and is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"There is no token {brief(value)}."
    return f"Among the token ids is {brief(value)}; whole numbers were wanted."


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(value.get(key), str) for key in ("role", "content"))


_HEAD = r"L\d{1,5}H\d{1,5}"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}"
KINDS: dict[str, Kind] = {
    "bool": Switch("True or False", "switch"),
    "str": Text("a text", "text"),
    "AnyText": AnyTextKind("a text", "text"),
    "Prompt": PromptKind("a prompt (text, token ids or chat messages)", "prompt"),
    "Target": TargetKind("a token (text or id) or a Difference of two", "token"),
    "Layers": LayersKind("layers (3, '3,5-7' or 'all')", "layers"),
    "Unit": UnitKind("a unit (L5H3, L5N120, L5F650)", "unit"),
    "Token": TokenKind("a token (text or id)", "token"),
    "Change": ChangeKind("a change (like ablate:L5H3)", "text"),
    "DictionaryName": DictionaryKind("the name of a stored dictionary", "stored", _NAME),
    "TableName": TableKind("the name of a stored feature table", "stored", _NAME),
    "GraphName": GraphKind("the name of a stored graph", "stored", _NAME),
    "ChosenNodes": NodesKind("nodes (L5N120@3,L6N4, top:20 or pinned)", "text"),
    "ChangeMode": ModeKind(f"one of {', '.join(MODES)}", "choice", MODES),
    "BasisName": BasisKind(f"one of {', '.join(BASES)}", "choice", BASES),
    "HeadLayers": HeadLayersKind("layers (3, '3,5-7', 'all' or 'none')", "text"),
    "Through": ThroughKind(
        "direct, heads, all, or heads like L2H3,L4H0", "text", rf"direct|heads|all|{_HEAD}(,{_HEAD})*"
    ),
    "TokenOrUnit": ExplainedKind("a token (text or id) or a unit (L5N120@3)", "token"),
    "CacheName": CacheKind("the name of a stored cache", "stored", _NAME),
    "CorpusName": Text("a text source, like sotu or a file", "text"),
    "TaskName": TaskKind("the name of a task, or a .jsonl file of pairs", "text"),
    "ScoresName": ResultKind(
        "the name of stored scores of edges or nodes", "stored", _NAME, records=("EdgeScores", "NodeScores")
    ),
    "CircuitName": ResultKind(
        "the name of a stored circuit", "stored", _NAME, records=("ComponentCircuit", "NodeCircuit")
    ),
    "StudyName": Text("the name of a study", "text", _NAME),
    "FileToRead": PlaceKind("a file to read", "file"),
    "FileToWrite": WrittenKind("a file to write", "file"),
    "FolderToRead": PlaceKind("a folder to read", "folder"),
    "FolderToWrite": PlaceKind("a folder to write", "folder"),
}
"""By the name of the annotation. Numbers and choices are made from what the annotation says of them."""
STORED: dict[Kind, str] = {
    KINDS["DictionaryName"]: "dictionary",
    KINDS["TableName"]: "features",
    KINDS["GraphName"]: "graph",
    KINDS["CacheName"]: "cache",
    KINDS["ScoresName"]: "result",
    KINDS["CircuitName"]: "result",
}
"""Kinds of parameter that name an artifact, and of which kind that is."""


def chosen_layers(n_layers: int, layers: Layers) -> list[int]:
    """The layers that were asked for, in order; BadInput for one that the model lacks."""
    try:
        written = KINDS["Layers"].plain(layers)
    except ValueError as error:
        raise BadInput(f"layers is {brief(layers)}; {KINDS['Layers'].words} was wanted.") from error
    if written is None:
        return list(range(n_layers))
    found: list[int] = []
    for part in written.split(","):
        first, last = re.fullmatch(r"(-?\d+)(?:-(\d+))?", part).groups()  # type: ignore[union-attr]  # check() saw to it
        ends = [int(first), int(last if last is not None else first)]
        if not all(-n_layers <= end < n_layers for end in ends):
            raise BadInput(f"There is no layer {part}; this model has layers 0 to {n_layers - 1} (-1 is the last).")
        low, high = (end % n_layers for end in ends)
        found += range(low, high + 1)
    if not found:
        raise BadInput(f"layers is {written}, which runs backwards; write the smaller number first.")
    return sorted(set(found))
