"""What every record answers: who it is in a few lines, and its rows as a pandas frame.

A record holds the arrays that it speaks of, so what `@dataclass` prints of it runs to tens of thousands of characters. Here a
record says what it is, of which model and prompt, its main numbers (arrays by their shape), and where to see more:

    LensResult 'The capital of France is' on smollm2-135m
      After ' is' the model says ' Paris' (0.749), first in every layer from 27 on; embedding and 30 layers by 5 tokens.
      more: .rows() .to_pandas() .to_dict() .figure() .open()

A record with a sentence of its own (`summary()`) says that; others name their fields. Nothing prints a model.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.asked_of import looked_at
from probe.errors import Unavailable

if TYPE_CHECKING:
    import pandas

LONGEST = 240
"""Characters of a record's sentence."""
MORE = ("rows", "to_pandas", "to_dict", "figure", "open")


class Record:
    """A value that shows itself in a few lines."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__repr__" not in vars(cls):
            # As its own: @dataclass would put one that prints every array over an inherited one.
            cls.__repr__ = cls.__repr__
        if inspect.isfunction(rows := vars(cls).get("rows")):
            cls.rows = looked_at(rows)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        said = _said(self)
        return in_lines(self, _heading(self, said), said)


def in_lines(record: Any, heading: str, said: str) -> str:
    """What a record prints: what it is, its sentence, and where to see more."""
    more = [f".{name}()" for name in MORE if callable(getattr(type(record), name, None))]
    lines = [heading, f"  {said}" if said else "", f"  more: {' '.join(more)}" if more else ""]
    return "\n".join(line for line in lines if line)


class Table(Record):
    """A record with rows."""

    if TYPE_CHECKING:

        def rows(self) -> Any: ...

    def to_pandas(self, *args: Any, **chosen: Any) -> "pandas.DataFrame":
        """All of `rows()` as a pandas frame; what `rows` can be asked for can be asked for here too."""
        return frame(self.rows, *args, **chosen)


def frame(rows: Any, *args: Any, **chosen: Any) -> "pandas.DataFrame":
    """What a function of rows returns as a frame: all of them, where it would otherwise return the k first."""
    try:
        import pandas
    except ImportError as error:
        raise Unavailable(
            "A frame needs pandas: `pip install pandas`. The same rows are there without it: `.rows()`."
        ) from error
    if "k" in inspect.signature(rows).parameters and not args:
        chosen = {"k": None, **chosen}
    return pandas.DataFrame(rows(*args, **chosen))


def quoted(text: Any, most: int = 48) -> str:
    """A text in quotes, its middle left out where it is long: a prompt's end is where the prediction is read."""
    line = text if isinstance(text, str) else str(text)
    if len(line) > most:
        line = f"{line[: most // 2].rstrip()} … {line[-(most // 2 - 3) :].lstrip()}"
    return repr(line)


def gist(value: Any, most: int = 40) -> str:
    """A value in a few words: an array's shape, how many things a list holds, a name for what would print pages."""
    if isinstance(value, str):
        return quoted(value, most)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Path):
        return cut(value.name, most)
    if (shape := getattr(value, "shape", None)) is not None:
        if len(shape) == 0:
            return f"{float(value):.4g}"
        return f"{str(value.dtype).removeprefix('torch.')}[{', '.join(map(str, shape))}]"
    if isinstance(value, Mapping | Sequence | set | frozenset):
        return _collection(value, most)
    if isinstance(value, type(None) | bool | int | slice):
        return cut(repr(value), most)
    written = type(value).__str__ is not object.__str__ and not is_dataclass(value) and not hasattr(value, "parameters")
    return cut(str(value), most) if written and len(str(value)) <= most else type(value).__name__


def cut(text: str, most: int) -> str:
    """A text cut to length."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _collection(value: Any, most: int) -> str:
    items = list(value.values() if isinstance(value, Mapping) else value)[:200]
    plain = all(isinstance(i, str | int | float | bool | None) for i in items)
    if plain and len(items) <= 8 and len(text := _plain(value)) <= most:
        return text
    kinds = {type(i).__name__ for i in items}
    return f"{len(value)} {kinds.pop() if len(kinds) == 1 else 'entries'}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {gist(v)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(gist(v) for v in value) + "]"


def _heading(record: Any, said: str) -> str:
    """Its class, the text it is about unless the sentence says that, the model that was run."""
    texts = [t for name in ("prompt", "text") if isinstance(t := getattr(record, name, None), str) and t]
    about = [f" {quoted(t)}" for t in texts[:1] if quoted(t) not in said]
    model = _model_name(record)
    return "".join([type(record).__name__, *about, f" on {cut(model, 60)}" if model else ""])


def _model_name(record: Any) -> str:
    """The model's name, if the record holds it or remembers what it came from."""
    own = getattr(record, "model", "")
    if isinstance(own, str) and own:
        return own
    from probe.show.opening import origins

    found = next((o for o in origins(record) if hasattr(o, "original_model")), None)
    if found is None:
        return ""
    from probe.identity import model_name

    return model_name(found)


def _said(record: Any) -> str:
    """Its sentence, or its fields."""
    sentence = record.summary() if callable(getattr(record, "summary", None)) else None
    if isinstance(sentence, str):
        return cut(" ".join(sentence.split()), LONGEST)
    names = [f.name for f in fields(record)] if is_dataclass(record) else []
    parts = [f"{name} {gist(getattr(record, name))}" for name in names if name not in ("prompt", "text", "model")]
    return cut(", ".join(parts), LONGEST)
