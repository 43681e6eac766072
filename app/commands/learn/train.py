"""`openwork train` and `openwork sweep`: one dictionary, or many side by side."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.fields import Given, Running, takes
from app.commands.options import Model, Text, print_json, print_rows, progress
from probe.errors import BadInput
from probe.methods.reading import Asks, taken_by
from probe.words import estimate

if TYPE_CHECKING:
    from probe.activations.cache import Cache
    from probe.activations.streaming import LiveActivations

DEFAULT = "smollm2-135m"
ROWS = (
    taken_by("probe.text.tokens", "tokenize")
    .only("max_tokens", "context")
    .called(max_tokens="tokens")
    .starting(tokens=300_000)
)
SITES = {"sites_in": "site_in", "sites_out": "site_out"}
RECIPE = taken_by("probe.training.recipes", "Recipe").called(**SITES)
# its own precision is `--bfloat16`, since `--precision` is the model's
CONFIG = taken_by("probe.training.config", "TrainConfig").without("precision")
GRID = (
    taken_by("probe.evaluation.sweep", "grid")
    .called(kinds="kind", rules="rule", widths="d_dict", seeds="seed", **SITES)
    .starting(kind=["transcoder", "sae"], rule=["topk:16", "topk:32", "topk:64"])
)
SWEEP_CONFIG = CONFIG.without("seed").starting(epochs=2)
JUDGED_ON = taken_by("probe.evaluation.evaluate", "EvalConfig").only("max_tokens")

Half = Annotated[bool, typer.Option("--bfloat16", help="Matrix products in bfloat16 (pays on CUDA).")]
Unit = Annotated[bool, typer.Option("--unit-decoder", help="The same as --decoder unit.")]


@takes(RECIPE, CONFIG, ROWS)
def train(
    *,
    cache: Annotated[str | None, typer.Option("--cache", help="Name of the cache to train on.")] = None,
    k: Annotated[int | None, typer.Option("--k", min=1, help="The rule's number: latents on at each token.")] = None,
    given: Given,
    unit_decoder: Unit = False,
    bfloat16: Half = False,
    live: Annotated[
        bool, typer.Option("--live", help="Without a cache: run --model over --text, nothing touches the disk.")
    ] = False,
    model: Model = DEFAULT,
    text: Text = "sotu",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the dictionary; by default from cache, kind, site and width.")
    ] = None,
    how: Running,
) -> None:
    """Train a dictionary on a cache, or on a live stream: any kind, any rule."""
    from probe.training.recipes import make
    from probe.training.trainer import plan
    from probe.training.trainer import train as run

    if live and cache is not None:
        raise BadInput(f"--live reads no cache, but --cache {cache} was given too. Leave one of them out.")
    folder = how.reserve("dictionary", name) if name is not None else None
    recipe = RECIPE.made({**given, **({"rule": f"{given['rule'].partition(':')[0]}:{k}"} if k is not None else {})})
    source = _live(how, model, text, given) if live else cache_named(cache)
    dictionary, settings = make(source, recipe), _settings(CONFIG, given, unit_decoder, bfloat16)
    if how.dry_run:
        how.announce(plan(dictionary, source, settings))
        return
    result = run(dictionary, source, settings, folder, resume=how.resume, progress=progress())
    report = result.to_dict()
    if how.json:
        print_json(report)
        return
    print_rows(
        [{"measure": n, "value": v} for n, v in report["last"].items()],
        f"{recipe.kind} in {result.folder}, {estimate(result.seconds)}",
    )


@takes(GRID, SWEEP_CONFIG, JUDGED_ON)
def sweep(
    *,
    cache: Annotated[str, typer.Option("--cache", help="Name of the cache to train on.")],
    given: Given,
    unit_decoder: Unit = False,
    bfloat16: Half = False,
    judge: Annotated[
        bool, typer.Option("--judge/--no-judge", help="Judge all in the model, on the same tokens.")
    ] = True,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="Judge on this text too, like sample:NAME; repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the result; by default CACHE-sweep.")] = None,
    how: Running,
) -> None:
    """Train many dictionaries from one pass over a cache, judge them side by side, and keep the table."""
    from probe.evaluation.store import save_sweep
    from probe.evaluation.sweep import grid, plan_sweep
    from probe.evaluation.sweep import sweep as run

    title = name or f"{cache}-sweep"
    how.reserve("result", title)
    recipes, settings = grid(**GRID.some(given)), _settings(SWEEP_CONFIG, given, unit_decoder, bfloat16)
    source = cache_named(cache)
    if how.dry_run:
        how.announce(plan_sweep(source, recipes, settings, name or ""), f"{len(recipes)} dictionaries, ")
        return
    made_from = source.manifest.model
    bridge = how.load(made_from.name if made_from else DEFAULT) if judge else None
    options = {"texts": text, "resume": how.resume, "progress": progress(), **JUDGED_ON.some(given)}
    result = run(source, recipes, settings, model=bridge, name=name or "", **options)
    save_sweep(title, result, source)  # it is reserved; with --resume, made again
    if how.json:
        print_json(result.to_dict())
        return
    print_rows([{k: v for k, v in row.items() if not k.endswith(" error")} for row in result.by_seed()], title)


def cache_named(name: str | None) -> "Cache":
    """A stored cache, whole."""
    from app.library.artifacts import registered
    from probe.activations.cache import open_cache
    from probe.activations.checks import require_sound

    if name is None:
        raise BadInput("Say what to train on: --cache NAME, or --live with a model and text.")
    source = open_cache(registered("cache", name))
    require_sound(source, progress())
    return source


def _live(how: Running, model: str, text: str, given: Given) -> "LiveActivations":
    """A stream of activations at the sites named."""
    from probe.activations.streaming import LiveActivations
    from probe.text.documents import corpus
    from probe.text.tokens import tokenize

    sites = [*given.get("site_in", ()), *given.get("site_out", ())]
    if not sites:
        raise BadInput("A live stream has to know its sites: give --site-in, and --site-out unless it is an SAE.")
    bridge = how.load(model)
    return LiveActivations(bridge, tokenize(bridge, corpus(text, seed=0), **ROWS.some(given)), sites)


def _settings(declared: Asks, given: Given, unit_decoder: bool, bfloat16: bool) -> Any:
    """The TrainConfig of the options that were given."""
    from probe.training.config import TrainConfig

    short = {**({"decoder": "unit"} if unit_decoder else {}), **({"precision": "bfloat16"} if bfloat16 else {})}
    return TrainConfig(**{**declared.some(given), **short})


COMMANDS = (train, sweep)
