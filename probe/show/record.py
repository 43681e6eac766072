"""The one record: what every reading, explanation and test returns, and what all of them answer.

A record holds the arrays that it speaks of, so what `@dataclass` prints of it runs to tens of thousands of characters. Here a
record says what it is, of which model and prompt, its main numbers (arrays by their shape), and where to see more:

    LensResult 'The capital of France is' on smollm2-135m
      After ' is' the model says ' Paris' (0.749), first in every layer from 27 on; embedding and 30 layers by 5 tokens.
      more: .rows() .to_pandas() .to_dict() .figure() .open()

All else follows from its fields, unless it says better: `to_dict()` for JSON, `arrays()`, `rows()`, `summary()`, and `panels()`,
what there is to see in order. What draws it, shows it to a notebook and keeps it on disk stands beside it (`probe.show.beside`),
and is found when it is asked for; a record imports none of it. Nothing prints a model.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from probe.asked_of import looked_at
from probe.errors import BadInput, Unavailable
from probe.show.beside import draws, loads, saves, shows
from probe.show.made import is_made
from probe.show.opening import open_record, origins
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.values import arrays_of, as_json, gist, quoted
from probe.words import clip

if TYPE_CHECKING:
    import numpy as np
    import pandas
    import plotly.graph_objects as go

LONGEST = 240
"""Characters of a record's sentence."""


