"""Which heads carry sums: a twentieth of all, ranked by path patching on some pairs and patched together in others.

The same set is patched in other operators, forms and tasks, beside random heads of the same layers; and of every task a set of
its own is ranked, so that there is a matrix: whose set carries what.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from circuits.studies.arithmetic import sums_asked
from circuits.studies.arithmetic.head_effects import HeadEffects, Heads, one_in_twenty, strongest
from circuits.studies.arithmetic.sums_asked import Asked
from circuits.studies.claim import Measured
from circuits.studies.patched_layers import others
from circuits.studies.study import Bench, Found, Line, Lines, Table
from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.interventions.prefix import started_at
from probe.model.sites import Site

SETS = 99
"""At most so many control sets: with them p can fall to 0.01, and each is patched in every task."""
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
N_RANDOM = 5
"""Random sets of each size on the curve."""


def carrying(asked: Asked, positions: Sequence[Sequence[int]], bench: Bench) -> Found:
    """The claims about which heads matter, and what they look at. positions: of operands and operator in `asked.left`."""
    model, seed = bench.model, bench.scale.seed
    seen, left = HeadEffects(model, asked.seen), HeadEffects(model, asked.left)
    chosen, draw = strongest(seen.estimated, one_in_twenty(model)), np.random.default_rng(seed)
    sets = [others(chosen, int(model.cfg.n_heads), draw) for _ in range(min(SETS, bench.scale.sets))]
    together = Measured.of(left.patched(chosen), of_sets(left, sets, bench).mean(1), over="pairs", seed=seed)
    looking = attention_to(left, positions)
    on = Measured.of(
        _mean(looking, chosen), np.array([_mean(looking, s).mean() for s in sets]), over="pairs", seed=seed
    )
    rows = [_head_row(seen, looking, one) for one in chosen]
    return Found(
        measured={"few-heads": together, "heads-attend": on},
        tables=[Table(f"The {len(chosen)} heads that carry most of {asked.left.task}", rows)],
        pictures=[curve(seen, left, bench)],
    )


def _head_row(run: HeadEffects, looking: Float[np.ndarray, "layer head pair"], one: tuple[int, int]) -> dict[str, Any]:
    path = run.path(one)
    return {
        "head": f"L{one[0]}H{one[1]}",
        "path patching, estimated": float(run.estimated[one]),
        "path patching, measured": float(path.mean()),
        "patched, all behind it free": float(run.patched([one]).mean()),
        "attention to numbers and operator": float(looking[one].mean()),
    }


def of_sets(run: HeadEffects, sets: Sequence[Heads], bench: Bench) -> Float[np.ndarray, "set pair"]:
    """Each set patched."""
    first = min((layer for heads in sets for layer, _ in heads), default=0)
    found = []
    with started_at(run.model, first, run.clean):
        for heads in sets:
            found.append(run.patched(heads))
            bench.step(1)
    return np.array(found)


def attention_to(run: HeadEffects, positions: Sequence[Sequence[int]]) -> Float[np.ndarray, "layer head pair"]:
    """What every head gives to these positions of each pair from the last one."""
    sites = [Site("pattern", i) for i in range(run.model.cfg.n_layers)]
    held = capture(run.model, run.clean, sites)
    rows = [[held[s.name][i, :, -1, list(some)].sum(-1) for i, some in enumerate(positions)] for s in sites]
    return np.array([[one.float().cpu().numpy() for one in row] for row in rows], np.float64).transpose(0, 2, 1)


def _mean(looking: Float[np.ndarray, "layer head pair"], heads: Heads) -> Float[np.ndarray, " pair"]:
    return np.mean([looking[one] for one in heads], 0)


def curve(seen: HeadEffects, left: HeadEffects, bench: Bench) -> Lines:
    """How much is carried by how many, ranked and at random."""
    shape, draw = seen.estimated.shape, np.random.default_rng(bench.scale.seed)
    sizes = sorted({max(1, round(share * seen.estimated.size)) for share in SHARES})
    ranked, random, error = [], [], []
    for n in sizes:
        ranked.append(left.patched(strongest(seen.estimated, n)))
        some = [left.patched(strongest(draw.random(shape), n)).mean() for _ in range(min(N_RANDOM, bench.scale.sets))]
        random.append(float(np.mean(some)))
        error.append(float(np.std(some)))
        bench.step(1 + N_RANDOM)
    x = [n / seen.estimated.size for n in sizes]
    ours = Line("ranked", x, [float(v.mean()) for v in ranked], [float(v.std() / len(v) ** 0.5) for v in ranked])
    return Lines(
        "How much so many heads carry",
        "share of all heads",
        "share of the way",
        [ours, Line("random", x, random, error)],
    )


# -- transfer ----------------------------------------------------------------------------------------------------------------


def transferred(tasks: dict[str, Asked], refused: dict[str, str], bench: Bench) -> Found:
    """The claims about other operators, forms and tasks. tasks: those the model does, the studied one among them."""
    model, seed, draw = bench.model, bench.scale.seed, np.random.default_rng(bench.scale.seed)
    n = one_in_twenty(model)
    sets_of = {name: strongest(HeadEffects(model, one.seen).estimated, n) for name, one in tasks.items()}
    runs = {name: HeadEffects(model, one.left) for name, one in tasks.items()}
    chosen = sets_of[sums_asked.STUDIED]
    sets = [others(chosen, int(model.cfg.n_heads), draw) for _ in range(min(SETS, bench.scale.sets))]
    own = {name: run.patched(chosen) for name, run in runs.items()}
    drawn = {name: of_sets(run, sets, bench) for name, run in runs.items()}
    groups = {
        "other-operators": sums_asked.OPERATORS,
        "other-forms": sums_asked.FORMS,
        "other-tasks": sums_asked.STORIES,
    }
    measured = {}
    for claim, names in groups.items():
        some = [name for name in names if name in runs]
        if some:
            values, draws = (
                np.concatenate([own[name] for name in some]),
                np.mean([drawn[name].mean(1) for name in some], 0),
            )
            measured[claim] = Measured.of(values, draws, over="pairs", seed=seed)
    if sums_asked.OTHER in runs:
        apart = own[sums_asked.STUDIED] - own[sums_asked.OTHER].mean()
        draws = drawn[sums_asked.STUDIED].mean(1) - drawn[sums_asked.OTHER].mean(1)
        measured["own-to-arithmetic"] = Measured.of(apart, draws, over="pairs", seed=seed)
    why = [{"task": name, "why not": said} for name, said in refused.items()]
    return Found(
        measured=measured,
        tables=[
            Table(
                "Whose heads carry what: share of the way",
                [_matrix_row(name, sets_of[name], runs, chosen) for name in runs],
            ),
            *([Table("Tasks this model does not do", why)] if why else []),
        ],
    )


def _matrix_row(name: str, heads: Heads, runs: dict[str, HeadEffects], chosen: Heads) -> dict[str, Any]:
    shares = {other: float(run.patched(heads).mean()) for other, run in runs.items()}
    return {"heads of": name, **shares, f"shared with {sums_asked.STUDIED}": len(set(heads) & set(chosen)) / len(heads)}


def carrying_part(bench: Bench) -> Found:
    """Of the studied sums."""
    asked = sums_asked.asked(bench.model, sums_asked.STUDIED)
    return carrying(asked, sums_asked.of_question(bench.model, asked.left), bench)


def transfer_part(bench: Bench) -> Found:
    """Of every task that the model does. BadInput where the studied one is not among them."""
    tasks, refused = sums_asked.those_done(bench.model, tuple(sums_asked.TASKS))
    if sums_asked.STUDIED not in tasks:
        raise BadInput(refused[sums_asked.STUDIED])
    return transferred(tasks, refused, bench)
