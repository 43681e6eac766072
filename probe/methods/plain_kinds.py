"""The simple kinds of parameter: numbers within bounds, switches, texts, choices; and what every kind answers.

Each value has four faces:

    given     what the Python function takes: a tensor of ids, a `Difference`, a range
    plain     the same as JSON: what a form, a stored result and an address hold
    text      what a person writes after `--option`
    python    how the call is written in Python

`check` looks at a plain value. Which kinds there are, by the names of their annotations: `probe.methods.kinds`.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from probe.artifacts.schemas import text as is_text
from probe.doc import Doc

Plain = Any
"""A value that JSON can write."""
Control = Literal["prompt", "token", "number", "switch", "choice", "text", "layers", "unit", "stored", "file", "folder"]
_LARGEST = 2**63 - 1
_UNBOUND = Doc()


class NotPlain(Exception):
    """What Python was given is right, and no file could hold it."""


@dataclass(frozen=True)
class Kind:
    """One kind of parameter. words: what was wanted, in an error. control: how a form asks for it."""

    words: str
    control: Control
    writes: ClassVar[bool] = False
    """Whether it names what will be written."""

    def check(self, value: Plain) -> Plain:
        """The value as it is kept; ValueError where it is none of this kind."""
        raise NotImplementedError

    def plain(self, given: Any) -> Plain:
        """What Python was given, as JSON. ValueError where no file could hold it."""
        return self.check(given)

    def given(self, plain: Plain, model: Any = None) -> Any:
        """A plain value as the function takes it. model: the loaded one, where it is asked of one."""
        return plain

    def ready(self, plain: Plain) -> None:
        """Look, before long work begins, at what only this machine knows of a value: BadInput where nothing can be written."""

    def planned(self, plain: Plain, model: Any = None) -> Any:
        """The same for the function that says what a call would take."""
        return self.given(plain, model)

    def parse(self, text: str) -> Plain:
        """What a person wrote on the command line. ValueError where it is none."""
        return self.check(text)

    def typed(self, text: str) -> Plain:
        """The same; where it is none of this kind, what it looks like, for the sentence that says so."""
        try:
            return self.parse(text)
        except (ValueError, TypeError, KeyError, OverflowError):
            return text

    def advice(self, value: Any) -> str:
        """What more can be said to whoever gave this value, which is none of this kind; "" where that is nothing."""
        return ""

    def text(self, plain: Plain) -> str | None:
        """The same back, for the command line; None where it cannot be written there."""
        return str(plain)

    def python(self, plain: Plain) -> str:
        """How the argument is written in Python."""
        return repr(plain)


@dataclass(frozen=True)
class Number(Kind):
    """A whole number or a real one, within bounds."""

    whole: bool = False
    least: float = -math.inf
    most: float = math.inf
    bounds: Doc = _UNBOUND

    @property
    def example(self) -> Plain:
        """The number nearest to 1 within its bounds."""
        return self.check(min(max(1, self.least), self.most))

    def check(self, value: Plain) -> Plain:
        value = scalar(value)
        fits = isinstance(value, int) if self.whole else isinstance(value, int | float)
        if not fits or isinstance(value, bool) or not abs(value) <= _LARGEST or not self.bounds.lets_in(value):
            raise ValueError
        return value if self.whole else float(value)

    def advice(self, value: Any) -> str:
        number = isinstance(value, int | float)
        return f"Numbers are finite, and at most {_LARGEST:.0e}." if number and not abs(value) <= _LARGEST else ""

    def parse(self, text: str) -> Plain:
        return self.check(int(text) if self.whole else float(text))

    def typed(self, text: str) -> Plain:
        for reader in (self.parse, int, float):
            try:
                return reader(text)
            except (ValueError, OverflowError):
                continue
        return text


@dataclass(frozen=True)
class Switch(Kind):
    def check(self, value: Plain) -> Plain:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def parse(self, text: str) -> Plain:
        return {"true": True, "false": False, "yes": True, "no": False}[text.lower()]


@dataclass(frozen=True)
class Text(Kind):
    """A text, perhaps of one shape."""

    pattern: str = ""

    def check(self, value: Plain) -> Plain:
        if not is_text(value) or not value or (self.pattern and not re.fullmatch(self.pattern, value)):
            raise ValueError
        return value

    def advice(self, value: Any) -> str:
        return half_of_one(value)


@dataclass(frozen=True)
class AnyTextKind(Kind):
    """A text that may be empty."""

    def check(self, value: Plain) -> Plain:
        if not is_text(value):
            raise ValueError
        return value

    def advice(self, value: Any) -> str:
        return half_of_one(value)


@dataclass(frozen=True)
class Choice(Kind):
    options: tuple[str, ...] = ()

    def check(self, value: Plain) -> Plain:
        if value not in self.options:
            raise ValueError
        return value


def number(whole: bool, bounds: Doc = _UNBOUND) -> Number:
    """A number within bounds, said in words."""
    least, most = (a if a is not None else b for a, b in ((bounds.least, bounds.above), (bounds.most, bounds.below)))
    return Number(
        bounds.number_words(whole),
        "number",
        whole,
        -math.inf if least is None else least,
        math.inf if most is None else most,
        bounds,
    )


def choice(options: Sequence[str]) -> Choice:
    """One of some words."""
    return Choice(f"one of {', '.join(map(json.dumps, options))}", "choice", tuple(options))


def half_of_one(value: Any) -> str:
    """What is said of a text that is not whole."""
    return "It holds half of a character that takes two." if isinstance(value, str) and not is_text(value) else ""


def scalar(value: Any) -> Any:
    """A number of numpy or torch as Python's; anything else as it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
