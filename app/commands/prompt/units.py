"""`openwork label`: what people and programs say a unit does. `openwork unit`: how strongly one fires at each token of a text."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.asking import Chat, Ids, Prompt, prompt_of
from app.commands.options import AsJson, Device, Model, Precision, load, print_json, print_rows
from probe.errors import BadInput
from probe.model.unit_names import UnitName
from probe.words import counted


def label(
    table: Annotated[str, typer.Argument(help="Name of a feature table.")],
    unit: Annotated[int | None, typer.Argument(help="Number of the unit; without it all labels are printed.")] = None,
    text: Annotated[
        str | None, typer.Argument(help="What it does; without it its labels are printed, and empty it is taken away.")
    ] = None,
    author: Annotated[str, typer.Option("--author", help="Whose words these are.")] = "",
    score: Annotated[float | None, typer.Option("--score", help="A number some method gave the label.")] = None,
    method: Annotated[str, typer.Option("--method", help="The method that gave the score.")] = "",
    imported: Annotated[
        Path | None,
        typer.Option(
            "--import", help="Take over a JSON file: unit number to text, or to {text, author, score, method}."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Label units of a feature table, or print the labels there are."""
    from app.library.artifacts import registered
    from probe.features import import_labels, labels_of, set_label

    folder = registered("features", table)
    if imported is not None:
        typer.echo(
            f"{counted(import_labels(folder, imported, author=author), 'label')} taken over into {table}", err=True
        )
    if text is not None and unit is not None:
        set_label(folder, unit, text, author=author, score=score, method=method)
    found = {u: labels for u, labels in labels_of(folder).items() if unit in (None, u)}
    if json:
        print_json({u: [one.to_dict() for one in labels] for u, labels in found.items()})
        return
    rows = [{"unit": u, **one.to_dict()} for u, labels in found.items() for one in labels]
    print_rows(rows, f"{counted(len(rows), 'label')} in {table}")


def unit_on_text(
    name: Annotated[str, typer.Argument(help="L5N120: a neuron; L4F650: a latent of the dictionary given.")],
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = False,
    dictionary: Annotated[str | None, typer.Option("--dictionary", help="Stored dictionary of a latent.")] = None,
    model: Model = "smollm2-135m",
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """How strongly one unit fires at each token of a text."""
    asked = prompt_of(prompt, ids, chat)
    layer, number = _named(name, dictionary)
    bridge = load(model, device, precision)
    from probe.features.on_text import on_text

    owner: dict[str, Any] = {"layer": layer}
    if dictionary is not None:
        from app.library.artifacts import registered
        from probe.dictionaries import load_dictionary

        owner = {"dictionary": load_dictionary(registered("dictionary", dictionary), bridge)}
    found = on_text(bridge, asked, number, **owner)
    print_json(found.to_dict()) if json else print_rows(found.rows(), found.summary())


unit_on_text.__name__ = "unit"  # what the command is called


def _named(name: str, dictionary: str | None) -> tuple[int, int]:
    """Layer and number. BadInput for a name of no unit, or of a latent without its dictionary."""
    found = UnitName.parse(name, "neuron", "latent")
    if found is None or found.pos is not None:
        raise BadInput(f"'{name[:40]}' names no unit; write L5N120 for a neuron or L4F650 for a latent.")
    if (found.kind == "latent") != (dictionary is not None):
        raise BadInput(
            f"{name} is a {'latent: name its --dictionary' if found.kind == 'latent' else 'neuron, which has no --dictionary'}."
        )
    return found.layer, found.unit
