"""The analyses as the pages call them: by model name, kept in memory, on the one model worker.

`model` is a loaded model or a name that `probe.load_model` knows. What was found lately is kept, by model and prompt; names
keep at most two models in memory. Nothing here imports torch before it is needed.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from app import held
from app.library import newest_dictionaries, registered, require_offered, short_model
from app.trace_asked import TraceAsked
from probe.artifact import ModelStamp, place, read_manifest
from probe.claims import claim
from probe.errors import BadInput, OpenworkError
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from circuits.graph import CircuitGraph
    from probe.heads import HeadPatterns
    from probe.lens import LensResult
    from probe.neurons import TopUnits

Value = TypeVar("Value")
READINGS = ("lens", "heads", "units")


class Recent(Generic[Value]):
    """The `size` things used last, by key, of about `most` bytes together (the `least` newest are kept whatever they
    take: what one page shows); safe between threads."""

    def __init__(self, size: int, most: float = float("inf"), least: int = 1):
        self._size, self._most, self._least, self._lock = size, most, least, threading.Lock()
        self._items: OrderedDict[Any, Value] = OrderedDict()
        self._bytes: dict[Any, int] = {}

    def get(self, key: Any) -> Value | None:
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)

    def put(self, key: Any, value: Value) -> Value:
        size = record_bytes(value) if self._most < float("inf") else 0
        with self._lock:
            self._items[key], self._bytes[key] = value, size
            self._items.move_to_end(key)
            while len(self._items) > self._least and (
                len(self._items) > self._size or sum(self._bytes.values()) > self._most
            ):
                self._bytes.pop(self._items.popitem(last=False)[0])
        return value

    def keys(self) -> list[Any]:
        with self._lock:
            return list(self._items)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()
            self._bytes.clear()


_SCALAR = 64  # bytes of a short text or a number in a list, with its place there


def record_bytes(record: Any, depth: int = 5) -> int:
    """About the bytes of a record: its arrays, and the texts and numbers in the records, tuples, lists and mappings it holds. A
    lens holds five tokens for each layer and position, which weigh ten times its arrays."""
    if (own := getattr(record, "nbytes", None)) is not None:
        return int(own)
    if isinstance(record, dict):
        inner = list(record.values())
    elif isinstance(record, tuple | list):
        if record and isinstance(record[0], str | int | float):
            return _SCALAR * len(record)
        inner = list(record)
    else:
        inner = list(getattr(record, "__dict__", {}).values())
    return sum(record_bytes(value, depth - 1) for value in inner) if depth else 0


_models: Recent[Any] = Recent(2)
_records: Recent[Any] = Recent(96, most=1.5e8, least=6)
_graphs: Recent[Any] = Recent(4, most=4e8, least=2)


def loaded() -> list[str]:
    """Names, as people read them, of the models in memory."""
    return [short_model(str(k)) for k in dict.fromkeys([*_models.keys(), *held.names()])]


def in_memory(name: str) -> Any | None:
    """The model of this name if it is loaded; never loads one. Pages may read its config, and only the worker may run it."""
    model = held.held(name)
    return _models.get(name) if model is None else model


def model_named(name: str, progress: Progress = SILENT) -> Any:
    """A loaded model by name, from memory when it is there. BadInput for a name that no menu offers: whatever a request says
    reaches this place at last, and must not load any folder of the machine."""
    if (model := in_memory(name)) is not None:
        return model
    require_offered(name)
    with progress.stage(f"load {name}", total=2, unit="step") as step:
        from probe.models import load_model  # torch comes with it

        step(1)
        model = load_model(name, progress=progress)
        _stamp(model)
        step(1)
    return _models.put(name, model)


_stamps: dict[str, ModelStamp] = {}


def _stamp(model: Any) -> None:
    from probe.models import stamp

    found = stamp(model)
    before = _stamps.get(found.name)
    if (before.weights if before else held.weights_of(found.name)) not in (None, found.weights):
        _records.clear()  # they were found in another model of this name
    _stamps[found.name] = found


def stamp_in_memory(name: str) -> ModelStamp | None:
    """Fingerprints of the model of this name, if it was loaded here; never loads one."""
    return _stamps.get(name)


def _resolve(model: Any, progress: Progress) -> tuple[str, Any]:
    """The key and the loaded model of a name or of a loaded model."""
    if isinstance(model, str):
        return model, model_named(model, progress)
    from probe.models import stamp

    return stamp(model).weights, model


def _kept(analysis: str, model: Any, prompt: str, progress: Progress, run: Callable[[Any], Any]) -> Any:
    """The record of this analysis, found again or made by `run(loaded model)`."""
    if isinstance(model, str) and (record := known(analysis, model, prompt)) is not None:
        return record
    key, bridge = _resolve(model, progress)
    if (record := known(analysis, key, prompt)) is not None:
        return record
    with progress.stage(analysis, total=1, unit="step") as step:
        record = remember(analysis, key, prompt, run(bridge))
        step(1)
    return record


def known(analysis: str, model: str, prompt: str) -> Any | None:
    """A record that is in memory, or None; never computes."""
    return _records.get((analysis, model, prompt))


def remember(analysis: str, model: str, prompt: str, record: Any) -> Any:
    """Keep a record made elsewhere, so that the pages find it."""
    return _records.put((analysis, model, prompt), record)


def lens(model: Any, prompt: str, *, progress: Progress = SILENT) -> "LensResult":
    """The logit lens at every layer and position."""

    def run(bridge: Any) -> Any:
        from probe.lens import logit_lens

        return logit_lens(bridge, prompt)

    return _kept("lens", model, prompt, progress, run)


def heads(model: Any, prompt: str, *, progress: Progress = SILENT) -> "HeadPatterns":
    """Every head's attention pattern with its metrics."""

    def run(bridge: Any) -> Any:
        from probe.heads import head_patterns

        return head_patterns(bridge, prompt)

    return _kept("heads", model, prompt, progress, run)


