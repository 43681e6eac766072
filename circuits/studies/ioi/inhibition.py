"""S-inhibition heads: they tell the name movers, through their queries, whom not to look at.

By where they look, by what is lost when only their edges into the movers' queries carry the corrupted prompt, and by where the
movers look without them. What they tell is found out by giving them the outputs of other prompts (`prompts`): of one in which the
first two names have changed places, and of one in which the two people have changed names. Told by place the first turns the
answer round and the second does not; told by name it is the other way about. A share of 1 is the answer wholly turned round.
"""

from collections.abc import Callable, Sequence

import numpy as np

from circuits.patching.paths.path_patching import path_patching
from circuits.studies.claim import Measured
from circuits.studies.component_circuits.cuts import between
from circuits.studies.component_circuits.halves import measured_on
from circuits.studies.component_circuits.head_sets import Head, named, over, reading, sets_run, writing
from circuits.studies.component_circuits.shares import Each, measured_share, share
from circuits.studies.component_circuits.swaps import Swaps
from circuits.studies.ioi.heads_by_role import Roles
from circuits.studies.ioi.prompts import Ids, exchanged, turned
from circuits.studies.study import Bench, Found, Scale, Table


def inhibition(bench: Bench) -> Found:
    """What inhibition heads look at, and what becomes of movers and answer without them."""
    roles = Roles.of(bench)
    half, chosen = roles.tested, roles.inhibition
    looks = half.looks.to_s2
    measured = {
        "inhibition-looks": measured_on(half.pairs, over(looks, chosen), roles.means(looks, chosen), bench.scale.seed),
        "inhibition-queries": beside(roles, chosen, lambda some: _cut_queries(roles, some), roles.cuts.way),
        "inhibition-attention": _turned_away(roles, chosen),
        "inhibition-place": _told(roles, turned(half.pairs, half.at)),
        "inhibition-name": _told(roles, exchanged(half.pairs)),
    }
    paths = dict(zip(*_paths(roles), strict=True))
    rows = [
        {
            "head": named([one]),
            "looks at s2": float(over(looks, [one]).mean()),
            "looks at io": float(over(half.looks.to_io, [one]).mean()),
            "lost through the movers' queries, MLPs too": paths[named([one])],
            "directly": share(_cut_queries(roles, [one]), roles.cuts.way),
        }
        for one in chosen
    ]
    bench.step(len(rows))
    return Found(measured=measured, tables=[Table("Inhibition heads", rows)])


def _paths(roles: Roles) -> tuple[list[str], list[float]]:
    """Of each inhibition head, the share of the way that is lost through the movers' queries when MLPs between run on,
    other heads held, as the paper patches paths."""
    queries = [f"{named([one])}.q" for one in roles.movers]
    senders, way = [named([one]) for one in roles.inhibition], roles.cuts.way
    found = path_patching(roles.bench.model, roles.tested.pairs, senders=senders, receivers=queries)
    roles.bench.step(len(senders))
    return found.senders, [share(-found.effects[:, i], way) for i in range(len(senders))]


def beside(roles: Roles, chosen: list[Head], lost: Callable[[list[Head]], Each], whole: Each) -> Measured:
    """What a set of heads takes from each pair, as a share of the whole, beside sets of others; each takes a run."""
    draws = []
    for some in roles.random(chosen, sets_run(roles.bench.scale)):
        draws.append(share(lost(some), whole))
        roles.bench.step(1)
    return measured_share(lost(chosen), whole, draws, roles.bench.scale.seed)


def _cut_queries(roles: Roles, some: Sequence[Head]) -> Each:
    queries = reading(roles.layout, roles.movers, "q")
    return roles.cuts.lost(between(roles.layout, writing(roles.layout, some), queries))


def _turned_away(roles: Roles, chosen: list[Head]) -> Measured:
    """By how much the movers look less at the indirect object rather than the subject, in attention."""
    half = roles.tested
    clean = over(half.looks.to_io - half.looks.to_s, roles.movers)

    def less(some: list[Head]) -> Each:
        rather = np.zeros(len(half.pairs))
        for rows, pattern in zip(roles.swaps.groups, roles.swaps.patterns(some, roles.movers), strict=True):
            at, each = half.at.some(rows), np.arange(len(rows))
            rather[rows] = pattern[each, at.io] - pattern[each, at.s1] - pattern[each, at.s2]
        return clean - rather

    return beside(roles, chosen, less, np.ones(len(half.pairs)))


def _told(roles: Roles, donors: Ids) -> Measured:
    """Share of the way to the other answer when these heads give what they give in other prompts."""
    half = roles.tested
    swaps = Swaps(roles.bench.model, half.pairs, donors)
    return beside(roles, roles.inhibition, lambda some: half.lead - swaps.metric(some), 2 * half.lead)


def runs_of(scale: Scale) -> float:
    """About how many runs it takes."""
    return 4 * sets_run(scale) + 10
