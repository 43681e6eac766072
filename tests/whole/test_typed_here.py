"""What the guides say one types works: each cell of the right column runs on the toy model, each command is understood."""

import re
import shlex

import pytest
from paths import ROOT

GUIDE = (ROOT / "docs/coming-from.md").read_text(encoding="utf8")
START = (ROOT / "docs/start.md").read_text(encoding="utf8")


def typed() -> list[str]:
    """The right column, from top to bottom."""
    rows = [line for line in GUIDE.splitlines() if line.startswith("| ") and not line.startswith(("| what |", "| ---"))]
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert not [row for row in cells if len(row) != 3 or not re.fullmatch(r"`[^`]+`", row[2])]
    return [row[2].strip("`") for row in cells]


def on_the_toy(code: str) -> str:
    return code.replace('"smollm2-135m"', '"toy"')


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


@pytest.mark.slow
def test_every_cell_runs_in_order(tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for code in [*blocks(GUIDE, "python"), *(c for c in typed() if not c.startswith("openwork "))]:
        exec(compile(on_the_toy(code), code[:60], "exec"), names)
    assert names["sae"].site_out and len(names["graph"].nodes)


def test_how_to_start_runs(tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for code in blocks(START, "python"):
        exec(compile(on_the_toy(code), "start.md", "exec"), names)
    assert (tmp_path / "france" / "manifest.json").is_file()


def commands() -> list[str]:
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    lines = [line for text in (START, readme) for block in blocks(text, "sh") for line in block.splitlines()]
    lines = [line.split("#")[0].strip() for line in [*lines, *typed()]]
    return [line for line in lines if line.startswith("openwork ") and " | " not in line and "..." not in line]


@pytest.mark.parametrize("line", sorted({*commands()}))
def test_every_command_is_understood(line):
    """Its options are parsed as the command would, and nothing is run."""
    import typer

    from app.cli import cli

    command = typer.main.get_command(cli())
    words = shlex.split(line)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    assert getattr(command, "invoke_without_command", True), f"{line}: no command {words[:1]}"
    if "--help" not in words:
        command.make_context(line, words)  # raises what the command line says of a wrong option
