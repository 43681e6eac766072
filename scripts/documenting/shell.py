"""Every command with its options, as `--help` says them."""

from collections.abc import Iterator
from typing import Any

from scripts.documenting.pages import Page


def commands() -> Page:
    """One page of all commands, read from the command line itself."""
    import typer

    from app.cli import cli

    top: Any = typer.main.get_command(cli())
    lines = ["# On the command line\n"]
    lines += ["Results on stdout, progress on stderr; exit code 0 only on success and 2 for bad input.\n"]
    for name, command in sorted(top.commands.items()):
        lines += list(_command(f"openwork {name}", command, 2))
    return Page("reference/shell.md", "On the command line", "\n".join(lines), "Reference")


def _command(name: str, command: Any, level: int) -> Iterator[str]:
    if command.hidden:
        return
    yield f"{'#' * level} {name}\n"
    yield f"{' '.join((command.help or '').split())}\n"
    inside = getattr(command, "commands", {})
    options = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
    if options and (not inside or command.invoke_without_command):
        yield "| option | what | by default |\n| --- | --- | --- |"
        yield from (_option(p) for p in options)
        yield ""
    for inner, one in sorted(inside.items()):
        yield from _command(f"{name} {inner}", one, level + 1)


def _option(p: Any) -> str:
    names = ", ".join(f"`{one}`" for one in (*p.opts, *p.secondary_opts))
    said = " ".join((getattr(p, "help", "") or "").split())
    plain = isinstance(p.default, str | int | float) and not isinstance(p.default, bool) and p.default != ""
    default = str(p.default) if plain else ""
    return "| " + " | ".join(c.replace("|", "\\|").replace("<", "&lt;") for c in (names, said, default)) + " |"
