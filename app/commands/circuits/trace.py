"""`openwork trace`: the method `trace`, whose graph is stored as one, exported, and tested by intervention, as asked."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.asking import Minus
from app.commands.fields import Given, Running, takes
from app.commands.methods.stored import call_asked
from app.commands.options import Model, print_json, progress, reserve
from probe.errors import BadInput
from probe.methods.catalogue import method_named
from probe.methods.kinds import KINDS
from probe.show.terminal import show_panels

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.graph.graph import CircuitGraph

ABOUT = method_named("trace")
TRACE = ABOUT.without("target", "dictionaries", "memory").called(targets="target")


@takes(TRACE)
def trace(
    *,
    given: Given,
    minus: Minus = None,
    dictionaries: Annotated[
        list[str] | None,
        typer.Option(
            "--dictionaries", "--dictionary", help="Stored dictionary to use in its layer; repeatable, or a,b,c."
        ),
    ] = None,
    export: Annotated[
        Path | None, typer.Option("--export", help="Write the pruned graph as Neuronpedia reads it.")
    ] = None,
    save: Annotated[
        str | None, typer.Option("--save", help="Store the graph under this name, for the dashboard.")
    ] = None,
    check: Annotated[int, typer.Option("--check", help="Test this many sources by intervention in the model.")] = 0,
    memory: Annotated[float, typer.Option("--memory", help="GB the trace may use beside the model.")] = 4.0,
    model: Model = "smollm2-135m",
    how: Running,
) -> None:
    """The attribution graph of a prompt: which parts wrote what the prediction reads, adding up exactly."""
    _sizes(check, memory)
    names = [n for one in dictionaries or () for n in one.split(",") if n]
    asked = {**given, **_target(given.get("target"), minus), "dictionaries": names, "memory": int(memory * 1e9)}
    call = call_asked(ABOUT, {"model": model, "dictionaries": names}, asked)
    if not how.dry_run:
        _destinations(export, save)
    bridge = how.load(model)
    if how.dry_run:
        how.announce(call.plan(bridge))
        return
    graph = call.run(bridge, progress())
    tested = None
    if check:
        from circuits.validation.edges import check_edges

        tested = check_edges(bridge, graph, dictionaries=names, n=check)
    # Printed first: a disk that fills up now does not take the report with it.
    if how.json:
        print_json({**graph.to_dict(), **({"intervention_check": tested.to_dict()} if tested else {})})
    else:
        show_panels([*graph.panels(), *(tested.panels() if tested else ())])
    _keep(bridge, graph, export, save, names)


def _target(tokens: list[Any] | None, minus: str | None) -> dict[str, Any]:
    """What is to be explained: tokens, or the difference of two."""
    if minus is None:
        return {"targets": tokens, "target": None}
    if len(tokens or ()) != 1:
        raise BadInput(f"--minus goes with one --target; {len(tokens or ())} were given.")
    (one,), kind = tokens or [""], KINDS["Target"]
    return {"target": {"token": one, "other": kind.typed(minus)}}


def _sizes(check: int, memory: float) -> None:
    if check < 0:
        raise BadInput(f"--check is {check}; give the number of sources to test, or 0 for none.")
    if not 0 < memory < math.inf:
        raise BadInput(f"--memory is {memory}; give the GB the trace may use, like 2.")


def _destinations(export: Path | None, save: str | None) -> None:
    """Refuse places that cannot be written before the model loads, not after the trace."""
    from probe.artifacts.folder import require_writable

    if save is not None:
        reserve("graph", save)
    if export:
        require_writable(export)


def _keep(
    bridge: "TransformerBridge", graph: "CircuitGraph", export: Path | None, save: str | None, parents: list[str]
) -> None:
    from circuits.exchange.write import write_neuronpedia
    from probe.artifacts.folder import place

    if export:
        write_neuronpedia(graph, export, slug=export.stem)
        typer.echo(f"wrote {export}", err=True)
    if save:
        kept = graph.save(place("graph", save), model=bridge, parents=tuple(parents))
        typer.echo(f"wrote {kept}", err=True)


COMMANDS = (trace,)
