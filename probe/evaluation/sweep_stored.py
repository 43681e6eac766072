"""Train many dictionaries of a stored cache side by side, by names alone, and judge them: the tool `openwork sweep`.
What a sweep does: `probe.evaluation.sweep`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from probe.artifacts.folder import place
from probe.artifacts.manifest import model_made_from
from probe.artifacts.names import as_path
from probe.doc import Doc
from probe.errors import BadInput, OpenworkError
from probe.evaluation.evaluate import EvalConfig
from probe.evaluation.store import save_sweep
from probe.evaluation.sweep import SweepResult, grid, plan_sweep, sweep
from probe.methods import CacheName, tool
from probe.model.aliases import DEFAULT
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.training.config import Kind, TrainConfig
from probe.training.plan import TrainPlan
from probe.training.recipes import Recipe
from probe.training.train_stored import STEPS, sound_cache, told_shortly
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class Swept(Settings):
    """What a sweep sets side by side, and whether that is judged."""

    kinds: Sequence[Kind] = ("transcoder", "sae")
    "Kinds of dictionary."
    rules: Sequence[str] = ("topk:16", "topk:32", "topk:64")
    "Sparsifiers and their numbers, like topk:32."
    widths: Annotated[Sequence[int | None], Doc(least=1)] = (None,)
    "Latents; by default 8 times the width that is read."
    seeds: Annotated[Sequence[int], Doc(least=0)] = (0,)
    "The weights it starts with, and the order of the tokens."
    sites_in: tuple[str, ...] = ()
    "Sites it reads; by default the cache's first (an SAE: its last)."
    sites_out: tuple[str, ...] = ()
    "Sites it writes; by default the cache's last."
    epochs: Annotated[int, Doc(least=1)] = 2
    "Passes over the training tokens."
    unit_decoder: bool = False
    "The same as --decoder unit."
    bfloat16: bool = False
    "Matrix products in bfloat16 (pays on CUDA)."
    judge: bool = True
    "Judge all in the model, on the same tokens."

    def recipes(self) -> list[Recipe]:
        sites = {"sites_in": tuple(self.sites_in), "sites_out": tuple(self.sites_out)}
        return grid(self.kinds, self.rules, self.widths, self.seeds, **sites)

    def config(self, config: TrainConfig) -> TrainConfig:
        return told_shortly(config, self.unit_decoder, self.bfloat16, epochs=self.epochs)


@dataclass(frozen=True)
class SweepPlan(TrainPlan):
    """What a sweep will take."""

    dictionaries: int

    def summary(self) -> str:
        """What it takes, in words."""
        return f"{counted(self.dictionaries, 'dictionary')}, {super().summary()}"


def sweep_name(cache: CacheName) -> str:
    """What its result is called if nobody says so."""
    return f"{cache}-sweep"


def model_of_judging(cache: CacheName, judge: bool = True) -> str:
    """The model that the cache was made from; none where nothing is judged, or where no such cache is, which is told then."""
    try:
        made_from = model_made_from("cache", cache)
    except OpenworkError:
        return ""
    return made_from or DEFAULT if judge else ""


def plan_sweep_by_name(cache: CacheName, folder: Path, **given: Any) -> SweepPlan:
    """What `sweep_by_name` would take."""
    swept = Swept(**{n: v for n, v in given.items() if n in vars(Swept())})
    config, source = TrainConfig(**{n: v for n, v in given.items() if n in STEPS}), sound_cache(cache, SILENT)
    recipes = swept.recipes()
    return SweepPlan(
        **vars(plan_sweep(source, recipes, swept.config(config), _prefix(folder, cache))), dictionaries=len(recipes)
    )


def _prefix(folder: Path, cache: CacheName) -> str:
    """With what the names of the dictionaries begin: the name that was given."""
    return "" if folder.name == sweep_name(getattr(cache, "name", cache)) else folder.name


@tool(
    "sweep",
    leaves="result",
    named="sweep_name",
    plan="plan_sweep_by_name",
    model_by="model_of_judging",
)
@takes_fields("swept", Swept)
@takes_fields("config", TrainConfig, STEPS)
@takes_fields("judged_on", EvalConfig, ("texts", "max_tokens"))
def sweep_by_name(
    model: "TransformerBridge | None" = None,
    *,
    cache: Annotated[CacheName, Doc("Name of the cache to train on.")],
    swept: Swept = Swept(),
    config: TrainConfig = TrainConfig(),
    judged_on: EvalConfig = EvalConfig(),
    folder: str | Path | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
) -> SweepResult:
    """Train many dictionaries from one pass over a cache, judge them side by side, and keep the table.

    folder: where the table goes; of another name than CACHE-sweep, names of dictionaries begin with it. resume: those that
    are finished are opened, unfinished ones continued. Raises BadInput where there is nothing to judge on.

    >>> sizes = {"rules": ["topk:4", "topk:8"], "widths": [64], "epochs": 1}
    >>> ow.sweep_by_name(cache="small", kinds=["transcoder"], **sizes, judge=False, resume=True).rows()[0]["rule"]
    'topk:4'
    """
    source = sound_cache(cache, progress)
    if swept.judge and model is None:
        raise BadInput("Dictionaries are judged in their model; give it, or judge=False.")
    to = place("result", sweep_name(source.name)) if folder is None else as_path(folder)
    found = sweep(
        source,
        swept.recipes(),
        swept.config(config),
        model=model if swept.judge else None,
        name=_prefix(to, source.name),
        judged_on=judged_on,
        resume=resume,
        progress=progress,
    )
    save_sweep(to, found, source)  # with resume, made again
    return found
