"""`openwork heads`, the name of before of `openwork heads head-table`, and with `--head` of `openwork heads one-head`; and
`openwork follow`, a token through the layers."""

from typing import Annotated

import typer

from app.commands.asking import Chat, Ids, Minus, Prompt, Target, prompt_of, token_of
from app.commands.options import AsJson, Device, Model, Precision, load, print_json, print_rows, progress
from probe.show.values import quoted

Position = Annotated[int, typer.Option("--position", help="At which token; -1 is the last.")]


def heads(
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = False,
    head: Annotated[str | None, typer.Option("--head", help="One head in detail, like L5H3.")] = None,
    metric: Annotated[
        str,
        typer.Option(
            "--metric",
            help="Order of the table: direct, write, copying, entropy, first_token, previous_token, self or induction.",
        ),
    ] = "direct",
    position: Position = -1,
    target: Target = None,
    minus: Minus = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Rows to print.")] = 20,
    save: Annotated[str | None, typer.Option("--save", help="Store what was found under this name.")] = None,
    model: Model = "smollm2-135m",
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """Where every attention head looks and what it adds to the prediction, or one head from both ends."""
    from app.commands.methods.asked import arguments_of
    from app.commands.methods.command import Wanted, answer
    from probe.heads.scores import check_score
    from probe.methods.call import Call
    from probe.methods.catalogue import method_named

    about, rows = method_named("head-table" if head is None else "one-head"), str(top)
    asked = {"prompt": prompt, "ids": ids, "chat": chat, "target": target, "minus": minus, "pos": str(position)}
    of_one = (
        {"head": head, "key": None, "k": rows} if head is not None else {"metric": check_score(metric), "top": rows}
    )
    call = Call.checked(about.name, model, arguments_of(about, {**asked, **of_one}))
    answer(call, Wanted(device=device, precision=precision, save=save, json=json))


def follow(
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = False,
    token: Annotated[
        str,
        typer.Option(
            "--target",
            "--token",
            help="A token: its text (' Paris'), its id (id:504), or final or next (another at each position).",
        ),
    ] = "final",
    position: Position = -1,
    model: Model = "smollm2-135m",
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """One token's probability, rank and logit through the layers."""
    asked = prompt_of(prompt, ids, chat)
    from probe.lens.follow import OWN, follow_token
    from probe.model.unit_names import require_position

    bridge = load(model, device, precision)
    found = follow_token(bridge, asked, [token if token in OWN else token_of(bridge, token)], progress=progress())
    require_position(position, n := len(found.tokens))
    if json:
        print_json(found.to_dict())
        return
    before = "".join(found.tokens[: position % n + 1])
    print_rows(found.rows(position), f"{found.texts[0][position]!r} after {quoted(before)}")


COMMANDS = (heads, follow)
