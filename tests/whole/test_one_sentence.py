"""What cannot be asked is refused in one sentence, whoever asks: Python, the command line, a form, an address. Every method."""

import inspect
import math
from collections.abc import Iterator
from typing import Any

import pytest

import openwork as ow
from app.commands.methods.catalogue import _example
from app.commands.methods.command import command_of
from app.methods import addresses, fields
from probe.errors import BadCall, BadInput
from probe.methods.call import Call, ids_name
from probe.methods.catalogue import methods
from probe.methods.kinds import PromptKind
from probe.methods.plain_kinds import Choice, Number, Switch, Text
from probe.methods.reading import Method, Parameter

EVERY = [(about, p) for about in methods() for p in about.parameters if not isinstance(p.kind, Switch)]


def wrongs(p: Parameter) -> Iterator[tuple[Any, str]]:
    """Values that are none of its kind, each as Python gives it and as somebody writes it."""
    if isinstance(p.kind, Number):
        low, high = (b for b in (p.kind.least, p.kind.most))
        beyond = [low - 1] * math.isfinite(low) + [high + 1] * math.isfinite(high)
        for value in ["x", *beyond, 1.5 if p.kind.whole else math.nan]:
            yield value, str(value)
    elif isinstance(p.kind, PromptKind):
        yield "", ""
        yield [1, -5], "ids:1,-5"
    elif p.kind.control == "token":
        yield "", ""
    elif isinstance(p.kind, Choice):
        yield "neither", "neither"
    elif isinstance(p.kind, Text):
        value = "../x" if p.kind.pattern else ""
        yield value, value
    else:
        yield "x y", "x y"


def sentences(about: Method, p: Parameter, value: Any, text: str) -> Iterator[tuple[str, str]]:
    """What each door says of the value."""
    needed = {q.name: _example(q) for q in about.parameters if q.required} | {p.name: [value] if p.several else value}
    yield "Python", said(lambda: getattr(ow, about.function)(*["toy"] * about.of_model, **needed))
    yield "a call", said(lambda: Call.checked(about.name, "toy", needed))
    yield "a command", said(lambda: command_of(about)(**options(about, p, text)))
    if text and not isinstance(p.kind, PromptKind):  # an empty field is its default, and a prompt there is text
        yield "a form", said(lambda: fields.arguments_of(about, {(p.name, ""): text}))
    if text or not isinstance(p.kind, PromptKind):  # which an address names by its id
        lines = text if text or not p.several else None
        if lines is not None:
            yield "an address", said(lambda: addresses.asked_in(about, {addresses.key_in_address(p.name): text}))


def options(about: Method, p: Parameter, text: str) -> dict[str, Any]:
    """The options of a command as the command line gives them."""
    found = {name: one.default for name, one in inspect.signature(command_of(about)).parameters.items()}
    found |= {q.name: written(q, _example(q)) for q in about.parameters if q.required}
    ids = text.startswith("ids:")
    if ids:
        found[p.name] = None
    name = ids_name(p.name) if ids else p.name
    return found | {name: [text.removeprefix("ids:")] if p.several else text.removeprefix("ids:")}


def written(p: Parameter, plain: Any) -> Any:
    return [p.kind.text(one) for one in plain] if p.several else p.kind.text(plain)


def said(ask: Any) -> str:
    with pytest.raises(BadInput) as told:
        ask()
    return str(told.value)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENWORK_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.mark.parametrize(("about", "p"), EVERY, ids=lambda one: one.name)
def test_a_value_of_another_kind_is_refused_in_one_sentence(about, p):
    for value, text in wrongs(p):
        told = dict(sentences(about, p, value, text))
        assert len(set(told.values())) == 1, told
        assert next(iter(told.values())).startswith(f"{about.name}: {p.name} is "), told


@pytest.mark.parametrize("about", methods(), ids=lambda one: one.name)
def test_a_name_there_is_not_and_one_that_is_missing(about):
    function, model = getattr(ow, about.function), ["toy"] * about.of_model
    needed = {q.name: _example(q) for q in about.parameters if q.required}
    told = {
        said(lambda: function(*model, **needed, deepth=1)),
        said(lambda: Call.checked(about.name, "toy", {**needed, "deepth": 1})),
    }
    assert told == {said(lambda: addresses.asked_in(about, {"deepth": "1"}))} and " takes no 'deepth'. " in min(told)
    if needed:
        told = {said(lambda: function(*model)), said(lambda: Call.checked(about.name, "toy"))}
        blank = {name: one.default for name, one in inspect.signature(command_of(about)).parameters.items()}
        assert told == {
            said(lambda: command_of(about)(**blank))
        } and f"{about.name} needs {next(iter(needed))}, " in min(told)
    with pytest.raises(BadCall, match="is asked of a model" if about.of_model else "too many"):
        function(**needed) if about.of_model else function(*[1] * 20)
