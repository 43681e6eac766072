"""The sample method (`sample_method`) as commands, for tests of the command line. Import `counted` by name into a module."""

from dataclasses import replace

import pytest

import app.cli as door
from probe.methods import catalogue, read_declarations

PROMPT = "The capital of France is"
COUNT = ["counting", "count-tokens", "--model", "toy"]
REAL, KNOWN = catalogue.methods(), catalogue.known()
door.cli()  # imports every command, so that none is imported while a test has put something in its place


@pytest.fixture(autouse=True)
def counted(monkeypatch):
    """The sample method as if it were public: in a group of its own, and in one that bears a command's name."""
    (found,) = read_declarations.declared_in("sample_method")
    found = replace(found, group="counting")
    more = (found, replace(found, name="count-again", group="heads"))
    monkeypatch.setattr(catalogue, "methods", lambda: (*REAL, *more))
    monkeypatch.setattr(
        catalogue, "known", lambda: KNOWN | {(one.group, one.name): lambda one=one: one for one in more}
    )
    return found


def told(capsys, *words: str, code: int = 0) -> str:
    """What a command prints; of one that is refused its sentence."""
    assert door.run([*words]) == code, capsys.readouterr().err
    found = capsys.readouterr()
    return " ".join(found.err.split()).removeprefix("openwork: ") if code else found.out
