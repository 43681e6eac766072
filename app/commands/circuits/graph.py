"""`openwork graph ...`: read stored graphs. show, prune, diff and merge are here; `graph_files` holds what writes and imports.

A graph is named as it was stored, or given as its folder, or as a file that `openwork graph import` would read.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.options import AsJson, print_json, print_rows, reserve, visible
from probe.artifacts.json import Json, clean
from probe.artifacts.manifest import ModelStamp
from probe.errors import BadInput
from probe.show.values import quoted
from probe.words import counted

if TYPE_CHECKING:
    from numpy import ndarray

    from circuits.graph.graph import CircuitGraph
    from circuits.weights.connections import Connections

Graph = Annotated[str, typer.Argument(help="Name or folder of a stored graph, or a graph file of another program.")]
Save = Annotated[str | None, typer.Option("--save", help="Store the graph under this name.")]
SaveResult = Annotated[str | None, typer.Option("--save", help="Store the report, not a graph, under this name.")]
Top = Annotated[int, typer.Option("--top", min=1, help="Rows printed.")]


def folder_of(name: str) -> Path:
    """The folder of a stored graph, by name or path. BadInput where there is none."""
    from app.library.artifacts import registered

    path = Path(name)
    return path if (path / "manifest.json").is_file() else registered("graph", name)


def opened(name: str) -> "CircuitGraph":
    """A stored graph by name or folder, or what a foreign file holds."""
    if Path(name).is_file():
        from circuits.exchange.read import read_neuronpedia

        return read_neuronpedia(Path(name))
    from circuits.graph.store import load_graph

    return load_graph(folder_of(name))


def new_place(kind: str, name: str) -> Path:
    """Where a result of this name goes, for this command alone; BadInput where something is there or being written."""
    return reserve(kind, name)


def show(
    graph: Graph,
    top: Top = 20,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only nodes of this kind: neuron, latent, head, ...")
    ] = None,
    node: Annotated[
        str | None,
        typer.Option("--node", help="One node and its edges: L5N120@3, L5N120 for every position, or a number."),
    ] = None,
    json: AsJson = False,
) -> None:
    """What a graph holds: its scores and most influential nodes, or the edges of one node."""
    found = opened(graph)
    if node is not None:
        report = [edges_of(found, i, top) for i in found.find(node)]
        print_json(report) if json else _print_edges(report)
        return
    rows = _rows(found, kind, top)
    if json:
        print_json(
            {**found.report(), "supernodes": _named(found), "pinned": _names(found, found.pinned), "top_nodes": rows}
        )
        return
    print_rows(rows, f"Most influential nodes for {quoted(found.prompt)}" if rows else "There is no such node.")
    typer.echo("")
    for line in _lines(found):
        typer.echo(visible(line))


def _rows(found: "CircuitGraph", kind: str | None, top: int) -> list[Json]:
    from circuits.graph.graph import KINDS

    if kind is not None and kind not in KINDS:
        raise BadInput(f"There is no kind '{kind}'; kinds are {', '.join(KINDS)}.")
    order = (-found.influence).argsort(kind="stable")
    chosen = [int(i) for i in order if kind is None or KINDS[found.nodes.kind[i]] == kind][:top]
    labels = {"label": ""} if any(found.unit_tokens[i] for i in chosen) else {}
    return [{**found.row(i), **dict.fromkeys(labels, found.unit_tokens[i][:60])} for i in chosen]


def _chances(target: Json) -> str:
    """The probability of a token, or of the two of a difference."""
    known = [target.get(name) for name in ("probability", "other_probability")]
    shown = [f"{p:.3f}" for p in known if p is not None]
    return f" ({' and '.join(shown)})" if shown else ""


def _lines(found: "CircuitGraph") -> list[str]:
    """The graph in words."""
    report = found.report()
    kinds = ", ".join(f"{n} {kind}" for kind, n in report["nodes_by_kind"].items())
    targets = ", ".join(f"{t['token']!r}{_chances(t)}" for t in report["targets"][:10])
    residual = report["conservation_residual"]
    return [
        f"{found.model or 'a model without a name'}, {counted(len(found.tokens), 'token')}, explaining {targets}",
        f"{counted(len(found.nodes), 'node')} ({kinds}), {counted(len(found.edges), 'edge')}",
        f"edges sum to every node's value within {residual:.1e} of the size of the sum"
        if residual is not None
        else f"whether edges sum to values is {found.convention.get('conservation_residual', 'unknown')}",
        f"replacement score {report['replacement_score']:.3f}, completeness {report['completeness_score']:.3f}",
        *([f"pinned: {', '.join(_names(found, found.pinned))}"] if found.pinned else []),
        *(f"supernode {name!r}: {', '.join(members)}" for name, members in _named(found).items()),
    ]


def _names(found: "CircuitGraph", nodes: list[int]) -> list[str]:
    return [found.name(i) for i in nodes]


def _named(found: "CircuitGraph") -> dict[str, list[str]]:
    return {name: _names(found, members) for name, members in found.supernodes.items()}


def edges_of(found: "CircuitGraph", node: int, top: int) -> Json:
    """A node with its strongest edges; weaker ones as one number, so that what comes in still adds up."""
    into, out = found.incoming(node), found.outgoing(node)
    return {
        **found.row(node),
        "number": node,
        "label": found.unit_tokens[node],
        "value": float(found.nodes.value[node]),
        "constant": float(found.constant[node]) if found.explained[node] else None,
        "incoming": [
            {"from": found.name(int(i)), "weight": float(w)} for i, w in list(zip(into.source, into.weight))[:top]
        ],
        "weaker_incoming": float(into.weight[top:].sum()),
        "outgoing": [
            {"to": found.name(int(i)), "weight": float(w)} for i, w in list(zip(out.target, out.weight))[:top]
        ],
        "weaker_outgoing": float(out.weight[top:].sum()),
    }


def _print_edges(report: list[Json]) -> None:
    for one in report:
        shown = {k: one[k] for k in ("value", "constant", "activation", "influence") if one[k] is not None}
        numbers = ", ".join(f"{k} {'unknown' if v != v else f'{v:.4g}'}" for k, v in shown.items())
        typer.echo(visible(f"{one['node']} (node {one['number']}, {one['kind']}) {one['label'][:60]}: {numbers}"))
        for way, end in (("incoming", "from"), ("outgoing", "to")):
            rows = [*one[way], {end: "weaker edges", "weight": one[f"weaker_{way}"]}]
            print_rows(rows if one[way] else [], f"{way} edges" if one[way] else f"no {way} edges")
        typer.echo("")


Node = Annotated[float, typer.Option("--node-threshold", help="Share of the influence the kept nodes hold.")]
Edge = Annotated[
    float,
    typer.Option(
        "--edge-threshold",
        help="Share of the rest the kept edges hold; a stored graph keeps all edges. Below 0.98, more nodes can lose one.",
    ),
]


def shares(node_threshold: float, edge_threshold: float) -> None:
    """Refuse thresholds that are no shares."""
    for name, value in (("--node-threshold", node_threshold), ("--edge-threshold", edge_threshold)):
        if not 0 <= value <= 1:
            raise BadInput(f"{name} is {value}; give the share to keep, between 0 and 1.")


def prune(
    graph: Graph,
    node_threshold: Node = 0.8,
    edge_threshold: Edge = 0.98,
    top: Top = 20,
    save: Save = None,
    json: AsJson = False,
) -> None:
    """The fewest nodes and edges that hold a share of the influence. Stored, the units that went are summed into leaves."""
    shares(node_threshold, edge_threshold)
    to = new_place("graph", save) if save is not None else None
    found = opened(graph)
    kept = found.prune(node_threshold, edge_threshold)
    report = {**kept.to_dict(), "node_threshold": node_threshold, "edge_threshold": edge_threshold}
    if to is not None:
        settings = {"node_threshold": node_threshold}
        report["saved"] = str(_keep_part(found, kept.nodes, to, graph, settings))
        report["stored"] = opened(report["saved"]).report()
    if json:
        print_json(report)
        return
    print_rows(kept.rows(top), f"{report['n_nodes']} of {report['of_nodes']} nodes, most influential first")
    scores = ", ".join(f"{k} {v:.3f}" for k, v in report["scores"].items())
    typer.echo(f"\n{report['n_edges']} of {report['of_edges']} edges; {scores}")
    _wrote(report)


def _wrote(report: Json) -> None:
    if stored := report.get("stored"):
        typer.echo(
            f"stored: {stored['n_nodes']} nodes, {stored['n_edges']} edges (what went is summed into leaves, edges are not "
            f"pruned); replacement {stored['replacement_score']:.3f}, completeness {stored['completeness_score']:.3f}"
        )
    if "saved" in report:
        typer.echo(f"wrote {report['saved']}", err=True)


def _keep_part(found: "CircuitGraph", mask: "ndarray", to: Path, name: str, settings: dict[str, float]) -> Path:
    """Store the graph with every unit outside `mask` summed into a leaf of its layer and position, so that it still adds up."""
    from dataclasses import replace

    from circuits.graph.checks import conservation
    from circuits.graph.store import save_graph
    from circuits.supernodes.folding import fold

    part = fold(found, mask)
    absolute, relative = conservation(part)
    facts = {**part.facts, "pruned_from": name, **settings}
    groups = {name: members for name, members in part.supernodes.items() if members}
    part = replace(part, residual=absolute, residual_relative=relative, facts=facts, supernodes=groups)
    return save_graph(part, to, model=_stamp(name), parents=(Path(name).name,))


def _stamp(name: str) -> ModelStamp | None:
    """The model of a stored graph; None for a file."""
    from probe.artifacts.manifest import read_manifest

    return None if Path(name).is_file() else read_manifest(folder_of(name), "graph").model


def diff(
    a: Graph,
    b: Graph,
    match: Annotated[
        str, typer.Option("--match", help="How positions correspond: auto, position, end or none (added up).")
    ] = "auto",
    top: Top = 20,
    save: SaveResult = None,
    json: AsJson = False,
) -> None:
    """The difference of two graphs: of two prompts, two checkpoints, or two dictionaries."""
    _one_of("--match", match, ("auto", "position", "end", "none"))
    to = new_place("result", save) if save is not None else None
    from circuits.comparison.difference import difference

    found = difference(opened(a), opened(b), match=match)  # pyright: ignore
    _print_record(found, (a, b), to, top, json, f"Nodes of a ({a}) and b ({b}) whose influence differs most")


def merge(
    graphs: Annotated[list[str], typer.Argument(help="Names, folders or files of graphs of one model.")],
    align: Annotated[
        str, typer.Option("--align", help="none: units wherever they are active; end or position: at one place.")
    ] = "none",
    roots: Annotated[
        str, typer.Option("--roots", help="token: a logit is its token; rank: the first, second, ... of its prompt.")
    ] = "token",
    max_edges: Annotated[int, typer.Option("--max-edges", min=1, help="Edges kept, the strongest on average.")] = 5000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap.")] = 0,
    top: Top = 20,
    save: SaveResult = None,
    json: AsJson = False,
) -> None:
    """Several prompts' graphs as one: which units come back, how strong, with intervals over prompts."""
    _one_of("--align", align, ("none", "end", "position"))
    _one_of("--roots", roots, ("token", "rank"))
    to = new_place("result", save) if save is not None else None
    from circuits.comparison.merge import merge_graphs

    options: dict[str, Any] = {"align": align, "roots": roots, "max_edges": max_edges, "seed": seed}
    found = merge_graphs([opened(name) for name in graphs], **options)
    _print_record(found, graphs, to, top, json, f"Nodes of {len(graphs)} graphs, strongest on average first")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadInput(f"{name} is '{value}'; it can be {', '.join(allowed)}.")


def _print_record(
    found: "Connections", names: Sequence[str], to: Path | None, top: int, json: bool, title: str
) -> None:
    """Print a record that tells nodes and edges, and store it as a result."""
    report = clean(found.to_dict())
    if to is not None:
        report["saved"] = str(_keep_report(clean(found.to_dict()), to, tuple(Path(n).name for n in names)))
    if json:
        print_json(report)
        return
    print_rows(found.rows(top), title)
    typer.echo("")
    print_rows(found.edge_rows(top), "Edges")
    for note in getattr(found, "notes", []):
        typer.echo(visible(note))
    _wrote(report)


def _keep_report(report: Json, to: Path, parents: tuple[str, ...]) -> Path:
    from probe.artifacts.json import write_json
    from probe.artifacts.manifest import Manifest, writing

    short = {k: v for k, v in report.items() if not isinstance(v, list) or len(v) < 20}
    with writing(to, Manifest("result", to.name, parents=parents, facts=short)) as scratch:
        write_json(scratch / "report.json", report)
    return to


COMMANDS = (show, prune, diff, merge)
