"""Read attribution graphs that others wrote: circuit-tracer 0.4 and 0.5, Neuronpedia, EleutherAI's attribute, and our own.

A file is hostile until read: too large, too deep, ids repeated, links to nowhere or in circles, numbers that are none, texts that
would be markup. All of it ends in a sentence (BadInput), or is kept as the data it is. What their format does not hold, the
constants and values, is NaN, so the graph says that its conservation is unknown. Our own files hold it, and an unpruned one is
read as the same graph; what it claims of its residual is checked against its numbers.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from circuits.exchange.neuronpedia_links import Ids, Links, read_links, resolve
from circuits.exchange.neuronpedia_nodes import Found, number, read_node, text, whole
from circuits.exchange.neuronpedia_order import topological
from circuits.graph.checks import MAX_LAYERS, check_graph, conservation
from circuits.graph.graph import KINDS, ROOTS, CircuitGraph, Edges, Nodes
from probe.artifacts.names import as_path
from probe.artifacts.untrusted import read_json
from probe.errors import BadInput, Unavailable

_BRACKETS = 6_000_000  # lists and mappings: a link or a node is one or two
_UNKNOWN = "unknown: the file holds no constants and values"
_PRUNED = "unknown: the file holds a pruned graph"


@dataclass(frozen=True)
class Limits:
    """The largest file that is read; what is over a limit is refused, naming it."""

    bytes: int = 256 << 20
    nodes: int = 100_000
    links: int = 5_000_000
    tokens: int = 20_000


def read_neuronpedia(source: Path | str | Mapping[str, Any], *, limits: Limits | None = None) -> CircuitGraph:
    """The graph of a Neuronpedia or circuit-tracer JSON file (or of its content). Raises BadInput, never anything else.

    >>> ow.read_neuronpedia(ow.to_neuronpedia(graph)).prompt
    'When Mary went'
    """
    limits = limits or Limits()
    content = source if isinstance(source, Mapping) else load_json(as_path(source), limits.bytes)
    name = "The graph" if isinstance(source, Mapping) else Path(source).name
    if not isinstance(content, Mapping):
        raise BadInput(f"{name} holds a {type(content).__name__}; a mapping with metadata, nodes and links was wanted.")
    meta = content.get("metadata")
    if meta is None and "report" in content:
        raise BadInput(
            f"{name} is Openwork's report of a graph, which leaves edges out. Import its Neuronpedia JSON instead; the button "
            "beside the one this came from writes that."
        )
    if not isinstance(meta, Mapping):
        raise BadInput(f"{name} has no metadata; it is no attribution graph in Neuronpedia's format.")
    tokens = [text(t, "A prompt token") for t in _several(meta, "prompt_tokens", limits.tokens)]
    raw, links = _several(content, "nodes", limits.nodes), _several(content, "links", limits.links)
    ids = resolve([read_node(node, i, len(tokens)) for i, node in enumerate(raw)])
    if not any(n.kind in ROOTS for n in ids.nodes):
        raise BadInput(f"{name} has no logit among its {len(raw)} nodes, so it explains nothing.")
    own = _ours(meta)
    read = read_links(links, ids, "float64" if own.get("weights") == "float64" else "float32")
    graph = _build(meta, own, tokens, ids, read)
    order = topological(read.source, read.target, ids.nodes)
    return _with_choices(_with_residual(_sorted(graph, order), own), content.get("qParams"), ids, order)


def load_json(path: Path, most: int) -> Any:
    """The content of a JSON file of at most `most` bytes. BadInput for anything else: it is what was asked for, and no damage of
    ours."""
    if path.is_file() and not path.stat().st_size:
        raise BadInput(f"{path.name} is empty. Choose a graph of Neuronpedia, circuit-tracer, attribute or Openwork.")
    try:
        return read_json(path, most, brackets=_BRACKETS)
    except Unavailable as error:
        large = path.is_file() and path.stat().st_size > most
        raise BadInput(f"{error}{' Prune the graph before exporting it.' if large else ''}") from error


def _several(value: Mapping[str, Any], name: str, most: int) -> list[Any]:
    found = value.get(name)
    if not isinstance(found, list):
        raise BadInput(f"{name} is missing or no list; a graph has one.")
    if len(found) > most:
        raise BadInput(
            f"The file has {len(found):,} {name}; up to {most:,} are read. Prune the graph before exporting it."
        )
    return found


def _ours(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """Our own fields, or nothing."""
    from circuits.exchange.write_neuronpedia import FORMAT

    own = meta.get("openwork")
    if not isinstance(own, Mapping):
        return {}
    if whole(own.get("format"), "The format of the file", 1, 2**31) > FORMAT:
        raise BadInput(f"The file has format {own['format']}; this Openwork reads up to {FORMAT}. Upgrade Openwork.")
    return own


def _build(meta: Mapping[str, Any], own: Mapping[str, Any], tokens: list[str], ids: Ids, read: Links) -> CircuitGraph:
    """The graph in the file's order of nodes."""
    found, n_layers = ids.nodes, _n_layers(own, ids.nodes)
    roots = [n.kind in ROOTS for n in found]
    nodes = Nodes(
        np.array([KINDS.index(n.kind) for n in found], np.int64),
        np.array([n_layers if r else n.layer for n, r in zip(found, roots, strict=True)], np.int64),
        np.array([n.pos for n in found], np.int64),
        np.array([n.unit for n in found], np.int64),
        np.array([n.value for n in found]),
        np.array([n.activation for n in found]),
    )
    token_ids = _token_ids(own, found, len(tokens))
    return CircuitGraph(
        prompt=text(meta.get("prompt"), "The prompt", 1_000_000),
        token_ids=token_ids,
        tokens=tokens,
        nodes=nodes,
        edges=Edges(read.source, read.target, read.weight),
        constant=np.array([n.constant for n in found]),
        probability=_probabilities(found),
        unit_tokens=[tokens[n.pos] if n.kind == "token" and not n.text else n.text for n in found],
        residual=math.nan,
        residual_relative=math.nan,
        n_layers=n_layers,
        model=text(own.get("model", meta.get("scan")) or "", "The model's name", 200),
        dictionaries={k[:200]: text(v, "A dictionary's name", 200) for k, v in _mapping(own, "dictionaries").items()},
        convention=_convention(meta, own),
        facts=_facts(meta, own, read),
    )


