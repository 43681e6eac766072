"""`openwork edit`: a prompt run without and with heads or units changed."""

from typing import Annotated

import typer

from app.commands.asking import Chat, Ids, Prompt, prompt_of, stored_dictionaries
from app.commands.options import AsJson, Device, Model, Precision, load, print_json, print_rows, progress


def edit(
    changes: Annotated[
        list[str],
        typer.Option(
            "--change",
            help="ablate:L9H6, scale=2:L5N120, clamp=8:L4F650@3 (at position 3; @4: from there on), add=5:L4F650; repeatable.",
        ),
    ],
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = False,
    dictionary: Annotated[
        list[str] | None, typer.Option("--dictionary", help="Stored dictionary whose latents are changed; repeatable.")
    ] = None,
    position: Annotated[int, typer.Option("--position", help="After which token to predict; -1 is the last.")] = -1,
    generate: Annotated[int, typer.Option("--generate", min=0, help="Tokens to continue both texts by.")] = 0,
    model: Model = "smollm2-135m",
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """What a model predicts with heads, neurons or latents zeroed, scaled or held."""
    asked = prompt_of(prompt, ids, chat)
    from probe.interventions.change_text import parse_change

    for text in changes:
        parse_change(text)  # before the model loads
    from probe.interventions.edited_run import edited_run

    bridge = load(model, device, precision)
    learned = stored_dictionaries(bridge, dictionary or [])
    found = edited_run(
        bridge, asked, changes, pos=position, generate=generate, dictionaries=learned, progress=progress()
    )
    if json:
        print_json(found.to_dict())
        return
    print_rows(found.rows(), found.summary())
    if found.text_before is not None:
        print_rows([{"": "without", "text": found.text_before}, {"": "with", "text": found.text_after}])


COMMANDS = (edit,)
