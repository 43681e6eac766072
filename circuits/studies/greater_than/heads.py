"""The heads of greater-than: they look at the start year's digits, and carry them to MLPs rather than to the logits."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from circuits.studies.component_circuits.cuts import between, logits_of
from circuits.studies.component_circuits.halves import measured_on
from circuits.studies.component_circuits.head_sets import Head, named, over, sets_run, writing
from circuits.studies.component_circuits.shares import measured_share, share
from circuits.studies.greater_than.components_found import Components
from circuits.studies.study import Bench, Found, Scale, Table


def heads(bench: Bench) -> Found:
    """Where they look, and what is lost without their edges."""
    found = Components.of(bench)
    chosen, looks, pairs = found.heads, found.tested.to_start, found.tested.pairs
    sets = found.random_heads(chosen, sets_run(bench.scale))
    every = list(range(found.layout.n_layers))
    mlps, logits, way = found.read_by(every), logits_of(found.layout), found.cuts.way

    def lost(some: Sequence[Head], into: np.ndarray) -> Float[np.ndarray, " pair"]:
        bench.step(1)
        return found.cuts.lost(between(found.layout, writing(found.layout, some), into))

    through, straight = lost(chosen, mlps), lost(chosen, logits)
    random = np.array([(share(lost(some, mlps), way), share(lost(some, logits), way)) for some in sets])
    measured = {
        "heads-look": measured_on(pairs, over(looks, chosen), found.means(looks, chosen), bench.scale.seed),
        "heads-carry": measured_share(through, way, random[:, 0], bench.scale.seed),
        "heads-rather": measured_share(through - straight, way, random[:, 0] - random[:, 1], bench.scale.seed),
    }
    rows = [
        {
            "head": named([one]),
            "looks at the start": float(over(looks, [one]).mean()),
            "lost through MLPs": share(lost([one], mlps), way),
            "lost straight to the logits": share(lost([one], logits), way),
        }
        for one in chosen
    ]
    return Found(measured=measured, tables=[Table("Heads that carry the start year", rows)])


def runs_of(scale: Scale) -> float:
    """About how many runs it takes."""
    return 2 * sets_run(scale) + 12
