"""`openwork heads`: the name of before of `openwork heads head-table`, and with `--head` of `openwork heads one-head`."""

from typing import Annotated

import typer

from app.commands.asking import Chat, Ids, Minus, Prompt, Target
from app.commands.options import AsJson, Device, Model, Precision


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
    position: Annotated[int, typer.Option("--position", help="At which token; -1 is the last.")] = -1,
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
    answer(call, Wanted(device, precision, save, None, False, json, False))


COMMANDS = (heads,)