def top_units(model: Any, prompt: str, *, progress: Progress = SILENT) -> "TopUnits":
    """The strongest neurons, and latents of stored dictionaries, at every position."""

    def run(bridge: Any) -> Any:
        from probe.neurons import top_units as found

        return found(bridge, prompt, dictionaries=dictionaries_of(bridge))

    return _kept("units", model, prompt, progress, run)


def read_prompt(model: str, prompt: str, progress: Progress = SILENT) -> None:
    """Everything the prompt page shows, cheapest first, so that its panels fill one after the other."""
    lens(model, prompt, progress=progress)
    heads(model, prompt, progress=progress)
    top_units(model, prompt, progress=progress)


def dictionaries_of(model: Any, names: tuple[str, ...] | None = None) -> list[Any]:
    """Stored transcoders that fit this model: those named, else the newest for each layer. Others are passed over in silence
    only when none were named."""
    from probe.dictionaries import load_dictionary
    from probe.models import stamp

    if names is not None:
        return [load_dictionary(registered("dictionary", name), model) for name in names]
    found, mine = [], stamp(model)
    for folder in newest_dictionaries(lambda m: (m.weights, m.tokenizer) == (mine.weights, mine.tokenizer)):
        try:
            learned = load_dictionary(folder, model)
        except OpenworkError:
            continue
        if len(learned.sites_in) == len(learned.sites_out) == 1:  # what is read at one place and written at one
            found.append(learned)
    return found


def trace(
    model: Any, prompt: str, asked: TraceAsked | None = None, *, save: str | None = None, progress: Progress = SILENT
) -> "CircuitGraph":
    """The attribution graph of a prompt, as asked for; `save` stores it under that name."""
    from circuits.store import save_graph
    from circuits.tracing.attribution import trace as run
    from probe.models import stamp

    asked = asked or TraceAsked()
    folder = place("graph", save) if save else None
    with claim(folder) if folder else nullcontext():
        _, bridge = _resolve(model, progress)
        chosen = dictionaries_of(bridge, asked.dictionaries) if asked.dictionaries else []
        graph = run(
            bridge, prompt, dictionaries=chosen, target=asked.targets(), config=asked.config(), progress=progress
        )
        said = replace(asked, target=_as_text(bridge, asked.target), minus=_as_text(bridge, asked.minus))
        graph.facts["asked"] = said.to_dict()
        if folder:
            graph = _marked_before(folder, graph, stamp(bridge).weights, asked.dictionaries)
            save_graph(graph, folder, model=stamp(bridge), parents=asked.dictionaries, replace=True)
            _graphs.put(folder.name, (graph_mark(folder.name), graph))
    return graph


def _marked_before(folder: Any, graph: "CircuitGraph", weights: str, dictionaries: Sequence[str]) -> "CircuitGraph":
    """The graph with the pins, groups and labels of the one that it replaces, if there is one and its units are the same:
    of the same weights, and of dictionaries that were not learned anew since."""
    from circuits.reading.carried import carried
    from circuits.store import load_graph

    try:
        before = read_manifest(folder, "graph")
        learned = [read_manifest(place("dictionary", name), "dictionary").created for name in dictionaries]
        if before.model is None or before.model.weights != weights or any(one > before.created for one in learned):
            return graph
        return carried(load_graph(folder), graph)
    except OpenworkError:  # there is none, or a damaged one, which is why it is traced again
        return graph


def _as_text(bridge: Any, token: Any) -> Any:
    """A token's text where that names it, so that people read what was asked; else its id."""
    if not isinstance(token, int):
        return token
    from probe.targets import single
    from probe.tokens import display_tokens

    (text,) = display_tokens(bridge, [token])
    return text if text and single(bridge, text) == token else token


def graph_mark(name: str) -> int:
    """Changes when the stored graph is replaced."""
    return (registered("graph", name) / "manifest.json").stat().st_mtime_ns


def stored_graph(name: str) -> "CircuitGraph":
    """A stored graph by name; without the model. BadInput when there is none, Unavailable when it is damaged."""
    from circuits.store import load_graph

    folder = registered("graph", name)
    try:
        mark = graph_mark(name)
    except OSError as error:
        raise BadInput(f"The graph '{name}' has no manifest; trace the prompt again.") from error
    kept = _graphs.get(name)
    if kept is None or kept[0] != mark:
        kept = _graphs.put(name, (mark, load_graph(folder)))
    return kept[1]


def keep_graph(name: str, graph: "CircuitGraph") -> "CircuitGraph":
    """Keep in memory what was just stored under this name; numbers already computed of it stay computed."""
    return _graphs.put(name, (graph_mark(name), graph))[1]
