"""What a command is asked of that is stored: by its name, or by a folder or a file, as only the shell can name it; and the model
that a graph was traced in, which is the one that is meant where none is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os.path import isfile
from pathlib import Path
from typing import Any

from probe.errors import BadInput
from probe.methods.call import Call
from probe.methods.graph_kinds import GraphKind, is_at_place
from probe.methods.read_declarations import Method, Parameter
from probe.model.aliases import DEFAULT

Options = Mapping[str, Any]
_STANDIN = "file"  # in the place of a name, in a call that is asked of a file


@dataclass(frozen=True)
class PlacedCall(Call):
    """A call of which some arguments are no names, but what was read from a place of this machine."""

    placed: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def _named(self, model: Any, planned: bool = False) -> dict[str, Any]:
        return {**super()._named(model, planned), **self.placed}


def call_asked(about: Method, options: Options, arguments: dict[str, Any]) -> Call:
    """The call that was typed, looked at."""
    placed = _placed(about, options)
    standing = {p.name: [_STANDIN] if p.several else _STANDIN for p in about.parameters if p.name in placed}
    call = Call.checked(about, options.get("model") or "", {**arguments, **standing})
    if about.of_model and not call.model and not about.model_by:
        call = replace(call, model=_model_meant(call, arguments, placed))
    if not placed:
        return call
    if options.get("dashboard"):
        raise BadInput(
            "The dashboard opens what is stored by its name; leave --dashboard out, or import the file first."
        )
    return PlacedCall(call.method, call.model, call.arguments, call.declared, placed)


def asks_of_graph(about: Method) -> bool:
    """Whether a method is asked of a stored graph, which knows its model."""
    return any(isinstance(p.kind, GraphKind) for p in about.parameters)


def _placed(about: Method, options: Options) -> dict[str, Any]:
    """What was given as a folder or a file, read where it is a graph's, by parameter."""
    found = {}
    for p in about.parameters:
        given = options.get(p.name)
        texts = [] if p.kind.control != "stored" or given is None else given if p.several else [given]
        if any(map(is_at_place, texts)):
            opened = [_opened(p, text) for text in texts]
            found[p.name] = opened if p.several else opened[0]
    return found


def _opened(p: Parameter, text: str) -> Any:
    if isinstance(p.kind, GraphKind):
        return graph_at(text)
    return Path(text) if is_at_place(text) else text


def graph_at(text: str) -> Any:
    """A stored graph by its name or folder, or what a file of another program holds."""
    if isfile(text):
        from circuits.exchange.read_neuronpedia import read_neuronpedia

        return read_neuronpedia(Path(text))
    from circuits.graph.store import load_graph

    return load_graph(text)


def with_its_model(call: Call) -> Call:
    """The call with the model that the method says is meant where none is named. What it is asked of is looked up for that."""
    if call.model or not call.about.model_by:
        return call
    found = call.of_its_model()
    return found if found.model or call.about.without_model else replace(call, model=DEFAULT)


def _model_meant(call: Call, arguments: Mapping[str, Any], placed: Mapping[str, Any]) -> str:
    """The model that a graph was traced in, where none is named. BadInput where it does not say."""
    about = call.about
    from app.library.artifacts import registered
    from probe.artifacts.manifest import read_manifest

    name = next((p.name for p in about.parameters if isinstance(p.kind, GraphKind)), "")
    if name in placed:
        model = placed[name].model
    elif isinstance(given := arguments.get(name), str):
        manifest = read_manifest(registered("graph", given), "graph")
        model = manifest.model.name if manifest.model else manifest.facts.get("model")
    else:
        return ""  # what is missing is said where the call is looked at
    if not model:
        raise BadInput("The graph does not say which model it was traced in; give --model.")
    return str(model)
