"""Which page shows a record, and what the page needs to find there: the record in memory, the prompt and the graph on disk."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import links
from app.components.parts import Parts
from app.library import memory, models, prompts
from app.library.artifacts import registered
from probe.artifacts.folder import KINDS, home, place
from probe.errors import BadInput
from probe.methods.call import Call, call_of
from probe.model.unit_names import UnitName
from probe.show.opening import origin, origins, unchanged

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.graph.graph import CircuitGraph


def path_of(record: object, model: "TransformerBridge" = None) -> str:
    """The address of the page that shows this record; BadInput for a record that no page shows."""
    for kind in type(record).__mro__:
        if (found := _PATHS.get(kind.__name__)) is not None and kind.__module__.split(".")[0] in ("probe", "circuits"):
            return found(record, model)
    if (call := call_of(record)) is not None:
        return _found_by(call, record, model)
    if (found := origins(record)) and all(one is None or _is_graph(one) for one in found):
        return _graph(_still(record)[0], model)
    raise BadInput(f"No page of the dashboard shows a {type(record).__name__}; it shows itself in a notebook.")


def _found_by(call: Call, record: object, model: "TransformerBridge") -> str:
    """What a declared method found is stored under its call, and has a page of its own."""
    from app.methods.work import keep

    if call.about.of_model and (model is not None or hasattr(origin(record), "original_model")):
        call = replace(call, model=model_for(record, model))
    return links.result_page(keep(call, record))


def model_for(record: object, model: "TransformerBridge" = None) -> str:
    """The name, on the pages, of the model given, or of the one that the record came from."""
    if isinstance(model, str):
        return model
    found = model if model is not None else origin(record)
    what = type(record).__name__
    if found is None:
        raise BadInput(
            f"Which model did this {what} come from? It is not in memory any more: call open(model), with the model or its name."
        )
    if model is None and not unchanged(record):
        raise BadInput(
            f"The model's weights were changed after this {what} was made, and its page would show them as they are now. Call "
            "open(model) if that is what you want; otherwise make the record again."
        )
    return models.hand_over(found)


def _prompt(record: object, model: str) -> str:
    _require_text(record.prompt, getattr(record, "token_ids", None), origin(record))
    return prompts.store(record.prompt, model).id


def _require_text(text: str, ids: list[int] | None, model: "TransformerBridge") -> None:
    """Pages read text: refuse a record of token ids that its text would not become again."""
    if ids is None or getattr(model, "tokenizer", None) is None or not hasattr(model, "W_E"):
        return
    from probe.text.prompts import encode_prompt

    if not text or encode_prompt(model, text) != list(ids):
        raise BadInput(
            "This record was made of token ids that its text does not become again, and the pages read text. It shows itself in "
            "a notebook; or make it from text."
        )


def _reading(analysis: str, page: Callable[..., str]) -> "Callable[[object, TransformerBridge], str]":
    """A view of a record that pages keep in memory by model and prompt."""

    def path(record: object, model: "TransformerBridge") -> str:
        name = model_for(record, model)
        prompt = _prompt(record, name)
        whole = getattr(record, "positions", None) is None
        if whole and unchanged(record):  # else the page reads the prompt anew
            memory.remember(analysis, name, record.prompt, record)
        return page(name, prompt)

    return path


def _hub(model: str, prompt: str) -> str:
    return links.prompt_page(prompt, model)


def _run_of_prompt(record: object, model: "TransformerBridge") -> str:
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


def _table(record: object, model: "TransformerBridge") -> str:
    table = getattr(record, "table", record)
    return links.table_page(_stored("features", table.folder, "The feature table"))


def _followed(record: object, model: "TransformerBridge") -> str:
    """The lens, at the first token that was followed."""
    from probe.lens.follow import OWN

    name, followed = model_for(record, model), record.followed[0]
    token = followed if followed in OWN else int(record.ids[0, 0])
    return links.lens_page(name, _prompt(record, name), q=token)


def _unit(record: object, model: "TransformerBridge") -> str:
    table = origin(record)
    if table is None:
        raise BadInput(
            "The feature table of this unit is not in memory any more: use open_features(NAME).unit(NUMBER).open()."
        )
    return links.unit_page(_stored("features", table.folder, "The feature table"), record.unit)


def _weights(record: object, model: "TransformerBridge") -> str:
    """A neuron or latent by its weights alone."""
    if record.kind == "neuron":
        return links.neuron_page(model_for(record, model), record.layer, record.unit)
    return links.latent_page(_dictionary_of(record), record.unit)


def _own_text(record: object, model: "TransformerBridge") -> str:
    """The unit's page with the text in its box."""
    name = model_for(record, model)
    text = prompts.store(record.text, name).id
    unit = UnitName.parse(record.unit)
    assert unit is not None
    if unit.kind == "neuron":
        return links.neuron_page(name, unit.layer, unit.unit, prompt=text)
    return links.latent_page(_dictionary_of(record), unit.unit, prompt=text)


def _dictionary_of(record: object) -> str:
    """The name of the stored dictionary whose latent this is about."""
    dictionary = (*origins(record), None, None)[1]
    if dictionary is None:
        raise BadInput(
            "The dictionary of this latent is not in memory any more. Its page is also reached through its feature table: "
            "open_features(NAME).unit(NUMBER).open()."
        )
    return _named(dictionary.name)


