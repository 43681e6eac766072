"""Which page shows a record, and what the page needs to find there: the record in memory, the prompt and the graph on disk."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import links
from app.library import models, prompts, recent_records
from app.library.artifacts import registered
from probe.artifacts.folder import KINDS, home, place
from probe.errors import BadInput
from probe.methods.call import Call, call_of
from probe.model.unit_names import UnitName
from probe.show.opening import origin, origins, unchanged

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.graph.graph import CircuitGraph

Address = Callable[[Any, "TransformerBridge | str | None"], str]
"""From a record, and the model it is to be seen in where one was named, to its page."""


def path_of(record: object, model: "TransformerBridge | str | None" = None) -> str:
    """The address of the page that shows this record; BadInput for a record that no page shows."""
    for kind in type(record).__mro__:
        if (found := _PATHS.get(kind.__name__)) is not None and kind.__module__.split(".")[0] in ("probe", "circuits"):
            return found(record, model)
    if (call := call_of(record)) is not None:
        return _found_by(call, record, model)
    if (found := origins(record)) and all(one is None or _is_graph(one) for one in found):
        return links.circuit_page(stored_name(_graphs_of(record)[0]))
    raise BadInput(f"No page of the dashboard shows a {type(record).__name__}; it shows itself in a notebook.")


def _found_by(call: Call, record: object, model: "TransformerBridge | str | None") -> str:
    """What a declared method found is stored under its call, and has a page of its own."""
    from app.methods.method_jobs import keep

    if call.about.of_model and (model is not None or hasattr(origin(record), "original_model")):
        call = replace(call, model=model_for(record, model))
    return links.result_page(keep(call, record))


def model_for(record: object, model: "TransformerBridge | str | None" = None) -> str:
    """The name, on the pages, of the model given, or of the one that the record came from."""
    if isinstance(model, str):
        return model
    found, what = origin(record) if model is None else model, type(record).__name__
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


# -- what was read of a prompt -----------------------------------------------------------------------------------------------


def _of_prompt(page: Callable[..., str], keep: str = "", **chosen: Callable[[Any], object]) -> Address:
    """A page of a model and a prompt. keep: the analysis as which pages keep the record in memory. chosen: what is selected."""

    def path(record: Any, model: "TransformerBridge | str | None") -> str:
        name = model_for(record, model)
        _require_text(record.prompt, getattr(record, "token_ids", None), origin(record))
        if keep and getattr(record, "positions", None) is None and unchanged(record):  # else the page reads it anew
            recent_records.remember(keep, name, record.prompt, record)
        prompt = prompts.store(record.prompt, name).id
        return page(model=name, prompt=prompt, **{part: of(record) for part, of in chosen.items()})

    return path


def _require_text(text: str, ids: list[int] | None, model: Any) -> None:
    """Pages read text: refuse a record of token ids that its text would not become again."""
    if ids is None or getattr(model, "tokenizer", None) is None or not hasattr(model, "W_E"):
        return
    from probe.text.prompts import encode_prompt

    if not text or encode_prompt(model, text) != list(ids):
        raise BadInput(
            "This record was made of token ids that its text does not become again, and the pages read text. It shows itself in "
            "a notebook; or make it from text."
        )


def _first_followed(record: Any) -> object:
    """The first token that was followed, as the lens asks for it."""
    from probe.lens.follow import OWN

    return record.followed[0] if record.followed[0] in OWN else int(record.ids[0, 0])


def _patching(record: Any, model: "TransformerBridge | str | None") -> str:
    """Two prompts before anything is patched, or a sweep, kept in memory as if its page had run it."""
    from app.pages.patching.address import page_of

    pair = getattr(record, "pair", record)
    name = model_for(record, model) if model is not None or origin(record) is not None else pair.model.name
    for side in (pair.clean, pair.corrupted):
        _require_text(side.prompt, side.token_ids, origin(record))
    return page_of(record, name, keep=unchanged(record))


# -- units -------------------------------------------------------------------------------------------------------------------


def _row(record: Any, model: object) -> str:
    """A unit of a feature table."""
    table = _there(origin(record), "feature table of this unit", "use open_features(NAME).unit(NUMBER).open()")
    return links.unit_page(_stored("features", table.folder, "The feature table"), record.unit)


def _unit(record: Any, model: "TransformerBridge | str | None") -> str:
    """A neuron or latent, with the text that it was read on in its box."""
    unit = UnitName.parse(record.unit) if isinstance(record.unit, str) else record
    assert unit is not None
    text = getattr(record, "text", None)
    chosen = {} if text is None else {"prompt": prompts.store(text, model_for(record, model)).id}
    if unit.kind == "neuron":
        return links.neuron_page(model_for(record, model), unit.layer, unit.unit, **chosen)
    held = (*origins(record), None, None)[1]
    other = "its page is also reached through its feature table, open_features(NAME).unit(NUMBER).open()"
    return links.latent_page(_dictionary(_there(held, "dictionary of this latent", other).name), unit.unit, **chosen)


def _there(found: Any, what: str, instead: str) -> Any:
    """What a record came from. BadInput where it is gone."""
    if found is None:
        raise BadInput(f"The {what} is not in memory any more: {instead}.")
    return found


# -- what is stored ----------------------------------------------------------------------------------------------------------


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


def _table(record: Any, model: object) -> str:
    return links.table_page(_stored("features", getattr(record, "table", record).folder, "The feature table"))


def _dictionary(name: str) -> str:
    """The name of a dictionary that is stored."""
    if not name:
        raise BadInput("This dictionary is not stored yet; save_dictionary(dictionary, NAME, ...) gives it a page.")
    return registered("dictionary", name).name


def _run(record: Any, model: object) -> str:
    """A dictionary, or what it was judged to be."""
    return links.run_page(_dictionary(record.name))


# -- graphs ------------------------------------------------------------------------------------------------------------------


def _of_graph(graph: "Callable[[Any], CircuitGraph]") -> Address:
    return lambda record, model: links.circuit_page(stored_name(graph(record)))


def _folded(record: Any) -> "CircuitGraph":
    """A subgraph's folded graph, with its units pinned."""
    from circuits.graph.graph import UNITS

    return replace(record.graph, pinned=[int(i) for i in record.graph.nodes.where(*UNITS).nonzero()[0]])