class Record:
    """A value that shows itself.

    Of a class of records, `figure=True` says that it has a picture, `page=True` that a page of the dashboard shows it;
    `renamed` gives the names of fields by those that files of before have for them.

    >>> isinstance(ow.logit_lens(model, "When Mary and John went to"), ow.Record)
    True
    """

    _figure: ClassVar[bool] = False
    _page: ClassVar[bool] = False
    _renamed: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(
        cls,
        *,
        figure: bool | None = None,
        page: bool | None = None,
        renamed: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        cls._figure = cls._figure if figure is None else figure
        cls._page = cls._page if page is None else page
        cls._renamed = cls._renamed if renamed is None else renamed
        if taken := [n for n in vars(cls).get("__annotations__", {}) if hasattr(Record, n)]:
            # @dataclass would take what every record answers by that name for the field's default.
            raise TypeError(
                f"{cls.__name__} has a field {taken[0]!r}, which is what every record answers; name it otherwise."
            )
        if "__repr__" not in vars(cls):
            # As its own: @dataclass would put one that prints every array over an inherited one.
            cls.__repr__ = cls.__repr__
        if inspect.isfunction(rows := vars(cls).get("rows")):
            cls.rows = looked_at(rows)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        said = _said(self)
        return in_lines(self, _heading(self, said), said)

    def summary(self) -> Any:
        """One sentence: its fields, arrays by their shape."""
        names = [f.name for f in fields(self)] if is_dataclass(self) else []
        parts = [f"{name} {gist(getattr(self, name))}" for name in names if name not in ("prompt", "text", "model")]
        return clip(", ".join(parts), LONGEST)

    def to_dict(self, *args: Any, **options: Any) -> dict[str, Any]:
        """Ready for JSON: its fields, arrays as lists."""
        return {f.name: as_json(getattr(self, f.name)) for f in fields(self)} if is_dataclass(self) else {}

    def rows(self, *args: Any, **options: Any) -> Any:
        """Its table, a mapping a row; of a record without one, a row of its numbers and texts."""
        plain = {name: value for name, value in self.to_dict().items() if isinstance(value, str | int | float)}
        return [plain] if plain else []

    def to_pandas(self, *args: Any, **options: Any) -> "pandas.DataFrame":
        """All of `rows()` as a pandas frame; what `rows` can be asked for can be asked for here too."""
        return frame(self.rows, *args, **options)

    def every_row(self) -> Any:
        """All rows of its table, of those too that show the first `k` unless asked: what a file of them holds."""
        return self.rows(k=None) if "k" in inspect.signature(self.rows).parameters else self.rows()

    def arrays(self) -> "dict[str, np.ndarray]":
        """Every array it holds by the name of its field; of a record inside of it, `nodes.value`."""
        return arrays_of(self)

    def in_lists(self) -> dict[str, Any]:
        """The plain values by which lists of stored results show it; they stand in its manifest. Of most there are none."""
        return {}

    def panels(self) -> list[Panel]:
        """What there is to see, in order: figures, rows, token strips, sentences."""
        said = _said(self)
        found: list[Panel] = [Figure(type(self).__name__, self.figure)] if self._figure else []
        if _has_rows(type(self)) and (rows := self.rows()):
            found.append(Rows(said, rows))
        return [*found, Sentence(said or type(self).__name__)]

    if TYPE_CHECKING:

        def figure(self, *args: Any, **options: Any) -> go.Figure: ...

    else:

        @property
        def figure(self) -> Callable[..., "go.Figure"]:
            """Draws it, as a plotly figure; it takes what the function takes that draws it, in `figures.py` of its room."""
            return MethodType(draws.of(type(self)) or _no_figure, self)

    def save(self, folder: Path | str, *args: Any, **options: Any) -> Path:
        """Write it as an artifact folder, from which `load` brings it back; returns the folder."""
        save = saves.of(type(self))
        if save is None:
            raise Unavailable(f"A {type(self).__name__} cannot be stored.")
        return save(self, folder, *args, **options)

    @classmethod
    def load(cls, folder: Path | str, *args: Any, **options: Any) -> Self:
        """The record that `save` wrote into a folder. BadInput for a folder that holds another."""
        load = loads.of(cls)
        found = load(folder, *args, **options) if load is not None else None
        if not isinstance(found, cls):
            raise BadInput(f"{folder} holds a {type(found).__name__}; a {cls.__name__} was wanted.")
        return found

    def open(self, model: Any = None, *, height: int = 720) -> Any:
        """The matching page of the dashboard: in a notebook as a frame of that height, elsewhere in the browser.

        model: the model that the page may run; by default the one that the record came from.
        """
        return open_record(self, model, height=height)

    def _repr_html_(self) -> str:
        show = shows.of(type(self))
        return show(self) if show else ""


def in_lines(record: Any, heading: str, said: str) -> str:
    """What a record prints: what it is, its sentence, and where to see more."""
    more = [f".{name}()" for name in _more(record)]
    lines = [heading, f"  {said}" if said else "", f"  more: {' '.join(more)}" if more else ""]
    return "\n".join(line for line in lines if line)


def _no_figure(record: Record, *args: Any, **options: Any) -> "go.Figure":
    raise Unavailable(f"A {type(record).__name__} has no figure. What it holds is in .to_dict() and .rows().")


def _has_rows(kind: type[Record]) -> bool:
    return kind.rows is not Record.rows


def _more(record: Any) -> list[str]:
    """What is worth asking a record for."""
    kind = type(record)
    has = {
        "rows": _has_rows(kind),
        "to_pandas": _has_rows(kind),
        "to_dict": kind.to_dict is not Record.to_dict or is_dataclass(kind),
        "figure": kind._figure,
        "open": kind._page or is_made(record),
    }
    return [name for name, known in has.items() if known]


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


def _heading(record: Any, said: str) -> str:
    """Its class, the text it is about unless the sentence says that, the model that was run."""
    texts = [t for name in ("prompt", "text") if isinstance(t := getattr(record, name, None), str) and t]
    about = [f" {quoted(t)}" for t in texts[:1] if quoted(t) not in said]
    model = _model_name(record)
    return "".join([type(record).__name__, *about, f" on {clip(model, 60)}" if model else ""])


def _model_name(record: Any) -> str:
    """The model's name, if the record holds it or remembers what it came from."""
    own = getattr(record, "model", "")
    if isinstance(own, str) and own:
        return own
    found = next((o for o in origins(record) if hasattr(o, "original_model")), None)
    if found is None:
        return ""
    from probe.identity import model_name

    return model_name(found)


def _said(record: Any) -> str:
    """Its sentence, on one line."""
    sentence = record.summary()
    if not isinstance(sentence, str):  # of some it is a table of numbers
        sentence = Record.summary(record)
    return clip(" ".join(sentence.split()), LONGEST)