def _n_layers(own: Mapping[str, Any], found: list[Found]) -> int:
    """As our own files say; else as the units and the logits' layer have it (circuit-tracer counts the logits' as L + 1)."""
    top = max((n.layer for n in found if n.kind not in ROOTS), default=-1) + 1
    if "n_layers" in own:
        return whole(own["n_layers"], "n_layers", min(top, MAX_LAYERS), MAX_LAYERS)
    return max(top, *(n.layer - 1 for n in found if n.kind in ROOTS), 1)


def _token_ids(own: Mapping[str, Any], found: list[Found], n: int) -> list[int]:
    given = own.get("token_ids")
    if isinstance(given, list) and len(given) == n:
        return [whole(i, "A token id", -1, 2**31 - 1) for i in given]
    ids = dict.fromkeys(range(n), -1) | {node.pos: node.unit for node in found if node.kind == "token"}
    return [ids[i] for i in range(n)]


def _probabilities(found: list[Found]) -> np.ndarray:
    """Of every root; where the file has none at all, equal shares, so that influence means something."""
    roots = [i for i, n in enumerate(found) if n.kind in ROOTS]
    probability = np.zeros(len(found))
    probability[roots] = [n.probability for n in (found[i] for i in roots)]
    unknown = np.isnan(probability)
    probability[unknown] = 0.0
    if not probability.any():
        probability[roots] = 1 / len(roots)
    return probability


