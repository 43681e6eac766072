"""The heads that carry sums trained alone, beside as many random heads of the same layers trained alike."""

import numpy as np

from circuits.studies.arithmetic import sums_asked
from circuits.studies.arithmetic.head_effects import HeadEffects, Heads, one_in_twenty, strongest
from circuits.studies.arithmetic.trained_heads import Lesson, Marks, Trainer
from circuits.studies.claim import Measured
from circuits.studies.patched_layers import others
from circuits.studies.study import Bench, Found, Table
from probe.text.documents import corpus
from probe.text.tokens import tokenize

SETS = 9
"""At most so many sets of random heads are trained: with them p can fall to 0.1, which is what these claims ask."""
N_TEXT, CONTEXT = 512, 64
RUNS = 40
"""What training one set counts for, in runs."""


def trained(lesson: Lesson, chosen: Heads, bench: Bench) -> Found:
    """The claims about training."""
    model, draw = bench.model, np.random.default_rng(bench.scale.seed)
    trainer = Trainer(model, lesson, min(layer for layer, _ in chosen))
    before, marks = trainer.looked_at(None), []
    sets = [chosen, *(others(chosen, int(model.cfg.n_heads), draw) for _ in range(min(SETS, bench.scale.sets)))]
    for heads in sets:
        marks.append(trainer.looked_at(trainer.train(heads)))
        bench.step(RUNS)
    gains = [np.exp(one.log_probability) - np.exp(before.log_probability) for one in marks]
    nets = [one.log_probability - before.log_probability - (one.text - before.text) for one in marks]
    measured = {
        name: Measured.of(values[0], np.array([v.mean() for v in values[1:]]), over="pairs", seed=bench.scale.seed)
        for name, values in (("trained-alone", gains), ("text-spared", nets))
    }
    rows = [
        {"trained": "nothing", **before.row()},
        {"trained": f"{len(chosen)} heads that carry sums", **marks[0].row()},
        {"trained": f"{len(chosen)} random heads, mean of {len(marks) - 1} sets", **_mean(marks[1:])},
    ]
    return Found(measured=measured, tables=[Table("Heads trained alone", rows)])


def _mean(marks: list[Marks]) -> dict[str, float]:
    rows = [one.row() for one in marks]
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def training_part(bench: Bench) -> Found:
    """Of the heads that carry the studied sums."""
    asked = sums_asked.asked(bench.model, sums_asked.STUDIED)
    chosen = strongest(HeadEffects(bench.model, asked.seen).estimated, one_in_twenty(bench.model))
    text = tokenize(bench.model, corpus("sotu", seed=1), context=CONTEXT, max_tokens=N_TEXT)
    return trained(Lesson(*sums_asked.for_training(bench.model), text.tokens), chosen, bench)
