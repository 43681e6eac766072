"""The links of an exchanged file as edges: ends resolved, zeros and self-links dropped and counted.

circuit-tracer up to 0.5.0 calls the error of layer l at position p `0_{l}_{p}`, which is also the id of unit l of layer 0. The
two nodes differ in their type, so they are told apart; a link that leaves such an id is told apart by what the format implies:
errors are never targets; what writes in layer l is not read at or below it; of two links between the same ids the first is
the unit's, because sources of one target stand in the order of the nodes. Where none of this decides, the file is refused.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from circuits.exchange.neuronpedia_nodes import Found, number
from circuits.graph.graph import ROOTS, UNITS
from probe.errors import BadInput

_REPAIR = "Write the file again with a program that gives every node its own id."


@dataclass(frozen=True)
class Ids:
    """Nodes by id. twins: of an id that a unit and an error share, both."""

    nodes: list[Found]
    index: dict[str, int]
    twins: dict[str, tuple[int, int]] = field(default_factory=dict)


def resolve(nodes: list[Found]) -> Ids:
    """Unique ids. Errors that share a unit's id get their own; other repeated ids are BadInput."""
    index = {node.id: i for i, node in enumerate(nodes)}
    twins: dict[str, tuple[int, int]] = {}
    nodes, several = list(nodes), {}
    for i, node in enumerate(nodes):
        if index[node.id] != i or node.id in several:
            several.setdefault(node.id, []).append(i)
    for name, others in several.items():
        pair = sorted({*others, index[name]})
        errors = [i for i in pair if nodes[i].kind == "error"]
        if len(pair) != 2 or len(errors) != 1:
            raise BadInput(f"{len(pair)} nodes have the id {name[:60]!r}. {_REPAIR}")
        error, unit = errors[0], next(i for i in pair if i != errors[0])
        own = f"{nodes[error].layer}_-1_{nodes[error].pos}"
        if own in index:
            raise BadInput(f"The id {own!r} stands for two nodes. {_REPAIR}")
        nodes[error] = replace(nodes[error], id=own)
        index[own], index[name], twins[name] = error, unit, (unit, error)
    return Ids(nodes, index, twins)


@dataclass(frozen=True)
class Links:
    """Edges by node index, and how many links were left out, by reason."""

    source: Int[np.ndarray, " edge"]
    target: Int[np.ndarray, " edge"]
    weight: Float[np.ndarray, " edge"]
    dropped: dict[str, int]


def read_links(links: Sequence[Any], ids: Ids, dtype: str = "float32") -> Links:
    """Every link that carries something. BadInput for ends that are no node, weights that are no number, repeated links."""
    source, target, weight = _ends(links, ids)
    if ids.twins:
        source = _untwin(source, target, ids)
    big = float(np.finfo(dtype).max)
    if (np.abs(weight) > big).any():
        raise BadInput(f"A link's weight is above {big:.3g} and cannot be held. Check the program that wrote it.")
    weight = weight.astype(dtype)
    explained = np.array([n.kind in (*UNITS, *ROOTS) for n in ids.nodes], bool)
    roots = np.array([n.kind in ROOTS for n in ids.nodes], bool)
    empty, loops = weight == 0, source == target
    against = ~loops & (~explained[target] | roots[source])
    dropped = {
        "weight 0": int((empty & ~loops).sum()),
        "to itself": int(loops.sum()),
        "into a leaf or out of a logit": int((against & ~empty).sum()),
    }
    keep = ~(empty | loops | against)
    source, target, weight = source[keep], target[keep], weight[keep]
    _once(source, target, ids)
    return Links(source, target, weight, {k: n for k, n in dropped.items() if n})


def _ends(
    links: Sequence[Any], ids: Ids
) -> tuple[Int[np.ndarray, " link"], Int[np.ndarray, " link"], Float[np.ndarray, " link"]]:
    index = ids.index
    try:
        ends = [[index[link[end]] for link in links] for end in ("source", "target")]
        weights = [link["weight"] for link in links]
        if set(map(type, weights)) <= {float, int}:
            weight = np.array(weights, np.float64)
            if np.isfinite(weight).all():
                return np.array(ends[0], np.int64), np.array(ends[1], np.int64), weight
    except (KeyError, TypeError, IndexError, OverflowError, ValueError):
        pass
    raise BadInput(_first_wrong(links, ids))


def _first_wrong(links: Sequence[Any], ids: Ids) -> str:
    """What is wrong with the first link that cannot be read."""
    for i, link in enumerate(links):
        if not isinstance(link, Mapping):
            return f"Link {i} is a {type(link).__name__}; a mapping was wanted."
        for end in ("source", "target"):
            name = link.get(end)
            if not isinstance(name, str) or name not in ids.index:
                return f"The {end} of link {i} is {str(name)[:60]!r}, which is no node of the file."
        if link.get("weight") is None:
            return f"Link {i} has no weight."
        try:
            number(link["weight"], f"The weight of link {i}")
        except BadInput as error:
            return str(error)
    return "The links cannot be read."


def _once(source: Int[np.ndarray, " edge"], target: Int[np.ndarray, " edge"], ids: Ids) -> None:
    pair = source * len(ids.nodes) + target
    order = np.argsort(pair, kind="stable")
    again = np.flatnonzero(np.diff(pair[order]) == 0)
    if len(again):
        row = order[again[0]]
        names = (ids.nodes[source[row]].id[:60], ids.nodes[target[row]].id[:60])
        raise BadInput(f"{len(again)} links repeat another, the first from {names[0]!r} to {names[1]!r}. {_REPAIR}")


def _untwin(source: Int[np.ndarray, " link"], target: Int[np.ndarray, " link"], ids: Ids) -> Int[np.ndarray, " link"]:
    """Sources with every shared id decided: the unit's index or the error's. BadInput where some cannot be."""
    source, undecided = source.copy(), 0
    errors = dict(ids.twins.values())
    for to, group in groupby(range(len(target)), key=lambda i: int(target[i])):
        rows = list(group)
        given = [int(source[i]) for i in rows]
        if errors.keys().isdisjoint(given):
            continue
        reader, found = ids.nodes[to], _by_order(given, errors)
        for row, unit, meant in zip(rows, given, found, strict=True):
            read_first = unit in errors and reader.kind not in ROOTS and reader.layer <= ids.nodes[errors[unit]].layer
            undecided += meant is None and not read_first
            source[row] = unit if read_first or meant is None else meant
    if undecided:
        raise BadInput(
            f"{undecided} links leave an id that a unit and an error node share, and nothing says which is meant. {_REPAIR}"
        )
    return source


def _by_order(given: list[int], errors: Mapping[int, int]) -> list[int | None]:
    """The nodes meant by one target's sources, if they stand in the order of the nodes; None where that does not say.

    Before a shared id stands a node that comes after the unit: it is the error. Behind it one that comes before the
    error: it is the unit.
    """
    sure = [i for i in given if i not in errors]
    ordered, counts = sure == sorted(sure), Counter(given)
    after: list[int | None] = [None] * len(given)
    for place in range(len(given) - 2, -1, -1):
        after[place] = after[place + 1] if given[place + 1] in errors else given[place + 1]
    found: list[int | None] = []
    seen: set[int] = set()
    before = -1
    for unit, later in zip(given, after, strict=True):
        if unit not in errors:
            before = unit
            found.append(unit)
            continue
        error = errors[unit]
        if counts[unit] == 2:
            found.append(error if unit in seen else unit)
        elif ordered and unit < error:
            found.append(error if before > unit else unit if later is not None and later < error else None)
        else:
            found.append(None)
        seen.add(unit)
    return found
