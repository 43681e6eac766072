"""How a command is asked: a prompt as text, as token ids or as a chat, tokens by text or id, heads by name. The same options
everywhere."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from probe.errors import BadInput

if TYPE_CHECKING:
    pass


Prompt = Annotated[str | None, typer.Option("--prompt", help="The text the model reads.")]
Ids = Annotated[
    str | None, typer.Option("--ids", help="Token ids in place of --prompt, like 1,504,3575, taken as they are.")
]
Chat = Annotated[
    bool, typer.Option("--chat", help="Read --prompt as a user's message, through the model's chat template.")
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target", help="A token to explain: its text, like ' Paris' with the space, or its id, like id:504."
    ),
]
Minus = Annotated[str | None, typer.Option("--minus", help="Explain the logit of --target minus that of this token.")]


def prompt_of(
    prompt: str | None, ids: str | None = None, chat: bool = False, names: tuple[str, str] = ("--prompt", "--ids")
) -> str | list[int] | list[dict[str, str]]:
    """What a command's prompt is, for `probe.text.prompts`. Checked before the model loads, so that the answer comes at once."""
    if (prompt is None) == (ids is None):
        raise BadInput(
            f"Give {names[0]} TEXT or {names[1]} 1,2,3: one of the two, and {'both' if ids else 'neither'} came."
        )
    if ids is not None:
        if chat:
            raise BadInput(
                f"--chat reads {names[0]} as a message; {names[1]} are taken as they are. Give one of the two."
            )
        return _ids(ids, names[1])
    if not prompt or not prompt.strip():
        raise BadInput("The prompt is empty; give the model some text to read.")
    return [{"role": "user", "content": prompt}] if chat else prompt


def _ids(text: str, option: str) -> list[int]:
    parts = [part.strip() for part in text.strip().strip("[]").split(",")]
    if not all(re.fullmatch(r"-?[0-9]{1,12}", part) for part in parts):
        raise BadInput(f"{option} is '{text[:40]}'; write token ids with commas between them, like 1,504,3575.")
    return [int(part) for part in parts]


def require_target(target: str | None, minus: str | None) -> None:
    """`--minus` goes with one `--target`."""
    if minus is not None and target is None:
        raise BadInput("--minus goes with one --target; 0 were given.")