def _difference(record: object, model: object) -> str:
    a, b = map(stored_name, _graphs_of(record))
    if a == b:
        raise BadInput("Both graphs are one and the same, and no page compares a graph with itself.")
    return links.circuits_beside(a, b)


def _is_graph(found: object) -> bool:
    """A graph, or the folder of a stored one."""
    return isinstance(found, str) or type(found).__name__ == "CircuitGraph"


def _graphs_of(record: object) -> list[Any]:
    """The graphs that a record came from, each a graph or the folder of one."""
    what = f"graph of this {type(record).__name__}"
    return [_there(graph, what, "open the graph itself, graph.open()") for graph in origins(record) or [None]]


def stored_name(graph: "CircuitGraph | str") -> str:
    """The name a graph was loaded by (it, or its folder), or one that says what it is, under which it is stored now, once."""
    from circuits.graph.naming import content_name

    if isinstance(folder := graph if isinstance(graph, str) else origin(graph), str):
        return _stored("graph", Path(folder), "The graph")
    name = content_name(graph)  # type: ignore[arg-type]
    if not (place("graph", name) / "manifest.json").is_file():
        graph.save(place("graph", name), replace=True)  # type: ignore[union-attr]
    return name


_PATHS: dict[str, Address] = {
    "LensResult": _of_prompt(links.lens_page, "lens"),
    "TokenThroughLayers": _of_prompt(links.lens_page, q=_first_followed),
    "HeadPatterns": _of_prompt(links.heads_page, "heads"),
    "HeadReading": _of_prompt(links.heads_page, head=lambda record: f"{record.layer}.{record.head}"),
    **dict.fromkeys(("HeadTable", "DirectLogits"), _of_prompt(links.heads_page)),
    "TopUnits": _of_prompt(links.prompt_page, "units"),
    **dict.fromkeys(("EditedRun", "Generations"), _of_prompt(links.prompt_page)),
    **dict.fromkeys(("Pair", "PatchingSweep"), _patching),
    "Unit": _row,
    **dict.fromkeys(("UnitWeights", "OwnText"), _unit),
    **dict.fromkeys(("FeatureTable", "Found"), _table),
    **dict.fromkeys(("Dictionary", "CrossLayerTranscoder", "EvalReport", "SuiteReport"), _run),
    "TrainResult": lambda record, model: links.run_page(_stored("dictionary", record.folder, "The dictionary")),
    "SweepResult": lambda record, model: links.TRAINING,
    "Cache": lambda record, model: links.HOME,
    **dict.fromkeys(("CircuitGraph", "ComponentGraph"), _of_graph(lambda record: record)),
    **dict.fromkeys(("Pruned", "Collapsed"), _of_graph(lambda record: record.graph)),
    "Supernodes": _of_graph(lambda record: record.store()),
    "Subgraph": _of_graph(_folded),
    "GraphDifference": _difference,
}
