"""`openwork train` and `openwork sweep`: one dictionary, or many side by side."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import (
    MAX_SEED,
    AsJson,
    ConfigFile,
    Device,
    DryRun,
    Precision,
    Resume,
    Text,
    load,
    print_json,
    print_rows,
    progress,
    reserve,
)
from probe.artifacts.folder import place
from probe.artifacts.json import clean, write_json
from probe.artifacts.manifest import Manifest, writing
from probe.errors import BadInput
from probe.words import estimate, size

if TYPE_CHECKING:
    from probe.activations.cache import Cache
    from probe.activations.streaming import LiveActivations
    from probe.evaluation.sweep import SweepResult
    from probe.training.plan import TrainPlan
    from probe.training.step import TrainConfig


Kind = Annotated[
    str,
    typer.Option("--kind", help="skip_transcoder, transcoder, sae, crosscoder or cross_layer_transcoder."),
]
Sites = list[str] | None
SiteIn = Annotated[Sites, typer.Option("--site-in", help="Site it reads, repeatable; by default the cache's first.")]
SiteOut = Annotated[Sites, typer.Option("--site-out", help="Site it writes, repeatable; by default the cache's last.")]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training tokens.")]
Rate = Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")]
Batch = Annotated[int | None, typer.Option("--batch", min=1, help="Tokens a step.")]
Unit = Annotated[bool, typer.Option("--unit-decoder", help="Keep decoder rows at length 1 while training.")]
Half = Annotated[bool, typer.Option("--bfloat16", help="Matrix products in bfloat16 (pays on CUDA).")]
Resample = Annotated[
    int, typer.Option("--resample-every", min=0, help="Steps between resamplings of dead latents; 0: never.")
]
Aux = Annotated[
    float | None, typer.Option("--aux", help="Weight of AuxK, which brings dead latents back; 0 turns it off.")
]


def train(
    cache: Annotated[str | None, typer.Option("--cache", help="Name of the cache to train on.")] = None,
    kind: Kind = "skip_transcoder",
    rule: Annotated[
        str, typer.Option("--rule", help="topk:32, batchtopk:32, jumprelu:32, relu:2, gated:2 or matryoshka:32.")
    ] = "topk:32",
    k: Annotated[int | None, typer.Option("--k", min=1, help="The rule's number: latents on at each token.")] = None,
    site_in: SiteIn = None,
    site_out: SiteOut = None,
    d_dict: Annotated[
        int | None, typer.Option("--d-dict", min=1, help="Latents; by default 8 times the width it reads.")
    ] = None,
    epochs: Epochs = 3,
    lr: Rate = None,
    batch: Batch = None,
    aux: Aux = None,
    resample_every: Resample = 0,
    unit_decoder: Unit = False,
    bfloat16: Half = False,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=MAX_SEED, help="Start of the weights and order of the tokens.")
    ] = 0,
    live: Annotated[
        bool, typer.Option("--live", help="Without a cache: run --model over --text, nothing touches the disk.")
    ] = False,
    model: Annotated[str, typer.Option("--model", help="The model of --live.")] = "smollm2-135m",
    text: Text = "sotu",
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Token positions of --live an epoch.")] = 300_000,
    context: Annotated[int, typer.Option("--context", min=2, help="Tokens in a row of --live.")] = 128,
    device: Device = None,
    precision: Precision = "float32",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the dictionary; by default from cache, kind, site and width.")
    ] = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Train a dictionary on a cache, or on a live stream: any kind, any rule."""
    from probe.training.recipes import Recipe, make
    from probe.training.trainer import plan
    from probe.training.trainer import train as run

    whole = f"{rule.partition(':')[0]}:{k}" if k is not None else rule
    if live and cache is not None:
        raise BadInput(f"--live reads no cache, but --cache {cache} was given too. Leave one of them out.")
    folder = reserve("dictionary", name, resume=resume) if name is not None and not dry_run else None
    recipe = Recipe(kind, whole, d_dict, tuple(site_in or ()), tuple(site_out or ()), seed)
    source = _live(model, text, tokens, context, site_in, site_out, device, precision) if live else _cache(cache)
    dictionary = make(source, recipe)
    settings = _settings(epochs, seed, lr, batch, aux, resample_every, unit_decoder, bfloat16)
    if dry_run:
        _announce(plan(dictionary, source, settings), json)
        return
    result = run(dictionary, source, settings, folder, resume=resume, progress=progress())
    report = result.to_dict()
    if json:
        print_json(report)
        return
    print_rows(
        [{"measure": n, "value": v} for n, v in report["last"].items()],
        f"{kind} in {result.folder}, {estimate(result.seconds)}",
    )