def _mapping(own: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = own.get(name, {})
    if not isinstance(found, Mapping):
        raise BadInput(f"{name} is a {type(found).__name__}; a mapping was wanted.")
    return {str(k): v for k, v in found.items()}


def _convention(meta: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """How our own file's numbers were made; of others, what they say of themselves in single values."""
    from probe.artifacts.json import plain

    if own:
        return plain(_mapping(own, "convention"))
    settings = meta.get("generation_settings")
    said = plain(settings, 1) if isinstance(settings, Mapping) else {}
    kept = {k[:60]: v for k, v in said.items() if isinstance(v, int | float | str)}
    return {f"its {k}": text(str(v), k, 200) for k, v in list(kept.items())[:40]}


def _facts(meta: Mapping[str, Any], own: Mapping[str, Any], read: Links) -> dict[str, Any]:
    """Facts of our own file, and `imported`: where it comes from and what was left out."""
    from probe.artifacts.json import plain

    info = meta.get("info")
    maker = info.get("generator") if isinstance(info, Mapping) else None
    maker = maker if isinstance(maker, Mapping) else {}
    said = " ".join(str(maker.get(k, ""))[:60] for k in ("name", "version")).strip()
    imported = {
        "from": text(said or "a program that does not say its name", "The generator"),
        "slug": text(str(meta.get("slug", "")), "The slug", 200),
        "links_left_out": read.dropped,
    }
    return {**plain(_mapping(own, "facts")), "imported": imported}


def _sorted(graph: CircuitGraph, order: np.ndarray) -> CircuitGraph:
    """The graph with its nodes in another order, checked."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    nodes = Nodes(*(getattr(graph.nodes, name)[order] for name in graph.nodes.__dataclass_fields__))
    e = graph.edges
    graph = replace(
        graph,
        nodes=nodes,
        edges=Edges(place[e.source], place[e.target], e.weight),
        constant=graph.constant[order],
        probability=graph.probability[order],
        unit_tokens=[graph.unit_tokens[i] for i in order],
    )
    return check_graph(graph, "The file does not hold a graph")


def _with_residual(graph: CircuitGraph, own: Mapping[str, Any]) -> CircuitGraph:
    """The residual the file claims where its numbers bear it out, else the measured one; NaN of a pruned graph."""
    if own.get("whole") is not True:
        convention = {**graph.convention, "conservation_residual": _PRUNED if own else _UNKNOWN}
        return replace(graph, convention=convention)
    absolute, relative = conservation(graph)
    said = [number(own.get(name), name) for name in ("residual", "residual_relative")]
    borne_out = absolute <= 2 * said[0] + 1e-12 and relative <= 2 * said[1] + 1e-12
    absolute, relative = said if borne_out else (absolute, relative)
    return replace(graph, residual=absolute, residual_relative=relative)


def _with_choices(graph: CircuitGraph, q_params: Any, ids: Ids, order: np.ndarray) -> CircuitGraph:
    """Pinned nodes and supernodes of the file; those of nodes it does not hold are left out and counted."""
    place = {ids.nodes[i].id: at for at, i in enumerate(order.tolist())}
    place |= {shared: place[ids.nodes[unit].id] for shared, (unit, _) in ids.twins.items()}
    q = q_params if isinstance(q_params, Mapping) else {}
    lost: Counter[str] = Counter()

    def known(members: Any, what: str) -> list[int]:
        members = members if isinstance(members, list) else []
        there = [place[m] for m in members if isinstance(m, str) and m in place]
        lost[what] += len(members) - len(there)
        return list(dict.fromkeys(there))

    pinned = q.get("pinnedIds")
    pinned = pinned.split(",") if isinstance(pinned, str) and pinned else pinned
    groups: dict[str, list[int]] = {}
    for group in q["supernodes"] if isinstance(q.get("supernodes"), list) else []:
        if isinstance(group, list) and len(group) > 1 and isinstance(group[0], str):
            title, members = text(group[0], "A supernode's name"), known(group[1:], "members of supernodes")
            if members:
                groups[_unused(title, groups)] = members
        else:
            lost["supernodes"] += 1
    graph = replace(graph, pinned=known(pinned, "pinned nodes"), supernodes=groups)
    graph.facts["imported"]["choices_left_out"] = {k: n for k, n in lost.items() if n}
    return graph


def _unused(title: str, taken: Mapping[str, Any]) -> str:
    count, found = 2, title
    while found in taken:
        found, count = f"{title} ({count})", count + 1
    return found
