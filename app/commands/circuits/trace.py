"""`openwork trace`: from a prompt to its attribution graph."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.asking import Chat, Ids, Minus, Prompt, prompt_of, stored_dictionaries, target_of, token_of
from app.commands.options import (
    AsJson,
    ConfigFile,
    Device,
    DryRun,
    Model,
    Precision,
    load,
    print_json,
    print_rows,
    progress,
    reserve,
)
from app.library.trace_asked import head_layers
from probe.artifacts.json import Json
from probe.errors import BadInput
from probe.show.values import quoted
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.attribution.config import TraceConfig
    from circuits.attribution.plan import TracePlan
    from circuits.graph.graph import CircuitGraph
    from probe.dictionaries.store import AnyDictionary
    from probe.text.targets import Difference


def trace(
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = False,
    model: Model = "smollm2-135m",
    max_nodes: Annotated[
        int, typer.Option("--max-nodes", help="Units that become nodes; the rest are summed, not dropped.")
    ] = 2000,
    dictionaries: Annotated[
        list[str] | None,
        typer.Option(
            "--dictionaries", "--dictionary", help="Stored dictionary to use in its layer; repeatable, or a,b,c."
        ),
    ] = None,
    basis: Annotated[
        str,
        typer.Option(
            "--basis", help="neurons, latents, mixed or components; auto: mixed where there are dictionaries."
        ),
    ] = "auto",
    heads: Annotated[
        str | None, typer.Option("--heads", help="Layers whose attention heads are nodes, like 3,5-7, or all.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", help="A token to explain: its text, like ' Paris', or its id, like id:504; repeatable."
        ),
    ] = None,
    minus: Minus = None,
    first: Annotated[
        str, typer.Option("--first", help="Units at the first position: merge into a leaf a layer, keep, or auto.")
    ] = "auto",
    export: Annotated[
        Path | None, typer.Option("--export", help="Write the pruned graph as Neuronpedia reads it.")
    ] = None,
    save: Annotated[
        str | None, typer.Option("--save", help="Store the graph under this name, for the dashboard.")
    ] = None,
    check: Annotated[int, typer.Option("--check", help="Test this many sources by intervention in the model.")] = 0,
    memory: Annotated[float, typer.Option("--memory", help="GB the trace may use beside the model.")] = 4.0,
    device: Device = None,
    precision: Precision = "float32",
    config: ConfigFile = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """The attribution graph of a prompt: which parts wrote what the prediction reads, adding up exactly."""
    asked = prompt_of(prompt, ids, chat)
    _one_target(target or [], minus)
    from circuits.attribution.trace import TraceConfig, plan_trace
    from circuits.attribution.trace import trace as run
    from probe.text.tokens import encode_prompt

    _sizes(max_nodes, check, memory)
    if not dry_run:
        _destinations(export, save)
    names = [n for given in dictionaries or [] for n in given.split(",") if n]
    bridge = load(model, device, precision)
    roots = _roots(bridge, target or [], minus)
    options = TraceConfig(
        max_nodes, memory=int(memory * 1e9), basis=basis, heads=head_layers(heads, "--heads"), first=first
    )
    chosen = stored_dictionaries(bridge, names)
    if dry_run:
        _would_be_refused(bridge, chosen, options, roots)
        n_tokens, widest = len(encode_prompt(bridge, asked)), max((d.d_dict for d in chosen), default=0)
        _announce(plan_trace(bridge, n_tokens, options, widest, len(roots)), json)
        return
    graph = run(bridge, asked, dictionaries=chosen, target=roots, config=options, progress=progress())
    report = graph.to_dict()
    if check:
        from circuits.validation.edges import check_edges

        report["intervention_check"] = check_edges(bridge, graph, dictionaries=chosen, n=check).to_dict()
    # Printed first: a disk that fills up now does not take the report with it.
    print_json(report) if json else _print_graph(report)
    _keep(bridge, graph, export, save, names)


def _would_be_refused(
    bridge: "TransformerBridge",
    chosen: "list[AnyDictionary]",
    options: "TraceConfig",
    roots: "list[int | Difference | None]",
) -> None:
    """What the trace itself would refuse, before anything runs."""
    from circuits.attribution.choosing import choose_basis
    from circuits.replacement.placement import place_dictionaries
    from probe.text.targets import asked as asked_for

    choose_basis(bridge.cfg.n_layers, place_dictionaries(bridge, chosen), options.basis, options.heads)
    for root in roots:
        asked_for(bridge, root)


def _one_target(targets: list[str], minus: str | None) -> None:
    if minus is not None and len(targets) != 1:
        raise BadInput(f"--minus goes with one --target; {len(targets)} were given.")


def _roots(bridge: "TransformerBridge", targets: list[str], minus: str | None) -> "list[int | Difference | None]":
    """What is to be explained: tokens, or the difference of two."""
    return [target_of(bridge, targets[0], minus)] if minus else [token_of(bridge, t) for t in targets]


def _sizes(max_nodes: int, check: int, memory: float) -> None:
    if max_nodes < 1:
        raise BadInput(f"--max-nodes is {max_nodes}; it must be at least 1.")
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


def _announce(plan: "TracePlan", json: bool) -> None:
    if json:
        print_json(plan.to_dict())
        return
    from probe.busy import on_this_machine

    typer.echo(
        f"{counted(plan.n_tokens, 'token')}, {counted(plan.n_units, 'unit')}, "
        f"{plan.n_targets} x {plan.n_columns} edges, {size(plan.bytes)} of memory, "
        f"about {estimate(plan.seconds)} {on_this_machine()}"
    )


def _keep(
    bridge: "TransformerBridge", graph: "CircuitGraph", export: Path | None, save: str | None, parents: list[str]
) -> None:
    from circuits.exchange.write import write_neuronpedia
    from circuits.graph.store import save_graph
    from probe.artifacts.folder import place
    from probe.model.load import stamp

    if export:
        write_neuronpedia(graph, export, slug=export.stem)
        typer.echo(f"wrote {export}", err=True)
    if save:
        typer.echo(
            f"wrote {save_graph(graph, place('graph', save), model=stamp(bridge), parents=tuple(parents))}", err=True
        )


def _print_graph(report: Json) -> None:
    print_rows(report["top_nodes"], f"Most influential nodes for {quoted(report['prompt'])}")
    kinds = ", ".join(f"{n} {kind}" for kind, n in report["nodes_by_kind"].items())
    typer.echo(f"\n{report['n_nodes']} nodes ({kinds}), {report['n_edges']} edges, {estimate(report['seconds'])}")
    typer.echo(f"edges sum to every node's value within {report['conservation_residual']:.1e} of the size of the sum")
    if "intervention_check" in report:
        found = report["intervention_check"]
        typer.echo(
            f"{counted(len(found['sources']), 'source')} changed in the model: "
            f"{counted(found['n_targets'], 'target')} moved by their edges "
            f"within {found['worst']:.1e}"
        )
    typer.echo(f"replacement score {report['replacement_score']:.3f}, completeness {report['completeness_score']:.3f}")


COMMANDS = (trace,)
