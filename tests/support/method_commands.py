"""The sample method (`sample_method`) as commands, for tests of the command line. Import `counted` by name into a module."""

from dataclasses import replace

import pytest
import typer

import app.cli as door
from app import commands
from probe.methods import catalogue, reading

PROMPT = "The capital of France is"
COUNT = ["counting", "count-tokens", "--model", "toy"]
REAL = catalogue.methods()
commands.register(
    typer.Typer()
)  # imports every command, so that none is imported while a test has put something in its place


@pytest.fixture(autouse=True)
def counted(monkeypatch):
    """The sample method as if it were public: in a group of its own, and in one that bears a command's name."""
    (found,) = reading.declared_in("sample_method")
    found = replace(found, group="counting")
    known = (*REAL, found, replace(found, name="count-again", group="heads"))
    monkeypatch.setattr(catalogue, "methods", lambda: known)
    fresh = typer.Typer(name="openwork", no_args_is_help=True, pretty_exceptions_enable=False)
    fresh.callback()(door._top)
    monkeypatch.setattr(door, "cli", fresh)
    return found


def told(capsys, *words: str, code: int = 0) -> str:
    """What a command prints; of one that is refused its sentence."""
    assert door.run([*words]) == code, capsys.readouterr().err
    found = capsys.readouterr()
    return " ".join(found.err.split()).removeprefix("openwork: ") if code else found.out
