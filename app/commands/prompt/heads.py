"""`openwork heads` and `openwork follow`: what heads do on a prompt, and a token through the layers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.asking import Chat, Ids, Minus, Prompt, Target, prompt_of, require_target, target_of, token_of
from app.commands.options import AsJson, Device, Model, Precision, load, print_json, print_rows, progress
from probe.artifacts.json import clean
from probe.errors import BadInput
from probe.show.values import quoted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.heads.reading import HeadReading


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
    asked = prompt_of(prompt, ids, chat)
    require_target(target, minus)
    from app.commands.asking import head_of
    from app.commands.options import reserve
    from probe.heads.scores import check_score, head_table

    check_score(metric)
    one = head_of(head) if head is not None else None
    to = reserve("result", save) if save is not None else None
    bridge = load(model, device, precision)
    wanted = target_of(bridge, target, minus)
    if one is not None:
        from probe.heads.reading import read_head

        found = read_head(bridge, asked, *one, target=wanted, k=top, progress=progress())
    else:
        found = head_table(bridge, asked, pos=position, target=wanted, progress=progress())
    at = _position(found.tokens, position)
    if to is not None:
        _keep(bridge, found, to, head)
    if json:
        print_json(found.to_dict())
    elif one is not None:
        _print_head(found, at, top)
    else:
        words = f"the logit of {found.target!r} after token {at} {found.tokens[at]!r}"
        print_rows(found.rows(metric, top), f"Heads by {metric}; direct effects are on {words}")


def _position(tokens: list[str], position: int) -> int:
    """Counted from the start; BadInput where the prompt has none such."""
    if not -len(tokens) <= position < len(tokens):
        raise BadInput(f"The prompt has tokens 0 to {len(tokens) - 1}; there is no position {position}.")
    return position % len(tokens)


def _keep(bridge: "TransformerBridge", found: "HeadReading", to: Path, head: str | None) -> None:
    from probe.artifacts.json import write_json
    from probe.artifacts.manifest import Manifest, writing
    from probe.model.load import stamp

    facts = {"prompt": found.prompt, "head": head or "all"}
    with writing(to, Manifest("result", to.name, stamp(bridge), facts=facts)) as scratch:
        write_json(scratch / "report.json", clean(found.to_dict()))
    typer.echo(f"wrote {to}", err=True)


def _print_head(found: "HeadReading", at: int, top: int) -> None:
    """One head: where it looks from `at`, what it moves, which keys its weights prefer."""
    looks = found.attended(at, top)
    key, query = found.token_ids[looks[0]["position"]], found.token_ids[at]
    said = f"adds {found.direct[at]:.4g} to the logit of {found.target_tokens[at]!r} ({found.logit[at]:.4g} in all)"
    print_rows(looks, f"{found.name} at token {at} {found.tokens[at]!r}: {said}; copying {found.copying:.3g}")
    words = looks[0]["token"]
    print_rows(found.in_prompt[looks[0]["position"]].rows(), f"\nOV: what {words!r} as it stands here moves")
    print_rows(found.by_embedding[key].rows(), f"\nOV: what any {words!r} moves, by its embedding alone")
    print_rows(
        found.qk[query].rows(("prefers", "avoids")), f"\nQK: keys of the query {found.tokens[at]!r}, weights alone"
    )


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

    bridge = load(model, device, precision)
    wanted = token if token in OWN else token_of(bridge, token)
    found = follow_token(bridge, asked, [wanted], progress=progress())
    n = len(found.tokens)
    if not -n <= position < n:
        raise BadInput(f"The prompt has tokens 0 to {n - 1}; there is no position {position}.")
    if json:
        print_json(found.to_dict())
        return
    print_rows(
        found.rows(position), f"{found.texts[0][position]!r} after {quoted(''.join(found.tokens[: position % n + 1]))}"
    )


COMMANDS = (heads, follow)
