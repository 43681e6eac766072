"""What cannot be asked is refused in one sentence, whoever asks: Python, the command line, a form, an address. Every method."""

import inspect
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import as_json

import openwork as ow
from app.cli import run as command_line
from app.commands.methods.catalogue import _example
from app.commands.methods.command import command_of
from app.methods import addresses, result_view
from app.pages import method as method_page
from probe.artifacts.folder import place
from probe.artifacts.manifest import MANIFEST, SCHEMA, ModelStamp, read_manifest, writing
from probe.artifacts.records import RECORD
from probe.errors import BadCall, BadInput, OpenworkError
from probe.methods.call import Call, ids_name
from probe.methods.catalogue import methods
from probe.methods.form_fields import arguments_of
from probe.methods.kinds import PromptKind
from probe.methods.plain_kinds import Number, Switch
from probe.methods.read_declarations import Method, Parameter

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
    else:
        for text in ("", "x y", "../x", "../bare", "x" * 300):  # nothing is at x, an empty folder at bare
            if not fits(p, text):
                yield text, text


def fits(p: Parameter, text: str) -> bool:
    try:
        p.kind.check(text)
    except (ValueError, KeyError):
        return False
    return True


def sentences(about: Method, p: Parameter, value: Any, text: str) -> Iterator[tuple[str, str]]:
    """What each door says of the value."""
    needed = {q.name: _example(q) for q in about.parameters if q.required} | {p.name: [value] if p.several else value}
    if not p.more:  # which Python takes in other kinds too
        yield "Python", said(lambda: getattr(ow, about.function)(*["toy"] * about.of_model, **needed))
    yield "a call", said(lambda: Call.checked(about.name, "toy", needed))
    yield "a command", said(lambda: command_of(about)(**options(about, p, text)))
    if text and not isinstance(p.kind, PromptKind):  # an empty field is its default, and a prompt there is text
        yield "a form", said(lambda: arguments_of(about, {(p.name, ""): text}))
    if text or not (p.several or isinstance(p.kind, PromptKind)):  # of which an address names none by an empty text
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
        around = tmp_path_factory.mktemp("around")
        for name in ("work", "bare"):
            (around / name).mkdir()
        patch.chdir(around / "work")
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


# -- what is stored ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def typed(capsys):
    """What the command line says of what it refuses."""

    def ask(*words: str) -> str:
        assert command_line([*words]) in (1, 2)
        return " ".join(capsys.readouterr().err.split()).removeprefix("openwork: ")

    return ask


def told_by_a_page(show: Any) -> str:
    """What a page says in the place of what it cannot show, or what it raises for the frame to say."""
    try:
        return as_json(show())
    except OpenworkError as error:
        return as_json(str(error))


def damaged(folder: Path) -> None:
    (folder / RECORD).write_text("{")


def of_another_openwork(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "schema": SCHEMA + 1}))


def of_older_fields(folder: Path) -> None:
    """A whole result, of a record that had other fields."""
    manifest, text = read_manifest(folder, "result"), (folder / RECORD).read_text()
    with writing(folder, manifest, replace=True) as scratch:
        for one in folder.iterdir():
            if one.name not in (MANIFEST, RECORD):
                shutil.copy(one, scratch)
        (scratch / RECORD).write_text(text.replace('"rank_of_final"', '"ranks"'))


@pytest.mark.parametrize("spoil", [damaged, of_another_openwork, of_older_fields])
def test_a_result_that_cannot_be_read_is_refused_in_one_sentence(toy, typed, spoil):
    folder = place("result", spoil.__name__)
    ow.logit_lens(toy, "a b").save(folder)
    spoil(folder)
    with pytest.raises(OpenworkError) as python:
        ow.load_record(folder.name)
    said_there = str(python.value)
    assert typed("show", folder.name) == said_there
    assert json.dumps(said_there)[1:-1] in told_by_a_page(lambda: result_view.shown(folder.name, None, "light"))


def test_two_results_of_one_name_are_refused_in_one_sentence(toy, typed):
    record = ow.logit_lens(toy, "a b")
    folder = record.save(place("result", "twice"))
    told = {said(lambda: record.save(folder)), said(lambda: ow.load_record("twice").save(folder))}
    assert told == {typed("lens", "logit-lens", "--prompt", "a b", "--model", "toy", "--save", "twice")}
    assert ow.load_record("twice").prompt == "a b"


def test_a_method_or_study_there_is_not_is_refused_in_one_sentence(toy, typed):
    told = {said(lambda: Call.checked("sink")), said(lambda: method_page.layout("sink", {})), typed("methods", "sink")}
    assert len(told) == 1 and "Did you mean sinks?" in min(told)
    told = {
        said(lambda: ow.study(toy, "two-circuit")),
        typed("study", "two-circuit"),
        typed("studies", "study", "--name", "two-circuit"),
    }
    assert len(told) == 1 and "Did you mean two-circuits" in min(told)


def test_what_only_the_model_knows_is_refused_in_one_sentence(toy, typed):
    for given, words in (
        ({"target": " photosynthesis"}, ["--target", " photosynthesis"]),
        ({"target": 100_000}, ["--target", "id:100000"]),
        ({"prompt": [1, 100_000]}, ["--ids", "1,100000"]),
        ({"dictionaries": ["others"]}, ["--dictionaries", "others"]),
    ):
        asked = {"prompt": "a b", **given}
        python = said(lambda asked=asked: ow.top_units(toy, **asked))
        form = said(lambda asked=asked: Call.checked("strongest-units", "toy", asked).run(toy))
        prompt = [] if "prompt" in given else ["--prompt", "a b"]
        assert python == form == typed("neurons", "strongest-units", *prompt, *words, "--model", "toy"), given


@pytest.fixture(autouse=True)
def others(home, toy):
    """A dictionary of another model."""
    if not (folder := place("dictionary", "others")).exists():
        one = ow.Dictionary(64, 32, sparsifier=ow.TopK(8), site_in="mlp_in.1", site_out="mlp_out.1")
        one.save(folder, model=ModelStamp("other", "0" * 32, "1" * 32))