def _graph(graph: "CircuitGraph", model: "TransformerBridge") -> str:
    return links.circuit_page(stored_name(graph))


def _is_graph(found: object) -> bool:
    """A graph, or the folder of a stored one."""
    return isinstance(found, str) or type(found).__name__ == "CircuitGraph"


def _difference(record: object, model: "TransformerBridge") -> str:
    a, b = map(stored_name, _still(record))
    if a == b:
        raise BadInput("Both graphs are one and the same, and no page compares a graph with itself.")
    return links.circuits_beside(a, b)


def _still(record: object) -> Parts:
    """The graphs that a record came from, each a graph or the folder of one."""
    found = origins(record)
    if not found or any(graph is None for graph in found):
        raise BadInput(
            f"The graph of this {type(record).__name__} is not in memory any more; open the graph itself: graph.open()."
        )
    return found


def stored_name(graph: "CircuitGraph") -> str:
    """The name a graph was loaded by (it, or its folder), or one that says what it is, under which it is stored now, once."""
    from circuits.graph.store import save_graph

    if isinstance(folder := graph if isinstance(graph, str) else origin(graph), str):
        return _stored("graph", Path(folder), "The graph")
    name = graph_name(graph)
    if not (place("graph", name) / "manifest.json").is_file():
        stamp = None
        if (model := origin(graph)) is not None:
            from probe.model.load import stamp as stamp_of

            stamp = stamp_of(model)
        save_graph(graph, place("graph", name), model=stamp, replace=True)
    return name


def graph_name(graph: "CircuitGraph") -> str:
    """Words of the prompt and a hash of everything that was traced, grouped and pinned: equal graphs, equal names."""
    digest = hashlib.sha256(
        repr((graph.model, graph.token_ids, graph.pinned, sorted(graph.supernodes.items()))).encode()
    )
    for array in (*vars(graph.nodes).values(), *vars(graph.edges).values()):
        digest.update(array.tobytes())
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in graph.prompt[:32].lower()).split()
    return f"{'-'.join(words) or 'graph'}-{digest.hexdigest()[:8]}"


def _pinned(record: object, model: "TransformerBridge") -> str:
    """A subgraph's page is its folded graph's, with its units pinned."""
    from circuits.graph.graph import UNITS

    units = [int(i) for i in record.graph.nodes.where(*UNITS).nonzero()[0]]
    return _graph(replace(record.graph, pinned=units), model)


def _dictionary(name: str) -> str:
    return links.run_page(_named(name))


def _named(name: str) -> str:
    """The name of a dictionary that is stored."""
    if not name:
        raise BadInput("This dictionary is not stored yet; save_dictionary(dictionary, NAME, ...) gives it a page.")
    registered("dictionary", name)
    return name


def _patching(record: Any, model: "TransformerBridge") -> str:
    """Two prompts before anything is patched, or a sweep, kept in memory as if its page had run it."""
    from app.pages.patching.asked import page_of

    pair = getattr(record, "pair", record)
    name = model_for(record, model) if model is not None or origin(record) is not None else pair.model.name
    for side in (pair.clean, pair.corrupted):
        _require_text(side.prompt, side.token_ids, origin(record))
    return page_of(record, name, keep=unchanged(record))


def _heads(record: object, model: "TransformerBridge") -> str:
    name = model_for(record, model)
    return links.heads_page(name, _prompt(record, name))


def _head(record: object, model: "TransformerBridge") -> str:
    name = model_for(record, model)
    return links.heads_page(name, _prompt(record, name), head=f"{record.layer}.{record.head}")


_PATHS: dict[str, Callable[[Any, Any], str]] = {
    "LensResult": _reading("lens", links.lens_page),
    "HeadPatterns": _reading("heads", links.heads_page),
    "TopUnits": _reading("units", _hub),
    "TokenThroughLayers": _followed,
    "HeadTable": _heads,
    "DirectLogits": _heads,
    "EditedRun": _run_of_prompt,
    "Generations": _run_of_prompt,
    "FeatureTable": _table,
    "Found": _table,
    "Unit": _unit,
    "UnitWeights": _weights,
    "OwnText": _own_text,
    "CircuitGraph": _graph,
    "Subgraph": _pinned,
    "Pruned": lambda record, model: _graph(record.graph, model),
    "Supernodes": lambda record, model: _graph(record.store(), model),
    "Collapsed": lambda record, model: _graph(record.graph, model),
    "GraphDifference": _difference,
    "Pair": _patching,
    "PatchingSweep": _patching,
    "HeadReading": _head,
    "TrainResult": lambda record, model: links.run_page(_stored("dictionary", record.folder, "The dictionary")),
    "Dictionary": lambda record, model: _dictionary(record.name),
    "CrossLayerTranscoder": lambda record, model: _dictionary(record.name),
    "EvalReport": lambda record, model: _dictionary(record.name),
    "SuiteReport": lambda record, model: _dictionary(record.name),
    "SweepResult": lambda record, model: links.TRAINING,
    "Cache": lambda record, model: links.HOME,
}
