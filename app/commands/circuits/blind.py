"""`openwork blind ...`: study a unit without its text, say what it does, then look."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.options import AsJson, Device, Precision, load, print_json, progress
from probe.errors import BadInput
from probe.show.panels import Rows, Sentence
from probe.show.terminal import show_panels

if TYPE_CHECKING:
    from probe.show.panels import Panel
    from probe.show.record import Record


Name = Annotated[str, typer.Argument(help="Name of the study.")]


def new(
    name: Name,
    dictionary: Annotated[str | None, typer.Option("--dictionary", help="The dictionary whose latent it is.")] = None,
    latent: Annotated[int | None, typer.Option("--latent", min=0, help="The latent.")] = None,
    layer: Annotated[int | None, typer.Option("--layer", min=0, help="Or: the layer whose neuron it is.")] = None,
    neuron: Annotated[int | None, typer.Option("--neuron", min=0, help="The neuron.")] = None,
    features: Annotated[
        str | None, typer.Option("--features", help="Its feature table; by default the newest there is.")
    ] = None,
    prompts: Annotated[int, typer.Option("--prompts", min=0, help="Hidden prompts whose circuits are traced.")] = 3,
    model: Annotated[str | None, typer.Option("--model", help="By default the one the table was made from.")] = None,
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """Gather weights, circuits and statistics of a unit, its text hidden."""
    unit = _unit(dictionary, latent, layer, neuron)
    table = _table(features, dictionary, layer)
    from app.library.artifacts import registered
    from probe.artifacts.manifest import read_manifest

    made_from = read_manifest(table, "features").model
    learned = [] if dictionary is None else [registered("dictionary", dictionary)]
    bridge = load(model or (made_from.name if made_from else "smollm2-135m"), device, precision)
    from circuits.blind.making import new_study
    from probe.dictionaries import load_dictionary

    given: Any = [load_dictionary(folder, bridge) for folder in learned]
    study = new_study(bridge, table, unit, name, dictionaries=given, prompts=prompts, progress=progress())
    _print(study, json)


def _unit(dictionary: str | None, latent: int | None, layer: int | None, neuron: int | None) -> int:
    if dictionary is not None and latent is not None and layer is None and neuron is None:
        return latent
    if layer is not None and neuron is not None and dictionary is None and latent is None:
        return neuron
    raise BadInput("Name one unit: --dictionary NAME --latent N, or --layer N --neuron N.")


def _table(features: str | None, dictionary: str | None, layer: int | None) -> Path:
    """The feature table of that name, or the newest of this dictionary or layer."""
    from app.library.artifacts import library, registered

    if features is not None:
        return registered("features", features)
    source = dictionary if dictionary is not None else f"layer {layer}"
    kind = "latent" if dictionary is not None else "neuron"
    for folder, manifest in library().kinds["features"]:
        if manifest.facts.get("source") == source and manifest.facts.get("units") == kind:
            return folder
    option = f"--dictionary {dictionary}" if dictionary is not None else f"--layer {layer}"
    raise BadInput(f"No feature table of {source} is stored. Build one: openwork features {option} --cache NAME")


def show(name: Name, json: AsJson = False) -> None:
    """The evidence again, and what to do next."""
    from circuits.blind.study import open_study

    _print(open_study(name), json)


def guess(
    name: Name,
    text: Annotated[str, typer.Option("--text", help="What makes the unit fire, in your words.")],
    json: AsJson = False,
) -> None:
    """Record the hypothesis with its time, once and for all."""
    from circuits.blind.study import guess as record

    study = record(name, text)
    assert study.hypothesis is not None
    _print(study, json, Sentence(f"recorded at {study.hypothesis.time}. {study.next_step}"))


def reveal(name: Name, json: AsJson = False) -> None:
    """The unit's strongest examples beside the hypothesis; refused before there is one."""
    from circuits.blind.study import reveal as look

    _print(look(name), json)


def verdict(
    name: Name,
    grade: Annotated[str, typer.Option("--grade", help="right, partly or wrong.")],
    note: Annotated[str, typer.Option("--note", help="Why.")] = "",
    json: AsJson = False,
) -> None:
    """Record how the hypothesis fared, after the reveal."""
    from circuits.blind.study import judge

    study = judge(name, grade, note)
    _print(study, json, Rows(f"{study.name}: {study.next_step}", study.rows()))


def _print(found: "Record", json: bool, *shown: "Panel") -> None:
    """As JSON, or what is to be seen of it: by default all of its panels."""
    print_json(found.to_dict()) if json else show_panels(shown or found.panels())


COMMANDS = (new, show, guess, reveal, verdict)
