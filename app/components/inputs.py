"""Boxes in which one chooses, counts and writes: one look and one set of rules on every page, a line each.

    choose("heads-metric", {"direct": "adds", "write": "writes"}, "direct", "Score that colours the heads", w=170)
    count("graph-test-random", 20, "Random subgraphs", least=0, most=200, over=True)
    write("unit-label-text", "Label", hint="What does it do?")

Each has a name, which a screen reader says; `over`: it stands over the box too. Further properties are Mantine's.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import dash_mantine_components as dmc

from app.components.parts import Name
from app.library.models import first_model, models, short_model

Options = Mapping[str, str] | Iterable[str]
"""Values with their words, or values that are their own."""


def _named(name: str, over: bool) -> dict[str, str]:
    return {"label": name} if over else {"aria-label": name}


def offered(options: Options) -> list[dict[str, str]]:
    """Options as a menu takes them."""
    pairs = options.items() if isinstance(options, Mapping) else ((one, one) for one in options)
    return [{"value": value, "label": words} for value, words in pairs]


def choose(id: Name, options: Options, value: str | None, name: str, *, over: bool = False, **more: Any) -> dmc.Select:
    """One of some; `clearable=True` lets none be chosen."""
    rules = {"size": "xs", "allowDeselect": bool(more.get("clearable")), **_named(name, over), **more}
    return dmc.Select(id=id, data=offered(options), value=value, **rules)


def choose_model(id: Name, value: str = "", *, over: bool = False, **more: Any) -> dmc.Select:
    """One of the models at hand."""
    names = dict.fromkeys([*models(), *([value] if value else [])])
    options = {one: short_model(one) for one in names}
    return choose(id, options, value or first_model(), "Model", over=over, **{"size": "sm", **more})


def count(
    id: Name,
    value: float | None,
    name: str,
    *,
    least: float | None = None,
    most: float | None = None,
    over: bool = False,
    **more: Any,
) -> dmc.NumberInput:
    """A number; whole where its bounds are, unless `allowDecimal` says otherwise."""
    bounds = {key: bound for key, bound in (("min", least), ("max", most)) if bound is not None}
    whole = all(isinstance(one, int) for one in (*bounds.values(), value or 0))
    rules = {"size": "xs", "allowDecimal": not whole, **bounds, **_named(name, over), **more}
    return dmc.NumberInput(id=id, value="" if value is None else value, **rules)


def write(
    id: Name, name: str, value: str = "", *, hint: str = "", lines: int = 1, over: bool = False, **more: Any
) -> dmc.TextInput | dmc.Textarea:
    """A text; lines: of more than one the box grows with what is written."""
    hints = {"placeholder": hint} if hint else {}
    if lines == 1:
        return dmc.TextInput(id=id, value=value, **{"size": "xs", **hints, **_named(name, over), **more})
    grows = {"autosize": True, "minRows": lines, "maxRows": 8}
    return dmc.Textarea(id=id, value=value, **{"size": "xs", **hints, **grows, **_named(name, over), **more})
