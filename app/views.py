"""Which page shows a record, and what the page needs to find there: the record in memory, the prompt and the graph on disk."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from app import analyses, held, links, prompts
from app.library import registered
from probe.artifact import KINDS, home, place
from probe.errors import BadInput
from probe.opening import origin


def path_of(record: Any, model: Any = None) -> str:
    """The address of the page that shows this record; BadInput for a record that no page shows."""
    for kind in type(record).__mro__:
        if (found := _PATHS.get(kind.__name__)) is not None and kind.__module__.split(".")[0] in ("probe", "circuits"):
            return found(record, model)
    raise BadInput(f"No page of the dashboard shows a {type(record).__name__}; it shows itself in a notebook.")


def model_for(record: Any, model: Any = None) -> str:
    """The name, on the pages, of the model given, or of the one that the record came from."""
    if isinstance(model, str):
        return model
    found = model if model is not None else origin(record)
    if found is None:
        raise BadInput(
            f"Which model did this {type(record).__name__} come from? It is not in memory any more: call open(model), with the "
            "model or its name."
        )
    return held.hold(found)


def _prompt(record: Any, model: str) -> str:
    return prompts.store(record.prompt, model).id


def _reading(analysis: str, page: Callable[..., str]) -> Callable[[Any, Any], str]:
    """A view of a record that pages keep in memory by model and prompt."""

    def path(record: Any, model: Any) -> str:
        name = model_for(record, model)
        analyses.remember(analysis, name, record.prompt, record)
        return page(name, _prompt(record, name))

    return path


def _hub(model: str, prompt: str) -> str:
    return links.prompt_page(prompt, model)


def _run_of_prompt(record: Any, model: Any) -> str:
    name = model_for(record, model)
    return links.prompt_page(_prompt(record, name), name)


def _stored(kind: str, folder: Path, what: str) -> str:
    """The name of an artifact under `home()`; the pages reach no other."""
    try:
        here = folder.resolve() == registered(kind, folder.name).resolve()
    except BadInput:
        here = False
    if not here:
        raise BadInput(
            f"{what} {folder} is not in {home() / KINDS[kind]}, where the dashboard looks. Save it there to open it."
        )
    return folder.name


def _table(record: Any, model: Any) -> str:
    table = getattr(record, "table", record)
    return links.table_page(_stored("features", table.folder, "The feature table"))


def _unit(record: Any, model: Any) -> str:
    table = origin(record)
    if table is None:
        raise BadInput(
            "The feature table of this unit is not in memory any more: use open_features(NAME).unit(NUMBER).open()."
        )
    return links.unit_page(_stored("features", table.folder, "The feature table"), record.unit)


def _weights(record: Any, model: Any) -> str:
    """A neuron by its weights alone."""
    if record.kind != "neuron":
        raise BadInput("A latent's page is reached through its feature table: open_features(NAME).unit(NUMBER).open().")
    return links.neuron_page(model_for(record, model), record.layer, record.unit)


def _graph(graph: Any, model: Any) -> str:
    return links.circuit_page(stored_name(graph))


def stored_name(graph: Any) -> str:
    """The name a graph was loaded by, or one that says what it is, under which it is stored now, once."""
    from circuits.store import save_graph

    if isinstance(origin(graph), str):
        return _stored("graph", Path(origin(graph)), "The graph")
    name = graph_name(graph)
    if not (place("graph", name) / "manifest.json").is_file():
        stamp = None
        if (model := origin(graph)) is not None:
            from probe.models import stamp as stamp_of

            stamp = stamp_of(model)
        save_graph(graph, place("graph", name), model=stamp)
    return name


def graph_name(graph: Any) -> str:
    """Words of the prompt and a hash of everything that was traced, grouped and pinned: equal graphs, equal names."""
    digest = hashlib.sha256(
        repr((graph.model, graph.token_ids, graph.pinned, sorted(graph.supernodes.items()))).encode()
    )
    for array in (*vars(graph.nodes).values(), *vars(graph.edges).values()):
        digest.update(array.tobytes())
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in graph.prompt[:32].lower()).split()
    return f"{'-'.join(words) or 'graph'}-{digest.hexdigest()[:8]}"


def _pinned(record: Any, model: Any) -> str:
    """A subgraph's page is its folded graph's, with its units pinned."""
    from circuits.graph import UNITS

    units = [int(i) for i in record.graph.nodes.where(*UNITS).nonzero()[0]]
    return _graph(replace(record.graph, pinned=units), model)


def _dictionary(name: str) -> str:
    if not name:
        raise BadInput("This dictionary is not stored yet; save_dictionary(dictionary, NAME, ...) gives it a page.")
    registered("dictionary", name)
    return links.run_page(name)


def _sweep(record: Any, model: Any) -> str:
    """A patching sweep, kept in memory as if its page had run it."""
    from app import work
    from app.patching_state import Asked, checked

    pair = record.pair
    name = model_for(record, model) if model is not None or origin(record) is not None else pair.model.name
    sides = [prompts.store(side.prompt, name).id for side in (pair.clean, pair.corrupted)]
    answers = [*(pair.answers if pair.answers_given else []), "", ""][:2]
    control = record.control is not None
    asked = checked(Asked(name, *sides, *answers, pair.metric, record.over, record.direction, control))
    work.keep(asked.key(), record)
    return asked.address()


def _head(record: Any, model: Any) -> str:
    name = model_for(record, model)
    return links.heads_page(name, _prompt(record, name), head=f"{record.layer}.{record.head}")


_PATHS: dict[str, Callable[[Any, Any], str]] = {
    "LensResult": _reading("lens", links.lens_page),
    "HeadPatterns": _reading("heads", links.heads_page),
    "TopUnits": _reading("units", _hub),
    "EditedRun": _run_of_prompt,
    "Generations": _run_of_prompt,
    "FeatureTable": _table,
    "Found": _table,
    "Unit": _unit,
    "UnitWeights": _weights,
    "CircuitGraph": _graph,
    "Subgraph": _pinned,
    "Pruned": lambda record, model: _graph(record.graph, model),
    "PatchingSweep": _sweep,
    "HeadReading": _head,
    "TrainResult": lambda record, model: links.run_page(_stored("dictionary", record.folder, "The dictionary")),
    "Dictionary": lambda record, model: _dictionary(record.name),
    "CrossLayerTranscoder": lambda record, model: _dictionary(record.name),
    "EvalReport": lambda record, model: _dictionary(record.name),
    "SuiteReport": lambda record, model: _dictionary(record.name),
    "SweepResult": lambda record, model: links.TRAINING,
    "Cache": lambda record, model: links.HOME,
}
