"""`openwork graph export, import, supernodes, pin`: graphs to and from other programs' files, and what a person marks in one."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.circuits.graph import Edge, Graph, Node, Top, folder_of, opened, shares
from app.commands.options import AsJson, print_json, print_rows, reserve, visible
from probe.artifacts.names import usable_name
from probe.errors import BadInput
from probe.show.values import quoted
from probe.words import counted

if TYPE_CHECKING:
    from circuits.exchange.unit_files import UnitFiles
    from circuits.graph.graph import CircuitGraph
    from probe.features.table import FeatureTable

Tables = Annotated[
    list[str] | None,
    typer.Option("--features", help="Feature table of the graph's units, by name or folder; repeatable."),
]


def export(
    graph: Graph,
    to: Annotated[Path, typer.Option("--to", help="File to write, read by Neuronpedia and circuit-tracer.")],
    node_threshold: Node = 0.8,
    edge_threshold: Edge = 0.98,
    whole: Annotated[
        bool, typer.Option("--whole", help="Every node and edge: read again, it is the same graph.")
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help='A JSON file of texts by unit: {"L4F650": "years", "L5N120": "..."}.'),
    ] = None,
    features: Tables = None,
    units: Annotated[
        Path | None, typer.Option("--units", help="Folder for the unit files of --features, to be shown offline.")
    ] = None,
    url: Annotated[str, typer.Option("--features-url", help="Where the unit files will be served.")] = "",
    slug: Annotated[str | None, typer.Option("--slug", help="Name inside the file; by default the file's.")] = None,
    json: AsJson = False,
) -> None:
    """Write a graph as Neuronpedia and circuit-tracer read it, with labels and unit files if wanted."""
    from circuits.exchange.labels import read_labels
    from circuits.exchange.write import write_neuronpedia
    from probe.artifacts.folder import require_writable

    if bool(features) != (units is not None):
        raise BadInput("Unit files need both: --features TABLE says what units do, --units FOLDER where the files go.")
    shares(node_threshold, edge_threshold)
    found, texts, tables = opened(graph), read_labels(labels) if labels else None, _tables(features)
    require_writable(to)
    limits = (1.0, 1.0) if whole else (node_threshold, edge_threshold)
    options: dict[str, Any] = {"slug": slug or to.stem, "labels": texts, "features_url": url}
    write_neuronpedia(found, to, node_threshold=limits[0], edge_threshold=limits[1], **options)
    report: dict[str, Any] = {"file": str(to), "bytes": to.stat().st_size}
    told, made = {}, None
    if units is not None:
        made = _unit_files(found, units, tables, limits[0])
        told = {"unit files": made.written, "in": str(made.folder), "not in a table": len(made.unknown)}
    if json:
        print_json({**report, **({"units": made.to_dict()} if made else {})})
    else:
        print_rows([{**report, **told}], f"{quoted(found.prompt)}, written")


def _unit_files(found: "CircuitGraph", folder: Path, tables: "list[FeatureTable]", share: float) -> "UnitFiles":
    """Unit files for the nodes that were exported."""
    import numpy as np

    from circuits.exchange.unit_files import write_unit_files

    nodes = np.arange(len(found.nodes)) if share == 1 else np.flatnonzero(found.prune(share).nodes)
    return write_unit_files(found, folder, tables, nodes=nodes.tolist())


def _tables(names: list[str] | None) -> "list[FeatureTable]":
    """Feature tables by name or folder."""
    if not names:
        return []
    from probe.features import open_features

    return [open_features(name) for name in names]


def import_(
    file: Annotated[Path, typer.Argument(help="A graph file of circuit-tracer, Neuronpedia, attribute, or Openwork.")],
    save: Annotated[str | None, typer.Option("--save", help="Name to store it under; by default the file's.")] = None,
    max_mb: Annotated[float, typer.Option("--max-mb", min=0.001, help="Largest file that is read, in MB.")] = 256.0,
    json: AsJson = False,
) -> None:
    """Store a graph that another program wrote, for the dashboard and the other commands."""
    from circuits.exchange.read import Limits, read_neuronpedia
    from circuits.graph.store import save_graph

    name = save if save is not None else usable_name(file.name.removesuffix(".json"))
    to = reserve("graph", name)
    found = read_neuronpedia(file, limits=Limits(bytes=int(min(max_mb, 1e6) * 1e6)))
    save_graph(found, to)
    report = {**found.report(), "saved": str(to)}
    if json:
        print_json(report)
        return
    origin = report["imported"]
    rows = [{"what": k, "nodes": n} for k, n in report["nodes_by_kind"].items()]
    print_rows(rows, f"{quoted(found.prompt)}, made by {visible(origin['from'])}")
    left = {**origin["links_left_out"], **origin["choices_left_out"]}
    for reason, count in left.items():
        typer.echo(
            f"left out: {count} {visible(reason)}"
            if reason in origin["choices_left_out"]
            else f"left out: {counted(count, 'link')}, {reason}"
        )
    size = f"{counted(len(found.nodes), 'node')}, {counted(len(found.edges), 'edge')}"
    typer.echo(f"{size}; replacement {report['replacement_score']:.3f}")
    typer.echo(f"wrote {to}", err=True)


def supernodes(
    graph: Graph,
    suggest: Annotated[bool, typer.Option("--suggest", help="Suggest groups of units that play one part.")] = False,
    threshold: Annotated[float, typer.Option("--threshold", help="Mean likeness a suggested group needs.")] = 0.5,
    features: Tables = None,
    keep: Annotated[bool, typer.Option("--keep", help="Store the suggested groups with the graph.")] = False,
    put: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=L5N120@3,L6F2: make or replace a group; its nodes leave others."),
    ] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="Name of a group to remove; repeatable.")] = None,
    rename: Annotated[list[str] | None, typer.Option("--rename", help="old=new; repeatable.")] = None,
    json: AsJson = False,
) -> None:
    """Groups of units: those stored with a graph, changed by --set, --rename and --remove, or suggested."""
    if keep and not suggest:
        raise BadInput("--keep stores what --suggest suggests; add --suggest.")
    from circuits.exchange.unit_files import tops_of
    from circuits.graph.marks import edited_groups
    from circuits.supernodes.suggest import stored_supernodes, suggest_supernodes

    changed = keep if suggest else bool(put or remove or rename)
    if suggest:
        found = opened(graph)
        tops = tops_of(found, _tables(features)) if features else None
        record = suggest_supernodes(found, tops=tops, threshold=threshold)
        groups = record.store().supernodes
        if keep:
            _choose(graph, supernodes=groups)
    else:
        with _editing(graph) if changed else nullcontext():
            found = opened(graph)
            groups = edited_groups(found, put or [], remove or [], rename or [])
            if changed:
                _choose(graph, supernodes=groups)
        record = stored_supernodes(replace(found, supernodes=groups))
    if json:
        print_json({**record.to_dict(), "stored": changed})
        return
    print_rows(record.rows(), "Suggested groups" if suggest else "Groups" if groups else "There are no groups yet.")


def _editing(graph: str) -> AbstractContextManager[object]:
    """Nobody else edits this stored graph meanwhile; a file is only read."""
    if Path(graph).is_file():
        return nullcontext()
    from circuits.graph.store import editing

    return editing(folder_of(graph))


def _choose(graph: str, **changes: object) -> None:
    """Store groups or pinned nodes with a stored graph."""
    if Path(graph).is_file():
        raise BadInput(f"{graph} is a file; import it first, so that there is a stored graph to mark.")
    from circuits.graph.store import choose_nodes

    choose_nodes(folder_of(graph), **changes)


def pin(
    graph: Graph,
    nodes: Annotated[
        list[str] | None, typer.Argument(help="Nodes to pin: L5N120@3, L5N120, numbers, or top:20.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Unpin these instead.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Unpin all first.")] = False,
    top: Top = 20,
    json: AsJson = False,
) -> None:
    """Pin nodes of a stored graph, and say how much of the prediction the pinned units alone explain."""
    from circuits.graph.asked import nodes_named

    with _editing(graph) if nodes or clear else nullcontext():
        found = opened(graph)
        pinned = [] if clear else list(found.pinned)
        named = list(dict.fromkeys(nodes_named(found, nodes or [])))
        pinned = [i for i in pinned if i not in named] if remove else list(dict.fromkeys([*pinned, *named]))
        if pinned != found.pinned:
            _choose(graph, pinned=pinned)
    rows = [found.row(i) for i in pinned]
    scored = bool(found.nodes.where("neuron", "latent", "mlp", "head")[pinned].any()) if pinned else False
    report: dict[str, Any] = {"pinned": pinned, "nodes": rows}
    if scored:
        from circuits.supernodes.subgraph import subgraph_scores

        report["scores"] = subgraph_scores(found, pinned).score_rows()
    if json:
        print_json(report)
        return
    print_rows(rows[:top], f"{len(pinned)} pinned" if pinned else "Nothing is pinned.")
    if scored:
        typer.echo("")
        print_rows(report["scores"], "How much they explain, beside as many random units and all units")


COMMANDS = (export, import_, supernodes, pin)
