"""A prompt traced from the shell in one step: its graph, tested in the model and written for other programs as wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from circuits.attribution.config import TraceConfig
from circuits.attribution.plan import TracePlan
from circuits.attribution.trace import plan_of_trace, trace
from circuits.exchange.write_neuronpedia import write_neuronpedia
from circuits.graph.graph import CircuitGraph
from circuits.validation.edges import EdgeCheck, check_edges
from probe.artifacts.names import as_path
from probe.errors import BadInput
from probe.methods import DictionaryName, Doc, FileToWrite, Token, tool
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.beside import saves
from probe.show.panels import Panel
from probe.show.record import Record
from probe.text.prompts import Prompt
from probe.text.targets import Difference

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class Traced(Record):
    """A graph, and how its edges fared in the model; stored as the graph. parents: the dictionaries it was traced with."""

    graph: CircuitGraph
    check: EdgeCheck | None
    parents: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """The graph's nodes."""
        return self.graph.rows()

    def panels(self) -> list[Panel]:
        """The graph's, and the test's."""
        return [*self.graph.panels(), *(self.check.panels() if self.check is not None else ())]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        tested = {} if self.check is None else {"intervention_check": self.check.to_dict()}
        return {**self.graph.to_dict(), **tested}


@saves
def save_traced(found: Traced, folder: Path | str) -> Path:
    """The graph, as an artifact of its own."""
    return found.graph.save(folder, parents=found.parents)


@dataclass(frozen=True)
class Afterwards(Settings):
    """What is done with the graph when it is there."""

    check: Annotated[int, Doc(least=0)] = 0
    "Test this many sources by intervention in the model."
    export: FileToWrite | None = None
    "Write the pruned graph as Neuronpedia reads it."


@tool("trace", plan="plan_of_traced")
@takes_fields("afterwards", Afterwards)
@takes_fields("config", TraceConfig)
def trace_prompt(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("Dictionaries to use, each in its layer.")] = (),
    target: Annotated[Sequence[Token], Doc("Tokens to explain; by default the likeliest.")] = (),
    minus: Annotated[Token | None, Doc("Explain the logit of the target minus that of this token.")] = None,
    afterwards: Afterwards = Afterwards(),
    config: TraceConfig | None = None,
    progress: Progress = SILENT,
) -> Traced:
    """The attribution graph of a prompt: which parts wrote what the prediction reads, adding up exactly.

    The method `trace`, then a test of its edges in the model (`check_edges`), and a file for other programs.

    >>> len(ow.trace_prompt(model, "When Mary went", max_nodes=20, check=2).check.sources)
    2
    """
    roots = _roots(target, minus)
    graph = trace(model, prompt, dictionaries=dictionaries, targets=roots, config=config, progress=progress)
    check, export = afterwards.check, afterwards.export
    tested = check_edges(model, graph, dictionaries=dictionaries, n=check) if check else None
    if export is not None:
        write_neuronpedia(graph, as_path(export), slug=as_path(export).stem)
    names = [str(getattr(one, "name", one)) for one in dictionaries]
    return Traced(graph, tested, tuple(n for n in names if n))


def plan_of_traced(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    dictionaries: Sequence[Any] = (),
    target: Sequence[Token] = (),
    minus: Token | None = None,
    check: int = 0,
    export: Any = None,
    **settings: Any,
) -> TracePlan:
    """What the trace would take."""
    return plan_of_trace(model, prompt, dictionaries=dictionaries, targets=_roots(target, minus), **settings)


def _roots(tokens: Sequence[Token], minus: Token | None) -> list[Any] | None:
    """What is to be explained: tokens, or the difference of two; None for what is likeliest."""
    if minus is None:
        return list(tokens) or None
    if len(tokens) != 1:
        raise BadInput(f"--minus goes with one --target; {len(tokens)} were given.")
    return [Difference(tokens[0], minus)]
