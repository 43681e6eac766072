"""`openwork graph show, prune`: what a stored graph holds, and the part of it that holds most of the influence.

A graph is named as it was stored, or given as its folder, or as a file that `openwork graph import` would read.
"""

from os.path import isfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.options import AsJson, print_json, reserve
from probe.artifacts.manifest import ModelStamp, has_manifest
from probe.errors import BadInput
from probe.show.panels import Rows, Sentence
from probe.show.terminal import show_panels
from probe.show.values import quoted

if TYPE_CHECKING:
    from circuits.graph.graph import CircuitGraph

Graph = Annotated[str, typer.Argument(help="Name or folder of a stored graph, or a graph file of another program.")]
Top = Annotated[int, typer.Option("--top", min=1, help="Rows printed.")]


def folder_of(name: str) -> Path:
    """The folder of a stored graph, by name or path. BadInput where there is none."""
    from app.library.artifacts import registered

    path = Path(name)
    return path if has_manifest(path) else registered("graph", name)


def opened(name: str) -> "CircuitGraph":
    """A stored graph by name or folder, or what a foreign file holds."""
    if isfile(name):
        from circuits.exchange.read import read_neuronpedia

        return read_neuronpedia(Path(name))
    from circuits.graph.store import load_graph

    return load_graph(folder_of(name))


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
    from circuits.graph.told import marked, told

    found = opened(graph)
    if node is not None:
        from circuits.graph.around import node_edges

        around = node_edges(found, node, k=top)
        print_json(around.to_dict()["nodes"]) if json else show_panels(around.panels())
        return
    rows = _labelled(found, found.rows(top, kind=kind or ()))
    if json:
        print_json({**found.report(), **marked(found), "top_nodes": rows})
        return
    title = f"Most influential nodes for {quoted(found.prompt)}" if rows else "There is no such node."
    show_panels([Rows(title, rows) if rows else Sentence(title), *map(Sentence, told(found))])


def _labelled(found: "CircuitGraph", rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of nodes with the texts of units, where any of them has one."""
    texts = [found.unit_tokens[found.find(row["node"])[0]][:60] for row in rows]
    return [{**row, "label": text} for row, text in zip(rows, texts, strict=True)] if any(texts) else rows


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
    save: Annotated[str | None, typer.Option("--save", help="Store the graph under this name.")] = None,
    json: AsJson = False,
) -> None:
    """The fewest nodes and edges that hold a share of the influence. Stored, the units that went are summed into leaves."""
    shares(node_threshold, edge_threshold)
    to = reserve("graph", save) if save is not None else None
    found = opened(graph)
    kept = found.prune(node_threshold, edge_threshold)
    report = {**kept.to_dict(), "node_threshold": node_threshold, "edge_threshold": edge_threshold}
    stored = []
    if to is not None:
        from circuits.graph.store import save_graph
        from circuits.graph.told import told
        from circuits.supernodes.folding import part_of

        part = part_of(found, kept.nodes, pruned_from=graph, node_threshold=node_threshold)
        report["saved"] = str(save_graph(part, to, model=_stamp(graph), parents=(Path(graph).name,)))
        report["stored"] = part.report()
        stored = [Sentence(f"stored, what went summed into leaves and edges not pruned: {told(part)[1]}")]
    if json:
        print_json(report)
        return
    nodes = f"{report['n_nodes']} of {report['of_nodes']} nodes, most influential first"
    scores = ", ".join(f"{k} {v:.3f}" for k, v in report["scores"].items())
    said = Sentence(f"{report['n_edges']} of {report['of_edges']} edges; {scores}")
    show_panels([Rows(nodes, kept.rows(top)), said, *stored])
    if to is not None:
        typer.echo(f"wrote {to}", err=True)


def _stamp(name: str) -> ModelStamp | None:
    """The model of a stored graph; None for a file."""
    from probe.artifacts.manifest import read_manifest

    return None if Path(name).is_file() else read_manifest(folder_of(name), "graph").model


COMMANDS = (show, prune)
