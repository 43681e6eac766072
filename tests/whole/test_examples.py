"""Every public function and class shows how it is used, in two or three lines that run and say what is written below them."""

import doctest
import inspect
from pathlib import Path

import pytest
from example_world import world

import openwork as ow

NAMES = [n for n in ow.__all__ if callable(getattr(ow, n)) and not inspect.ismodule(getattr(ow, n))]


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    with world(tmp_path_factory.mktemp("examples")) as found:
        yield found


def example(name: str, names: dict) -> doctest.DocTest:
    doc = inspect.getdoc(getattr(ow, name)) or ""
    return doctest.DocTestParser().get_doctest(doc, names, name, None, 0)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_says_what_comes(name, names, tmp_path: Path):
    shown = example(name, {**names, "folder": tmp_path / "new"})
    assert shown.examples, f"{name} has no example; add one behind its docstring, `>>> ...`"
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert not runner.run(shown, out=told.append).failed, "".join(told)
    assert len(shown.examples) <= 4, "two or three lines say enough"


def test_every_parameter_and_every_result_has_a_type():
    for name in (n for n in NAMES if inspect.isfunction(getattr(ow, n))):
        signature = inspect.signature(getattr(ow, name))
        untyped = [p.name for p in signature.parameters.values() if p.annotation is p.empty]
        assert not untyped and signature.return_annotation is not signature.empty, (name, untyped)
