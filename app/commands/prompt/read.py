"""`openwork lens`, `units`, `compare` and `trace`: what a model makes of one prompt, or of two."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.asking import Chat, Ids, Minus, Prompt, Target, prompt_of, require_target, target_of, token_of
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


def lens(
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = False,
    model: Model = "smollm2-135m",
    top_k: Annotated[int, typer.Option("--top-k", help="Predictions kept per layer and position.")] = 5,
    position: Annotated[
        int | None,
        typer.Option(
            "--position",
            help="Read at this token alone; -1 is the last. By default the table is of the last, and JSON of all.",
        ),
    ] = None,
    device: Device = None,
    precision: Precision = "float32",
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """What each layer would predict if the model stopped there (the logit lens)."""
    asked = prompt_of(prompt, ids, chat)
    from probe.lens.logit import logit_lens, plan_lens

    bridge = load(model, device, precision)
    at = -1 if position is None else position
    every = json and position is None
    if dry_run:
        from probe.text.prompts import read_prompt

        n = len(read_prompt(bridge, asked)[1])
        plan = plan_lens(bridge, n, n if every else 1)
        print_json(plan.to_dict()) if json else typer.echo(
            f"{counted(n, 'token')}, {plan.n_positions} read, {size(plan.bytes)} of memory beside the model, "
            f"about {estimate(plan.seconds)} on two CPU cores"
        )
        return
    found = logit_lens(bridge, asked, top_k=top_k, positions=None if every else [at], progress=progress())
    if json:
        print_json(found.to_dict())
        return
    print_rows(found.rows(at), f"Logit lens after {_end(found.tokens, at)!r}")


def _end(tokens: list[str], position: int, longest: int = 80) -> str:
    """The prompt up to a position; of a long one its end."""
    text = "".join(tokens[: position % len(tokens) + 1])
    return text if len(text) <= longest else f"…{text[-longest:]}"


def units(
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = False,
    model: Model = "smollm2-135m",
    dictionaries: Annotated[
        list[str] | None,
        typer.Option("--dictionary", help="Stored dictionary whose latents are read too; repeatable, or a,b,c."),
    ] = None,
    position: Annotated[
        int, typer.Option("--position", help="Which token to print the units of; -1 is the last.")
    ] = -1,
    top_k: Annotated[int, typer.Option("--top-k", min=1, help="Units of each kind at each position.")] = 10,
    target: Target = None,
    minus: Minus = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            help="Order: write (how much a unit writes) or direct (what of that adds to the target, if one is given).",
        ),
    ] = None,
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """The neurons, and latents of stored dictionaries, that write most to the residual stream at each token."""
    asked = prompt_of(prompt, ids, chat)
    require_target(target, minus)
    from probe.neurons.strongest import top_units

    bridge = load(model, device, precision)
    names = [n for given in dictionaries or [] for n in given.split(",") if n]
    learned, wanted = stored_dictionaries(bridge, names), target_of(bridge, target, minus)
    found = top_units(bridge, asked, learned, target=wanted, by=by, k=top_k)
    _within(position, found.tokens)
    if json:
        print_json(found.to_dict())
        return
    read = "".join(found.tokens[: position % len(found.tokens) + 1])
    print_rows(found.rows(position), f"Strongest units{found.about()} after {quoted(read)}")


def compare(
    prompt: Prompt = None,
    other: Annotated[str | None, typer.Option("--with", help="The prompt to set beside it.")] = None,
    ids: Ids = None,
    other_ids: Annotated[str | None, typer.Option("--with-ids", help="Token ids in place of --with.")] = None,
    chat: Chat = False,
    model: Model = "smollm2-135m",
    dictionaries: Annotated[
        list[str] | None, typer.Option("--dictionary", help="Stored dictionary whose latents are compared; repeatable.")
    ] = None,
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """Two prompts aligned token by token: where predictions part, and which heads and units differ most at the last pair."""
    asked = prompt_of(prompt, ids, chat), prompt_of(other, other_ids, chat, ("--with", "--with-ids"))
    from probe.comparison.prompts import compare_prompts

    bridge = load(model, device, precision)
    chosen = stored_dictionaries(bridge, [n for given in dictionaries or [] for n in given.split(",") if n])
    found = compare_prompts(bridge, *asked, chosen, progress=progress())
    if json:
        print_json(found.to_dict())
        return
    if not found.candidates:
        raise BadInput("No token of one prompt stands for a token of the other; there is nothing to compare.")
    print_rows(found.rows(-1), f"Next tokens after the last aligned tokens, KL {found.kl[-1, -1]:.4g} nats")
    print_rows(found.head_rows(len(found.candidates) - 1, 10), "Heads whose patterns differ most there")
    rows = [
        {"unit": u.name, "of": u.dictionary or u.kind, "a": u.a, "b": u.b, "moved": u.moved} for u in found.units[-1]
    ]
    print_rows(rows[:10], "Units whose writes differ most there")


def _within(position: int, tokens: list[str]) -> None:
    if not -len(tokens) <= position < len(tokens):
        raise BadInput(f"The prompt has tokens 0 to {len(tokens) - 1}; there is no position {position}.")


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


def stored_dictionaries(bridge: "TransformerBridge", names: list[str]) -> "list[AnyDictionary]":
    """Stored dictionaries by name or folder, checked against the model."""
    from app.library.artifacts import registered
    from probe.dictionaries import load_dictionary

    return [
        load_dictionary(Path(n) if (Path(n) / "manifest.json").is_file() else registered("dictionary", n), bridge)
        for n in names
    ]


def _announce(plan: "TracePlan", json: bool) -> None:
    if json:
        print_json(plan.to_dict())
        return
    from app.library.busy import on_this_machine

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


COMMANDS = (lens, units, compare, trace)
