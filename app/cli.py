"""`openwork ...`: results on stdout, progress on stderr, exit code 0 only on success and 2 for bad input.

The commands are in `app.commands`, one file a subject; each reads its options, calls functions that Python users call
too, and prints the record they return (`--json` for machines). Under torchrun the first process alone prints results.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from probe.errors import BadInput, Cancelled
from probe.system_errors import foreseen


def cli(typed: Sequence[str] = ()) -> typer.Typer:
    """The command line, with the commands that are meant by what was typed; with all by default."""
    from app import commands

    found = typer.Typer(name="openwork", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    found.callback()(_top)
    commands.register(found, typed)
    return found


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"openwork {version('openwork')}")
        raise typer.Exit


def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From a model to its activations, to trained transcoders, to a circuit, to a test of whether it is true."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code. Foreseen failures are a sentence on stderr, bugs keep their traceback."""
    from app.commands.options import release

    try:
        return _run(arguments)
    finally:
        release()


def _run(arguments: list[str]) -> int:
    from app.commands.options import rank

    if rank():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (until the process ends)
    take_any_character()
    try:
        cli(arguments)(arguments, prog_name="openwork")
    except SystemExit as left:  # typer leaves this way, with 2 for a wrong option and 130 when interrupted
        if left.code == 130:
            _stopped(arguments)
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except KeyboardInterrupt:  # older typer lets it through
        _stopped(arguments)
        return 130
    except Exception as problem:
        if (error := foreseen(problem)) is None:
            raise
        if not (rank() and isinstance(error, Cancelled)):  # other processes stop because one said why
            typer.echo(f"openwork{f' (process {rank()})' if rank() else ''}: {error}", err=True)
        return 2 if isinstance(error, BadInput) else 1
    return 0


def take_any_character() -> None:
    """Write what an output's encoding lacks in hex: a file on Windows takes cp1252, and no output takes half a character."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _stopped(arguments: list[str]) -> None:
    """What a person who pressed Ctrl-C has to know."""
    lasting = {"harvest", "sample", "train", "demo", "study"} & set(arguments[:1])
    more = " Finished parts are kept; add --resume (demo: run it again) to continue." if lasting else ""
    typer.echo(f"\nStopped.{more}", err=True)


if __name__ == "__main__":
    main()
