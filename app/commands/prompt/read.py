"""`openwork lens`, `units` and `compare`: what a model makes of one prompt, or of two."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.asking import (
    Chat,
    Ids,
    Minus,
    Prompt,
    Target,
    prompt_of,
    require_target,
    stored_dictionaries,
    target_of,
)
from app.commands.options import (
    AsJson,
    Device,
    DryRun,
    Model,
    Precision,
    load,
    print_json,
    print_rows,
    progress,
)
from probe.errors import BadInput
from probe.show.values import quoted
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    pass


def lens(
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = False,
    model: Model = "smollm2-135m",
    top_k: Annotated[int, typer.Option("--top-k", help="Predictions kept per layer and position.")] = 5,
    position: Annotated[
        int | None,
        typer.Option(
            "--position",
            help="Read at this token alone; -1 is the last. By default the table is of the last, and JSON of all.",
        ),
    ] = None,
    device: Device = None,
    precision: Precision = "float32",
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """What each layer would predict if the model stopped there (the logit lens)."""
    asked = prompt_of(prompt, ids, chat)
    from probe.lens.logit import logit_lens, plan_lens

    bridge = load(model, device, precision)
    at = -1 if position is None else position
    every = json and position is None
    if dry_run:
        from probe.text.prompts import read_prompt

        n = len(read_prompt(bridge, asked)[1])
        plan = plan_lens(bridge, n, n if every else 1)
        print_json(plan.to_dict()) if json else typer.echo(
            f"{counted(n, 'token')}, {plan.n_positions} read, {size(plan.bytes)} of memory beside the model, "
            f"about {estimate(plan.seconds)} on two CPU cores"
        )
        return
    found = logit_lens(bridge, asked, top_k=top_k, positions=None if every else [at], progress=progress())
    if json:
        print_json(found.to_dict())
        return
    print_rows(found.rows(at), f"Logit lens after {_end(found.tokens, at)!r}")


def _end(tokens: list[str], position: int, longest: int = 80) -> str:
    """The prompt up to a position; of a long one its end."""
    text = "".join(tokens[: position % len(tokens) + 1])
    return text if len(text) <= longest else f"…{text[-longest:]}"


def units(
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = False,
    model: Model = "smollm2-135m",
    dictionaries: Annotated[
        list[str] | None,
        typer.Option("--dictionary", help="Stored dictionary whose latents are read too; repeatable, or a,b,c."),
    ] = None,
    position: Annotated[
        int, typer.Option("--position", help="Which token to print the units of; -1 is the last.")
    ] = -1,
    top_k: Annotated[int, typer.Option("--top-k", min=1, help="Units of each kind at each position.")] = 10,
    target: Target = None,
    minus: Minus = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            help="Order: write (how much a unit writes) or direct (what of that adds to the target, if one is given).",
        ),
    ] = None,
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """The neurons, and latents of stored dictionaries, that write most to the residual stream at each token."""
    asked = prompt_of(prompt, ids, chat)
    require_target(target, minus)
    from probe.neurons.strongest import top_units

    bridge = load(model, device, precision)
    names = [n for given in dictionaries or [] for n in given.split(",") if n]
    learned, wanted = stored_dictionaries(bridge, names), target_of(bridge, target, minus)
    found = top_units(bridge, asked, learned, target=wanted, by=by, k=top_k)
    _within(position, found.tokens)
    if json:
        print_json(found.to_dict())
        return
    read = "".join(found.tokens[: position % len(found.tokens) + 1])
    print_rows(found.rows(position), f"Strongest units{found.about()} after {quoted(read)}")


def compare(
    prompt: Prompt = None,
    other: Annotated[str | None, typer.Option("--with", help="The prompt to set beside it.")] = None,
    ids: Ids = None,
    other_ids: Annotated[str | None, typer.Option("--with-ids", help="Token ids in place of --with.")] = None,
    chat: Chat = False,
    model: Model = "smollm2-135m",
    dictionaries: Annotated[
        list[str] | None, typer.Option("--dictionary", help="Stored dictionary whose latents are compared; repeatable.")
    ] = None,
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """Two prompts aligned token by token: where predictions part, and which heads and units differ most at the last pair."""
    asked = prompt_of(prompt, ids, chat), prompt_of(other, other_ids, chat, ("--with", "--with-ids"))
    from probe.comparison.prompts import compare_prompts

    bridge = load(model, device, precision)
    chosen = stored_dictionaries(bridge, [n for given in dictionaries or [] for n in given.split(",") if n])
    found = compare_prompts(bridge, *asked, chosen, progress=progress())
    if json:
        print_json(found.to_dict())
        return
    if not found.candidates:
        raise BadInput("No token of one prompt stands for a token of the other; there is nothing to compare.")
    print_rows(found.rows(-1), f"Next tokens after the last aligned tokens, KL {found.kl[-1, -1]:.4g} nats")
    print_rows(found.head_rows(len(found.candidates) - 1, 10), "Heads whose patterns differ most there")
    rows = [
        {"unit": u.name, "of": u.dictionary or u.kind, "a": u.a, "b": u.b, "moved": u.moved} for u in found.units[-1]
    ]
    print_rows(rows[:10], "Units whose writes differ most there")


def _within(position: int, tokens: list[str]) -> None:
    if not -len(tokens) <= position < len(tokens):
        raise BadInput(f"The prompt has tokens 0 to {len(tokens) - 1}; there is no position {position}.")


COMMANDS = (lens, units, compare)
