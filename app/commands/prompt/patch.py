"""`openwork patch`: activation patching between a clean and a corrupted prompt."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.asking import Chat, prompt_of, token_of
from app.commands.options import (
    MAX_SEED,
    AsJson,
    ConfigFile,
    Device,
    DryRun,
    Model,
    Precision,
    load,
    print_json,
    print_rows,
    progress,
    reserve,
)
from circuits.patching.kinds import KINDS, METRICS
from probe.artifacts.json import Json
from probe.errors import BadInput
from probe.words import size

if TYPE_CHECKING:
    from circuits.patching.plan import PatchingPlan
    from circuits.patching.sides import Pair


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
        str, typer.Option("--over", help=f"What to patch, one at a time: {', '.join(KINDS)}.")
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
    """Which layer, position or head carries the difference between two prompts (activation patching)."""
    if save is not None and not dry_run:
        reserve("result", save)
    if (right is None) != (wrong is None) and metric == "logit_diff":
        raise BadInput("A logit difference needs both --target and --minus (or --right and --wrong), or neither.")
    prompts = (
        prompt_of(clean, clean_ids, chat, ("--clean", "--clean-ids")),
        prompt_of(corrupted, corrupted_ids, chat, ("--corrupted", "--corrupted-ids")),
    )
    bridge = load(model, device, precision)
    given = [token_of(bridge, a) for a in (right, wrong) if a is not None] or None
    from circuits.patching.pair import read_pair
    from circuits.patching.plan import plan_patching
    from circuits.patching.store import save_patching
    from circuits.patching.sweep import patch_sweep

    allowed = int(memory * 1e9)
    if dry_run:
        pair = read_pair(bridge, *prompts, target=given, metric=metric).require()
        _announce(plan_patching(bridge, pair, over, memory=allowed, control=control), pair, json)
        return
    found = patch_sweep(
        bridge,
        *prompts,
        target=given,
        metric=metric,
        over=over,
        direction="noise" if noise else "denoise",
        control=control,
        seed=seed,
        memory=allowed,
        progress=progress(),
    )
    if save is not None:
        typer.echo(f"wrote {save_patching(found, save)}", err=True)
    if json:
        print_json(found.to_dict())
        return
    print_rows(found.pair.rows())
    print_rows([_printed(row) for row in found.rows(top)], found.title())


def _printed(row: Json) -> Json:
    """A row without what its name says already."""
    return {k: v for k, v in row.items() if k not in ("layer", "pos", "head", "kv_head", "token", "run")}


def _announce(plan: "PatchingPlan", pair: "Pair", json: bool) -> None:
    if json:
        print_json({**plan.to_dict(), "pair": pair.rows()})
        return
    print_rows(pair.rows())
    known = f" ({plan.cells - plan.run} are known without)" if plan.run < plan.cells else ""
    typer.echo(
        f"{plan.over}: {plan.run} patches to run of {plan.cells}{known}, {plan.batch} a pass, {plan.passes} passes, "
        f"about {size(plan.bytes)} of memory."
    )


COMMANDS: tuple[Callable[..., None], ...] = (patch,)
