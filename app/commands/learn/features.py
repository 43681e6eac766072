"""`openwork features`: what each unit of a dictionary or an MLP does, as a table, or one unit of it; and `openwork label`: what
people and programs say a unit does."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.fields import Given, Running, takes
from app.commands.learn.harvest import DEFAULT
from app.commands.options import AsJson, print_json, print_rows, progress
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput
from probe.methods.reading import taken_by
from probe.words import counted

if TYPE_CHECKING:
    from probe.features.table import FeatureTable

CONFIG = taken_by("probe.features.measuring.config", "FeatureConfig")


@takes(CONFIG.without("before", "block_bytes", "checkpoint_shards"))
def features(
    *,
    dictionary: Annotated[str | None, typer.Option("--dictionary", help="Name of the dictionary.")] = None,
    layer: Annotated[int | None, typer.Option("--layer", min=0, help="Or: the MLP neurons of this layer.")] = None,
    cache: Annotated[str | None, typer.Option("--cache", help="Name of the cache to measure on.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the table; by default from dictionary or layer, and cache.")
    ] = None,
    unit: Annotated[int | None, typer.Option("--unit", help="Print this unit of the table (built if need be).")] = None,
    search: Annotated[
        str | None,
        typer.Option("--search", help="Print the densest units with this text in a label, a token or an example."),
    ] = None,
    given: Given,
    model: Annotated[
        str | None, typer.Option("--model", help="The model; by default the one the cache was made from.")
    ] = None,
    how: Running,
) -> None:
    """Examples, density, effects on the logits and neighbours of every latent (or neuron), in one table."""
    title = name or _default_name(dictionary, layer, cache)
    shown = unit is not None or search is not None
    if shown and not how.dry_run and (place("features", title) / "manifest.json").is_file():
        from probe.features import open_features

        _print(open_features(place("features", title)), unit, search, how.json)
        return
    folder = how.reserve("features", title)
    bridge, what, source = _inputs(how, dictionary, layer, cache, model)
    from probe.features import build_features, plan_features

    settings = CONFIG.made({**given, "before": given["window"] * 23 // 32})
    if how.dry_run:
        how.announce(plan_features(bridge, what, source, folder, settings))
        return
    table = build_features(bridge, what, source, folder, settings, resume=how.resume, progress=progress())
    _print(table, unit, search, how.json)


def _default_name(dictionary: str | None, layer: int | None, cache: str | None) -> str:
    """`layer4-sae-on-layer4`: of what, on which cache. BadInput where that is not said."""
    from app.jobs.measuring import table_name

    if (dictionary is None) == (layer is None):
        raise BadInput("Name what the units are: --dictionary NAME for its latents, or --layer N for MLP neurons.")
    if cache is None:
        raise BadInput("Name the cache to measure on: --cache NAME (or --name of a finished table with --unit).")
    return table_name(dictionary if dictionary is not None else int(layer or 0), cache)


def _inputs(
    how: Running, dictionary: str | None, layer: int | None, cache: str | None, model: str | None
) -> tuple[Any, Any, Any]:
    """The model, the dictionary or layer, and the cache."""
    from app.library.artifacts import registered

    _default_name(dictionary, layer, cache)
    folder = registered("cache", str(cache))
    learned = registered("dictionary", dictionary) if dictionary is not None else None
    made_from = read_manifest(folder, "cache").model
    bridge = how.load(model or (made_from.name if made_from else DEFAULT))
    from probe.activations.cache import open_cache
    from probe.dictionaries import load_dictionary

    what = load_dictionary(learned, bridge) if learned is not None else layer
    return bridge, what, open_cache(folder, bridge)


def _print(table: "FeatureTable", unit: int | None, search: str | None, json: bool) -> None:
    if unit is not None:
        record = table.unit(unit)
        if json:
            print_json(record.to_dict())
        else:
            from probe.show.panels import Tokens
            from probe.show.terminal import show_panels

            show_panels([one for one in record.panels() if not isinstance(one, Tokens)])  # its examples are rows too
        return
    found = table.search(search or "", sort="density", descending=True, limit=20)
    if json:
        print_json(table.to_dict() if search is None else found.to_dict())
        return
    print_rows(
        found.rows(), f"{found.total:,} of {table.n_units:,} {table.kind}s in {table.folder.name}, densest first"
    )


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


COMMANDS = (features, label)
