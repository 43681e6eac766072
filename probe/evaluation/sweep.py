"""Many dictionaries of one cache at once: kinds, rules, widths and seeds side by side, from one pass over the data a seed.

    result = sweep(cache, grid(kinds=["sae", "transcoder"], rules=["topk:16", "topk:32"], seeds=[0, 1]), model=model)
    result.figure()      # the Pareto fronts: FVU and cross-entropy against L0

Each dictionary is an artifact of its own, equal to what it would be if trained alone. What a sweep was interrupted at is taken up
again with `resume`. Seeds decide the first weights and the order of the tokens, so the spread between seeds is that of training.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from probe.artifacts.folder import place
from probe.doc import Doc
from probe.errors import BadInput
from probe.evaluation.evaluate import EvalConfig, evaluate_many
from probe.evaluation.report import EvalReport
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.training.config import Kind
from probe.training.recipes import Recipe, make
from probe.training.trainer import Run, TrainConfig, TrainPlan, plan, train_together
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache

BY_SEED = ("l0", "fvu", "dead_share", "ce_spliced", "kl_spliced")


def grid(
    kinds: Annotated[Sequence[Kind], Doc("Kinds of dictionary.")] = ("skip_transcoder",),
    rules: Annotated[Sequence[str], Doc("Sparsifiers and their numbers, like topk:32.")] = ("topk:32",),
    widths: Annotated[Sequence[int | None], Doc("Latents; by default 8 times the width that is read.", least=1)] = (
        None,
    ),
    seeds: Annotated[Sequence[int], Doc("The weights it starts with, and the order of the tokens.", least=0)] = (0,),
    sites_in: Annotated[tuple[str, ...], Doc("Sites it reads; by default the cache's first (an SAE: its last).")] = (),
    sites_out: Annotated[tuple[str, ...], Doc("Sites it writes; by default the cache's last.")] = (),
) -> list[Recipe]:
    """All combinations.

    >>> len(ow.grid(kinds=["sae", "transcoder"], rules=["topk:8", "topk:16"], seeds=[0, 1]))
    8
    """
    return [Recipe(k, r, w, sites_in, sites_out, s) for s, k, r, w in product(seeds, kinds, rules, widths)]


@dataclass(frozen=True)
class Entry:
    """One dictionary of a sweep: its recipe, the name it is stored under, how training ended, how it was judged."""

    recipe: Recipe
    name: str
    training: dict[str, Any]
    report: EvalReport | None = field(default=None, repr=False)

    def row(self) -> dict[str, Any]:
        """The numbers a person compares; held-out ones where it was judged, else those of the end of training."""
        own = {"kind": self.recipe.kind, "rule": self.recipe.rule, "seed": self.recipe.seed, "name": self.name}
        if self.report is None:
            return {**own, **{k: self.training[k] for k in ("l0", "fvu", "dead_share")}}
        judged = {k: getattr(self.report, k) for k in ("l0", "fvu", "dead_share", "ce", "ce_spliced", "kl_spliced")}
        return {**own, **judged, **_on_texts(self.report)}


def _on_texts(report: EvalReport) -> dict[str, float]:
    wanted = ("ce", "ce_spliced", "kl_spliced")
    return {f"{k} on {name}": found[k] for name, found in report.texts.items() for k in wanted}


@dataclass(frozen=True)
class SweepResult(Record, figure=True, page=True):
    """What a sweep found, an entry a dictionary."""

    cache: str
    config: TrainConfig
    entries: list[Entry]

    def rows(self) -> list[dict[str, Any]]:
        """One row a dictionary."""
        return [entry.row() for entry in self.entries]

    def by_seed(self) -> list[dict[str, Any]]:
        """One row a kind and rule: the mean over seeds of each number, and its standard error (NaN for one seed)."""
        groups: dict[tuple, list[dict[str, Any]]] = {}
        for entry, row in zip(self.entries, self.rows(), strict=True):
            groups.setdefault((entry.recipe.kind, entry.recipe.rule, entry.recipe.d_dict), []).append(row)
        return [_means(rows) for rows in groups.values()]

    def panels(self) -> list[Panel]:
        """The fronts; a row a kind and rule, the mean over its seeds; every dictionary."""
        means = [{k: v for k, v in row.items() if not k.endswith(" error")} for row in self.by_seed()]
        each = [Rows("Every dictionary", self.rows())] if len(self.entries) > len(means) else []
        return [Figure("SweepResult", self.figure), Sentence(self.summary()), Rows("Means over seeds", means), *each]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; without the reports' long parts."""
        return {"cache": self.cache, "config": asdict(self.config), "rows": self.rows(), "by_seed": self.by_seed()}

    def summary(self) -> str:
        """One sentence: how many dictionaries, and the range of what they reach."""
        rows = self.rows()
        ends = {m: (min(r[m] for r in rows), max(r[m] for r in rows)) for m in ("fvu", "l0")} if rows else {}
        said = "".join(f", {m} {low:.3g} to {high:.3g}" for m, (low, high) in ends.items())
        return f"{counted(len(rows), 'dictionary')} trained on {self.cache}{said}."


