"""`openwork graph supernodes, pin`: what a person marks in a graph."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.circuits.graph import Graph, Top, folder_of, opened
from app.commands.options import AsJson, print_json, print_rows
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.features.table import FeatureTable

Tables = Annotated[
    list[str] | None,
    typer.Option("--features", help="Feature table of the graph's units, by name or folder; repeatable."),
]


def _tables(names: list[str] | None) -> "list[FeatureTable]":
    """Feature tables by name or folder."""
    if not names:
        return []
    from probe.features import open_features

    return [open_features(name) for name in names]


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


COMMANDS = (supernodes, pin)
