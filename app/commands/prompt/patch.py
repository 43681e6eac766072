"""`openwork patch`: the name of before of `openwork circuits patch`, with its own words for some options."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from app.commands.asking import Chat, prompt_of
from app.commands.methods.command import Wanted, answer
from app.commands.options import MAX_SEED, AsJson, ConfigFile, Device, DryRun, Model, Precision
from circuits.patching.kinds import KINDS as SWEEPS
from circuits.patching.kinds import METRICS
from probe.errors import BadInput
from probe.methods.call import Call
from probe.methods.kinds import KINDS


def patch(
    clean: Annotated[str | None, typer.Option("--clean", help="The prompt with the behaviour to explain.")] = None,
    corrupted: Annotated[
        str | None, typer.Option("--corrupted", help="The same with another answer; it needs equally many tokens.")
    ] = None,
    clean_ids: Annotated[str | None, typer.Option("--clean-ids", help="Token ids in place of --clean.")] = None,
    corrupted_ids: Annotated[
        str | None, typer.Option("--corrupted-ids", help="Token ids in place of --corrupted.")
    ] = None,
    chat: Chat = False,
    right: Annotated[
        str | None,
        typer.Option(
            "--target",
            "--right",
            help="The clean prompt's answer: one token with its space, like ' Mary', or its id, like id:504.",
        ),
    ] = None,
    wrong: Annotated[
        str | None,
        typer.Option("--minus", "--wrong", help="The corrupted prompt's answer. By default what each run says itself."),
    ] = None,
    over: Annotated[
        str, typer.Option("--over", help=f"What to patch, one at a time: {', '.join(SWEEPS)}.")
    ] = "resid_pre",
    noise: Annotated[
        bool, typer.Option("--noise", help="Break the clean run instead of restoring the corrupted one.")
    ] = False,
    metric: Annotated[str, typer.Option("--metric", help=f"{', '.join(METRICS)}.")] = "logit_diff",
    control: Annotated[int, typer.Option("--control", min=0, help="Patch from this many unrelated donors too.")] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Which shuffles.")] = 0,
    top: Annotated[int, typer.Option("--top", min=1, help="Patches to print, the strongest first.")] = 20,
    memory: Annotated[float, typer.Option("--memory", help="GB that the rows of one pass may take.")] = 1.0,
    save: Annotated[str | None, typer.Option("--save", help="Store the sweep under this name.")] = None,
    model: Model = "smollm2-135m",
    device: Device = None,
    precision: Precision = "float32",
    dry_run: DryRun = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Which layer, position or head carries the difference between two prompts (activation patching).

    This is `openwork circuits patch`; the old name goes on working.
    """
    if (right is None) != (wrong is None) and metric == "logit_diff":
        raise BadInput("A logit difference needs both --target and --minus (or --right and --wrong), or neither.")
    asked = {
        "clean": prompt_of(clean, clean_ids, chat, ("--clean", "--clean-ids")),
        "corrupted": prompt_of(corrupted, corrupted_ids, chat, ("--corrupted", "--corrupted-ids")),
        "target": _target([KINDS["Token"].parse(one) for one in (right, wrong) if one is not None]),
        "over": over,
        "direction": "noise" if noise else "denoise",
        "metric": metric,
        "control": control,
        "seed": seed,
        "memory": None if memory == 1.0 else int(memory * 1e9),
    }
    call = Call.checked("patch", model, {name: value for name, value in asked.items() if value is not None})
    answer(call, Wanted(device=device, precision=precision, save=save, dry_run=dry_run, json=json, rows=top))


def _target(tokens: list[str | int]) -> Any:
    """One token, or the difference of two."""
    return {"token": tokens[0], "other": tokens[1]} if len(tokens) == 2 else tokens[0] if tokens else None


COMMANDS: tuple[Callable[..., None], ...] = (patch,)