def sweep(
    cache: Annotated[str, typer.Option("--cache", help="Name of the cache to train on.")],
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Kind of dictionary, repeatable; by default transcoder and sae.")
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help="Sparsifier and number, repeatable; by default topk:16, 32, 64.")
    ] = None,
    d_dict: Annotated[list[int] | None, typer.Option("--d-dict", min=1, help="Latents, repeatable.")] = None,
    seed: Annotated[list[int] | None, typer.Option("--seed", min=0, max=MAX_SEED, help="Repeatable.")] = None,
    site_in: SiteIn = None,
    site_out: SiteOut = None,
    epochs: Epochs = 2,
    lr: Rate = None,
    batch: Batch = None,
    aux: Aux = None,
    resample_every: Resample = 0,
    unit_decoder: Unit = False,
    bfloat16: Half = False,
    judge: Annotated[
        bool, typer.Option("--judge/--no-judge", help="Judge all in the model, on the same tokens.")
    ] = True,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Tokens behind each cross-entropy.")] = 4096,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="Judge on this text too, like sample:NAME; repeatable.")
    ] = None,
    device: Device = None,
    precision: Precision = "float32",
    name: Annotated[str | None, typer.Option("--name", help="Name of the result; by default CACHE-sweep.")] = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Train many dictionaries from one pass over a cache, judge them side by side, and keep the table."""
    from probe.evaluation.sweep import grid, plan_sweep
    from probe.evaluation.sweep import sweep as run

    kinds, rules = kind or ["transcoder", "sae"], rule or ["topk:16", "topk:32", "topk:64"]
    title = name or f"{cache}-sweep"
    if not dry_run:
        reserve("result", title, resume=resume)
    recipes = grid(kinds, rules, d_dict or [None], seed or [0], tuple(site_in or ()), tuple(site_out or ()))
    source = _cache(cache)
    settings = _settings(epochs, 0, lr, batch, aux, resample_every, unit_decoder, bfloat16)
    if dry_run:
        _announce(plan_sweep(source, recipes, settings, name or ""), json, len(recipes))
        return
    bridge, texts = None, {}
    if judge:
        from app.commands.learn.evaluate import rows_of

        made_from = source.manifest.model
        bridge = load(made_from.name if made_from else "smollm2-135m", device, precision)
        texts = {spec: rows_of(bridge, spec, source, max_tokens) for spec in text or []}
    options = {"texts": texts, "max_tokens": max_tokens, "resume": resume, "progress": progress()}
    result = run(source, recipes, settings, model=bridge, name=name or "", **options)
    _keep(result, title, source)
    if json:
        print_json(result.to_dict())
        return
    print_rows([{k: v for k, v in row.items() if not k.endswith(" error")} for row in result.by_seed()], title)


def _keep(result: "SweepResult", name: str, source: "Cache | LiveActivations") -> None:
    """Store the table under its name."""
    facts = {"subject": "sweep", "dictionaries": [entry.name for entry in result.entries]}
    manifest = Manifest("result", name, source.manifest.model, source.sites, parents=(source.name,), facts=facts)
    with writing(place("result", name), manifest, replace=True) as beside:  # it is reserved; with --resume, made again
        write_json(beside / "sweep.json", clean(result.to_dict()))


def _cache(name: str | None) -> "Cache":
    from app.library.artifacts import registered
    from probe.activations.cache import open_cache
    from probe.activations.checks import require_sound

    if name is None:
        raise BadInput("Say what to train on: --cache NAME, or --live with a model and text.")
    source = open_cache(registered("cache", name))
    require_sound(source, progress())
    return source


def _live(
    model: str, text: str, tokens: int, context: int, site_in: Sites, site_out: Sites, device: str | None, dtype: str
) -> "LiveActivations":
    """A stream of activations at the sites named."""
    from probe.activations.streaming import LiveActivations
    from probe.text.documents import corpus
    from probe.text.tokens import tokenize

    sites = [*(site_in or ()), *(site_out or ())]
    if not sites:
        raise BadInput("A live stream has to know its sites: give --site-in, and --site-out unless it is an SAE.")
    bridge = load(model, device, dtype)
    return LiveActivations(bridge, tokenize(bridge, corpus(text, seed=0), context=context, max_tokens=tokens), sites)


def _settings(
    epochs: int,
    seed: int,
    lr: float | None,
    batch: int | None,
    aux: float | None,
    resample_every: int,
    unit: bool,
    half: bool,
) -> "TrainConfig":
    """A TrainConfig of the options that were given."""
    from probe.training.trainer import TrainConfig

    given = {"lr": lr, "batch": batch, "aux": aux}
    return TrainConfig(
        epochs=epochs,
        seed=seed,
        resample_every=resample_every,
        decoder="unit" if unit else "free",
        precision="bfloat16" if half else "float32",
        **{n: v for n, v in given.items() if v is not None},
    )


def _announce(plan: "TrainPlan", json: bool, dictionaries: int = 1) -> None:
    if json:
        print_json(plan.to_dict())
        return
    many = f"{dictionaries} dictionaries, " if dictionaries > 1 else ""
    typer.echo(
        f"{many}{plan.parameters:,} weights, {plan.steps:,} steps over {plan.tokens:,} tokens, "
        f"{size(plan.memory_bytes)} of memory, {size(plan.disk_bytes)} on disk, about {estimate(plan.seconds)}"
    )


COMMANDS = (train, sweep)
