"""`openwork runs`: trainings, finished and not, with where they stand."""

from typing import Annotated

import typer

from app.commands.options import AsJson, print_json

_PRINTED = ("name", "state", "kind", "rule", "d_dict", "tokens", "loss", "fvu", "l0", "dead_share")


def runs(
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Only those that are live or interrupted.")] = False,
    json: AsJson = False,
) -> None:
    """List training runs: live, interrupted and finished ones, with the last numbers of their logs."""
    from probe.show.terminal import print_rows
    from probe.training.run_logs.runs_on_disk import runs as found

    rows = [run.row() for run in found() if not (unfinished and run.state == "finished")]
    if json:
        print_json(rows)
    elif rows:
        print_rows([{k: row[k] for k in _PRINTED} for row in rows], "Training runs")
    else:
        typer.echo("No training run is stored here. `openwork train --cache NAME` makes one.")
