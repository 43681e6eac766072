"""Train a dictionary by names alone, on a stored cache or on a model that runs over text: the tool `openwork train`.
What a training does: `probe.training.trainer`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from probe.activations.cache import Cache, open_cache
from probe.activations.checks import require_sound
from probe.activations.streaming import LiveActivations
from probe.doc import Doc
from probe.errors import BadInput
from probe.methods import CacheName, CorpusName, tool
from probe.model.aliases import DEFAULT
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.text.documents import corpus
from probe.text.tokens import tokenize
from probe.training.config import TrainConfig
from probe.training.plan import TrainPlan, plan
from probe.training.recipes import Recipe, make
from probe.training.result import TrainResult
from probe.training.trainer import train

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

RECIPE = ("kind", "rule", "d_dict", "sites_in", "sites_out")
STEPS = (
    "lr",
    "batch",
    "warmup",
    "decay",
    "clip",
    "start",
    "dead_tokens",
    "aux",
    "aux_k",
    "resample_every",
    "decoder",
    "log_every",
    "checkpoint_every",
)
"""Settings of a training; its own precision is `bfloat16`, since `precision` is the model's."""


@dataclass(frozen=True)
class TrainedOn(Settings):
    """What a dictionary is trained on."""

    cache: CacheName | None = None
    "Name of the cache to train on."
    live: bool = False
    "Without a cache: run the model over the text, nothing touches the disk."
    text: CorpusName = "sotu"
    "sotu (bundled), a .txt, .jsonl or .parquet file, sample:NAME, or datasets:ID[:split[:column]]."
    tokens: Annotated[int, Doc(least=1)] = 300_000
    "Token positions to read of the text."
    context: Annotated[int, Doc(least=2)] = 128
    "Tokens a row of the text, BOS included."

    def opened(
        self, model: "TransformerBridge | None", sites: tuple[str, ...], progress: Progress
    ) -> "Cache | LiveActivations":
        """The cache, whole; or the stream of what the model does at these sites."""
        if not self.live:
            return sound_cache(self.cache, progress)
        if self.cache is not None:
            raise BadInput(f"--live reads no cache, but --cache {self.cache} was given too. Leave one of them out.")
        if not sites:
            raise BadInput("A live stream has to know its sites: give --site-in, and --site-out unless it is an SAE.")
        if model is None:
            raise BadInput("A live stream is made by a model; give one.")
        rows = tokenize(model, corpus(self.text, seed=0), max_tokens=self.tokens, context=self.context)
        return LiveActivations(model, rows, sites)


def sound_cache(name: CacheName | None, progress: Progress) -> Cache:
    """A stored cache, whole."""
    if name is None:
        raise BadInput("Say what to train on: --cache NAME, or --live with a model and text.")
    source = open_cache(name) if isinstance(name, str | Path) else name
    require_sound(source, progress)
    return source


@dataclass(frozen=True)
class Short(Settings):
    """Short ways to say how it is trained."""

    k: Annotated[int | None, Doc(least=1)] = None
    "The rule's number: latents on at each token."
    epochs: Annotated[int, Doc(least=1)] = 3
    "Passes over the training tokens."
    seed: Annotated[int, Doc(least=0)] = 0
    "The weights it starts with, the order of the tokens, the tokens latents start at."
    unit_decoder: bool = False
    "The same as --decoder unit."
    bfloat16: bool = False
    "Matrix products in bfloat16 (pays on CUDA)."

    def recipe(self, recipe: Recipe) -> Recipe:
        rule = recipe.rule if self.k is None else f"{recipe.rule.partition(':')[0]}:{self.k}"
        return replace(recipe, rule=rule, seed=self.seed)

    def config(self, config: TrainConfig) -> TrainConfig:
        return told_shortly(config, self.unit_decoder, self.bfloat16, epochs=self.epochs, seed=self.seed)


def told_shortly(config: TrainConfig, unit_decoder: bool, bfloat16: bool, **settings: int) -> TrainConfig:
    """The settings with what was said of them in short."""
    unit: Any = {"decoder": "unit"} if unit_decoder else {}
    half: Any = {"precision": "bfloat16"} if bfloat16 else {}
    return replace(config, **settings, **unit, **half)


def model_of_stream(live: bool = False) -> str:
    """A cache needs no model."""
    return DEFAULT if live else ""


def plan_train_by_name(model: "TransformerBridge | None" = None, **given: Any) -> TrainPlan:
    """What `train_by_name` would take."""
    on, recipe, config, short = (
        kind(**{n: tuple(v) if isinstance(v, list) else v for n, v in given.items() if n in names})
        for kind, names in (
            (TrainedOn, vars(TrainedOn())),
            (Recipe, RECIPE),
            (TrainConfig, STEPS),
            (Short, vars(Short())),
        )
    )
    source = on.opened(model, (*recipe.sites_in, *recipe.sites_out), SILENT)
    return plan(make(source, short.recipe(recipe)), source, short.config(config))


@tool("train", leaves="dictionary", plan="plan_train_by_name", model_by="model_of_stream")
@takes_fields("on", TrainedOn)
@takes_fields("recipe", Recipe, RECIPE)
@takes_fields("config", TrainConfig, STEPS)
@takes_fields("short", Short)
def train_by_name(
    model: "TransformerBridge | None" = None,
    *,
    on: TrainedOn = TrainedOn(),
    recipe: Recipe = Recipe(),
    config: TrainConfig = TrainConfig(),
    short: Short = Short(),
    folder: str | Path | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
) -> TrainResult:
    """Train a dictionary on a cache, or on a live stream: any kind, any rule.

    folder: by default named after cache, kind, site and width. resume: continue an unfinished training of exactly these settings,
    or open a finished one. Raises BadInput where widths do not fit.

    >>> ow.train_by_name(cache="small", kind="sae", d_dict=96, k=8, epochs=1, folder=folder).dictionary.d_dict
    96
    """
    source = on.opened(model, (*recipe.sites_in, *recipe.sites_out), progress)
    dictionary = make(source, short.recipe(recipe))
    return train(dictionary, source, short.config(config), folder, resume=resume, progress=progress)
