"""`openwork graph heads` and `openwork graph qk`: what passes inside attention, for a stored graph."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.circuits.graph import Graph, Top, opened
from app.commands.options import AsJson, Device, Precision, load, print_json, print_rows, progress, visible
from probe.errors import BadInput
from probe.model.unit_names import UnitName
from probe.model.unit_names import head_of as named_head
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.attention.loadings import HeadLoadings
    from circuits.graph.graph import CircuitGraph
    from probe.dictionaries.store import AnyDictionary

Model = Annotated[str | None, typer.Option("--model", help="By default the one the graph was traced in.")]
Dictionary = Annotated[
    list[str] | None,
    typer.Option("--dictionary", help="Stored dictionary of the graph; repeatable. By default those the graph names."),
]


def heads(
    graph: Graph,
    target: Annotated[
        str, typer.Option("--target", help="Node the edge goes into: L5N120@3, logit ' Paris', a number.")
    ],
    source: Annotated[
        str | None, typer.Option("--source", help="Node it comes from; by default the strongest few sources.")
    ] = None,
    edges: Annotated[int, typer.Option("--edges", min=1, help="Strongest edges taken where there is no --source.")] = 5,
    top: Top = 20,
    model: Model = None,
    dictionary: Dictionary = None,
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """Which attention heads carry an edge: at every layer, heads and bypass sum to it exactly."""
    found = opened(graph)
    into = _one(found, target, "--target")
    if source is None:
        chosen = [(int(s), into) for s in found.incoming(into).source[:edges]]
        if not chosen:
            raise BadInput(f"{found.name(into)} has no incoming edges in this graph; choose another --target.")
    else:
        chosen = [(_one(found, source, "--source"), into)]
    from circuits.attention.loadings import head_loadings

    bridge, stored = _model(found, model, dictionary, device, precision)
    split = head_loadings(bridge, found, chosen, dictionaries=stored, progress=progress())
    if json:
        print_json(split.to_dict())
        return
    print_rows(split.rows(top), f"Heads that carry {len(split)} edge(s) into {found.name(into)}")
    for line in _layers(split):
        typer.echo(visible(line))


def _layers(split: "HeadLoadings") -> list[str]:
    """What passes each edge's layers, in words."""
    lines = [""]
    for e in range(len(split)):
        between = split.between[e]
        through = split.heads[e].sum(-1)
        most = int(abs(through).argmax())
        lines.append(
            f"{' → '.join(split.names[e])}: edge {split.weight[e]:.4g}, {int(between.sum())} layers of attention between; "
            f"most through layer {most}: {through[most]:.4g} by its heads, {split.bypass[e, most]:.4g} past them"
        )
    return [*lines, f"heads and bypass sum to the edge at every layer within {split.gap:.1e}"]


def qk(
    graph: Graph,
    head: Annotated[str, typer.Option("--head", help="The head, like L5H3.")],
    query: Annotated[int, typer.Option("--query", help="Position that looks; -1 is the last.")] = -1,
    key: Annotated[
        int | None, typer.Option("--key", help="Position looked at; by default where it looks most.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="Explain the score of --key minus that of this position, or of 'others'."),
    ] = None,
    units: Annotated[
        int, typer.Option("--units", min=0, help="Neurons to take out of the graph's rest nodes, the strongest here.")
    ] = 256,
    top: Top = 20,
    model: Model = None,
    dictionary: Dictionary = None,
    device: Device = None,
    precision: Precision = "float32",
    json: AsJson = False,
) -> None:
    """Why a head looks where it looks: its attention score, split exactly over pairs of sources."""
    found = opened(graph)
    layer, index = head_of(head)
    from circuits.attention.qk import qk_attribution

    bridge, stored = _model(found, model, dictionary, device, precision)
    split = qk_attribution(
        bridge,
        found,
        layer,
        index,
        query,
        key,
        against=_other(against),
        dictionaries=stored,
        units=units,
        k=max(top, 50),
    )
    if json:
        print_json(split.to_dict())
        return
    print_rows(split.rows(top), f"Pairs of sources that make the score of {split.title}")
    for side in ("query", "key"):
        print_rows(split.sources(side, min(top, 10)), f"\n{side} side, whatever it meets on the other")
    typer.echo(
        f"\nscore {split.score:.4g} ({split.convention['score']}), attention paid {split.probability:.4g}; "
        f"{counted(len(split.names), 'source')} sum to it within {split.gap:.1e}"
    )


def _other(against: str | None) -> int | str | None:
    """A position where it is a number."""
    return int(against) if against is not None and against.lstrip("-").isdecimal() else against


def head_of(text: str) -> tuple[int, int]:
    """Layer and head of `L5H3`; a shell's user may write 5.3 or l5h3 too."""
    found = UnitName.typed(text)
    return (found.layer, found.unit) if found is not None and found.kind == "head" else named_head(text)


def _one(found: "CircuitGraph", name: str, option: str) -> int:
    """The single node of this name."""
    nodes = found.find(name)
    if len(nodes) > 1:
        names = ", ".join(found.name(i) for i in nodes[:6])
        raise BadInput(f"{option} {name!r} is {len(nodes)} nodes ({names}); add the position, like {name}@3.")
    return nodes[0]


def _model(
    found: "CircuitGraph", model: str | None, dictionary: list[str] | None, device: str | None, precision: str
) -> "tuple[TransformerBridge, list[AnyDictionary]]":
    """The model of a graph and its dictionaries."""
    from app.commands.asking import stored_dictionaries

    if not (model or found.model):
        raise BadInput("The graph does not say which model it was traced in; give --model.")
    names = dictionary if dictionary is not None else list(dict.fromkeys(found.dictionaries.values()))
    lost = [n for n in names if n.startswith("unstored")]
    if lost:
        raise BadInput(
            f"The graph was traced with a dictionary that was never stored ({lost[0]}); store it, then give --dictionary."
        )
    bridge = load(model or found.model, device, precision)
    return bridge, stored_dictionaries(bridge, names)


COMMANDS = (heads, qk)
