"""Name movers: heads that look at the indirect object and write it. Negative ones, and what takes over when movers are gone.

The lead that movers lose by giving what they give in the corrupted prompt is known beforehand, from their writes; what the
model's lead falls short of losing, others make up for (backup name movers, and the final norm, which divides by less).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from circuits.studies.claim import Measured
from circuits.studies.component_circuits.halves import measured_on
from circuits.studies.component_circuits.head_sets import EachHead, Head, named, over, sets_run, summed
from circuits.studies.component_circuits.shares import measured_share, share
from circuits.studies.ioi.heads_by_role import Half, Roles
from circuits.studies.ioi.looks import Copies, copies_of, follows, lead_of
from circuits.studies.study import Bench, Found, Table
from probe.statistics import DRAWS, Interval


def done(bench: Bench) -> Found:
    """Whether the model names the indirect object, beside the same prompts with each other's names."""
    half, scale = Roles.of(bench).tested, bench.scale
    logits, rows = half.logits, torch.arange(len(half.pairs))
    io, s = (torch.tensor([ids[0] for ids in side]) for side in (half.pairs.right, half.pairs.wrong))

    def rightly(order: Any) -> Float[np.ndarray, " pair"]:
        return np.sign((logits[rows, io[order]] - logits[rows, s[order]]).double().numpy())

    draw = np.random.default_rng(scale.seed)
    draws = [rightly(torch.as_tensor(draw.permutation(len(rows)))).mean() for _ in range(scale.sets)]
    found = measured_on(half.pairs, rightly(rows), np.array(draws), scale.seed)
    lead = (logits[rows, io] - logits[rows, s]).double().numpy()
    table = [{"pairs": len(rows), "lead (logits)": float(lead.mean()), "io above s": float((lead > 0).mean())}]
    return Found(measured={"done": found}, tables=[Table("How well the model does IOI", table)])


def movers(bench: Bench) -> Found:
    """What heads write for names, by where they look."""
    roles = Roles.of(bench)
    half, up, down = roles.tested, roles.movers, roles.against
    asked = [*up, *down, *(one for some in roles.random(up) for one in some)]
    names = copies_of(bench.model, half.pairs, half.at, [layer for layer, _ in asked])
    measured = {
        "movers-write": _shares(roles, half.writes.lead, up),
        "movers-attend": _follows(roles, up, 1),
        "movers-copy": measured_on(half.pairs, over(names.copies, up), roles.means(names.copies, up), bench.scale.seed),
        "against-write": _shares(roles, -half.writes.lead, down),
        "against-attend": _follows(roles, down, -1),
    }
    bench.step(4)
    rows = [_row(half, names, role, one) for role, some in (("mover", up), ("against", down)) for one in some]
    return Found(measured=measured, tables=[Table("Heads that write names at the last token", rows)])


def _shares(roles: Roles, adds: EachHead, heads: list[Head]) -> Measured:
    lead = roles.tested.lead
    draws = [share(summed(adds, some), lead) for some in roles.random(heads)]
    return measured_share(summed(adds, heads), lead, draws, roles.bench.scale.seed)


def _follows(roles: Roles, heads: list[Head], sign: int) -> Measured:
    half, n = roles.tested, len(roles.tested.pairs)
    at = tuple(np.array(heads).T)
    every, draw = sign * follows(half.looks, half.writes), np.random.default_rng(0)
    again = [sign * follows(half.looks, half.writes, draw.integers(0, n, n))[at].mean() for _ in range(DRAWS // 10)]
    low, high = np.quantile(again, [0.025, 0.975])
    draws = [every[tuple(np.array(some).T)].mean() for some in roles.random(heads)]
    interval = Interval(float(every[at].mean()), float(low), float(high))
    return Measured(interval=interval, n=n, over="pairs", draws=np.array(draws), seed=roles.bench.scale.seed)


def _row(half: Half, names: Copies, role: str, one: Head) -> dict[str, Any]:
    return {
        "head": named([one]),
        "role": role,
        "looks at io": float(over(half.looks.to_io, [one]).mean()),
        "looks at s": float(over(half.looks.to_s, [one]).mean()),
        "adds to the lead": float(over(half.writes.lead, [one]).mean()),
        "follows its look": float(follows(half.looks, half.writes)[one]),
        "copies": float(over(names.copies, [one]).mean()),
        "opposes": float(over(names.opposes, [one]).mean()),
    }


def backup(bench: Bench) -> Found:
    """What the lead falls short of losing when the movers give what they give in the corrupted prompt."""
    roles = Roles.of(bench)
    half, sets = roles.tested, sets_run(bench.scale)
    expected = half.writes.lead - lead_of(bench.model, half.pairs, half.pairs.corrupted)
    whole = summed(expected, roles.movers)

    def made_up(heads: Sequence[Head]) -> Float[np.ndarray, " pair"]:
        lost = half.lead - roles.swaps.metric(heads)
        bench.step(1)
        return summed(expected, heads) - lost

    draws = [share(made_up(some), whole) for some in roles.random(roles.movers, sets)]
    found = measured_share(made_up(roles.movers), whole, draws, bench.scale.seed)
    rows = [
        {
            "swapped": named(roles.movers),
            "lead before": float(half.lead.mean()),
            "after": float(roles.swaps.metric(roles.movers).mean()),
            "expected to lose": float(whole.mean()),
        }
    ]
    return Found(measured={"backup": found}, tables=[Table("The lead without its movers", rows)])
