"""`openwork paths`: the strongest paths of one prompt."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.asking import Chat, Ids, Prompt, prompt_of, stored_dictionaries, token_of
from app.commands.options import AsJson, Device, Model, Precision, load, print_json, print_rows, progress, visible
from probe.artifacts.json import Json
from probe.model.unit_names import UnitName

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


Dictionaries = Annotated[
    list[str] | None, typer.Option("--dictionary", help="Stored dictionary to use in its layer; repeatable.")
]


def titled(rows: Sequence[Json], title: str) -> None:
    """A table under its title, which may be longer than the table is wide."""
    typer.echo(f"\n{visible(title)}")
    if rows:
        print_rows(rows)


def paths(
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = False,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", help="A token, or a unit: L5N120, L5F650@3 (at token 3). By default the likeliest token."
        ),
    ] = None,
    model: Model = "smollm2-135m",
    dictionary: Dictionaries = None,
    pos: Annotated[int, typer.Option("--pos", help="Which token explains the target; -1 is the last.")] = -1,
    length: Annotated[int, typer.Option("--length", min=1, help="Steps of the longest paths.")] = 4,
    branches: Annotated[int, typer.Option("--branches", min=1, help="Paths kept of each length.")] = 8,
    edges: Annotated[
        int, typer.Option("--edges", min=0, help="Longest paths whose edges are printed factor by factor.")
    ] = 1,
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """The strongest paths into a token or a unit on one prompt, each edge as weights times what the input adds."""
    asked = prompt_of(prompt, ids, chat)
    bridge = load(model, device, precision)
    from circuits.weights.paths import top_paths

    learned = stored_dictionaries(bridge, dictionary or [])
    sizes: dict[str, Any] = {"pos": pos, "length": length, "branches": branches}
    found = top_paths(bridge, asked, _target(bridge, target), dictionaries=learned, progress=progress(), **sizes)
    if json:
        print_json(found.to_dict())
        return
    titled(found.tree.lines(found.tokens), f"{found.target} is {found.value:.4g}; its strongest paths")
    longest = sorted(found.paths, key=lambda p: (-len(p), -abs(p.value)))[:edges]
    for path in longest:
        titled(found.edge_rows(path), f"Edges of {path.name(found.tokens)}")
    typer.echo(f"\nthe children of every stop sum to it within {found.residual:.1e} of the size of the sum")


def _target(bridge: "TransformerBridge", target: str | None) -> str | int | None:
    """A unit by name, or a token."""
    return target if target is None or UnitName.parse(target) else token_of(bridge, target)


COMMANDS = (paths,)