def _means(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds, and their standard errors."""
    numbers = [k for k, v in rows[0].items() if isinstance(v, float)]
    found: dict[str, Any] = {"kind": rows[0]["kind"], "rule": rows[0]["rule"], "seeds": len(rows)}
    for key in numbers:
        values = np.array([row[key] for row in rows])
        found[key] = float(values.mean())
        found[f"{key} error"] = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return found


def runs_of(cache: "Cache", recipes: Sequence[Recipe], config: TrainConfig, name: str = "") -> list[Run]:
    """The trainings of a sweep; each dictionary's name says its recipe, and begins with `name` (by default the cache's)."""
    return [
        Run(make(cache, r), place("dictionary", run_name(r, config, name or cache.name)), _seeded(config, r))
        for r in recipes
    ]


def _seeded(config: TrainConfig, recipe: Recipe) -> TrainConfig:
    return replace(config, seed=recipe.seed)


def run_name(recipe: Recipe, config: TrainConfig, prefix: str) -> str:
    """`layer4-transcoder-topk-32-s0-1f3a`: the last digits are of everything else that decides what it becomes."""
    rest = {**recipe.to_dict(), **asdict(config), "seed": 0}
    digits = hashlib.blake2b(json.dumps(rest, sort_keys=True).encode(), digest_size=2).hexdigest()
    return f"{prefix}-{recipe.kind}-{recipe.rule.replace(':', '-')}-s{recipe.seed}-{digits}"


@takes_fields("judged_on", EvalConfig, ("texts", "max_tokens"))
def sweep(
    cache: "Cache",
    recipes: Sequence[Recipe],
    config: TrainConfig | None = None,
    *,
    model: "TransformerBridge | None" = None,
    name: str = "",
    judged_on: EvalConfig = EvalConfig(),
    resume: bool = False,
    progress: Progress = SILENT,
) -> SweepResult:
    """Train every recipe on the cache and, with a model, judge all of them on the same tokens (see `evaluate_many`).

    judged_on: its texts and max_tokens are keywords too. resume: dictionaries that are finished are opened, unfinished ones
    continued. Raises BadInput as `train_together` does, and where there is nothing to judge on.

    >>> recipes = ow.grid(kinds=["transcoder"], rules=["topk:4", "topk:8"], widths=[64])
    >>> result = ow.train_sweep(cache, recipes, ow.TrainConfig(epochs=1))
    >>> len(result.rows())
    2
    """
    config = config or TrainConfig()
    if model is not None and not len(cache.eligible("held_out")):
        raise BadInput(
            f"'{cache.name}' holds no documents apart to judge on. Harvest more text or a larger held-out share, or do not judge."
        )
    runs = runs_of(cache, recipes, config, name)
    results = train_together(runs, cache, resume=resume, progress=progress)
    reports: list[EvalReport | None] = [None] * len(runs)
    if model is not None:
        learned = [result.dictionary for result in results]
        reports = [*evaluate_many(model, learned, cache, config=judged_on, progress=progress)]
    found = zip(recipes, runs, results, reports, strict=True)
    entries = [Entry(recipe, run.folder.name, result.last, report) for recipe, run, result, report in found]
    return SweepResult(cache.name, config, entries)


train_sweep = sweep
"""The public name: `probe.evaluation.sweep` is this module."""


def plan_sweep(cache: "Cache", recipes: Sequence[Recipe], config: TrainConfig, name: str = "") -> TrainPlan:
    """What a sweep will take: all dictionaries are in memory at once, and their steps take turns."""
    plans = [plan(run.dictionary, cache, run.config) for run in runs_of(cache, recipes, config, name)]
    sums = {key: sum(getattr(p, key) for p in plans) for key in asdict(plans[0])}
    return TrainPlan(**sums)
