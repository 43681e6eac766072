"""`openwork train`: a dictionary from a cache."""

from typing import Annotated, Any

import typer

from app.commands.common import (
    MAX_SEED,
    AsJson,
    DryRun,
    Resume,
    duration,
    print_json,
    print_rows,
    progress,
    size,
)
from probe.artifact import place
from probe.errors import BadInput, Unavailable

KINDS = ("skip_transcoder", "transcoder", "sae")


def train(
    cache: Annotated[str, typer.Option("--cache", help="Name of the cache to train on.")],
    kind: Annotated[str, typer.Option("--kind", help="skip_transcoder, transcoder or sae.")] = "skip_transcoder",
    site_in: Annotated[
        str | None, typer.Option("--site-in", help="Site it reads; by default the cache's first.")
    ] = None,
    site_out: Annotated[
        str | None, typer.Option("--site-out", help="Site it predicts; by default the cache's last.")
    ] = None,
    d_dict: Annotated[
        int | None, typer.Option("--d-dict", min=1, help="Latents; by default 8 times the width it reads.")
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="Latents that are on at each token.")] = 32,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training tokens.")] = 3,
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Tokens a step.")] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=MAX_SEED, help="Start of the weights and order of the tokens.")
    ] = 0,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the dictionary; by default from cache, kind, site and width.")
    ] = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Train a TopK transcoder (with or without a skip) or SAE on a cache."""
    if kind not in KINDS:
        raise BadInput(f"'{kind}' is no kind of dictionary; choose {', '.join(KINDS)}.")
    from app.library import registered
    from probe.cache import open_cache
    from probe.trainer import TrainConfig, plan
    from probe.trainer import train as run

    source = open_cache(registered("cache", cache))
    require_sound(source)
    dictionary = make(source, kind, site_in, site_out, d_dict, k, seed)
    given = {"lr": lr, "batch": batch}
    config = TrainConfig(epochs=epochs, seed=seed, **{n: v for n, v in given.items() if v is not None})
    if dry_run:
        _announce(plan(dictionary, source, config), json)
        return
    folder = place("dictionary", name) if name else None
    result = run(dictionary, source, config, folder, resume=resume, progress=progress())
    report = result.to_dict()
    if json:
        print_json(report)
        return
    print_rows(
        [{"measure": n, "value": v} for n, v in report["last"].items()],
        f"{kind} in {result.folder}, {duration(result.seconds)}",
    )


def require_sound(cache: Any) -> None:
    """Read every byte of a cache once; Unavailable names what is damaged, before anything is trained on it."""
    from probe.cache_files import TOKENS, mend

    broken = cache.verify(progress())
    if broken:
        worst = next((name for name in broken if name == TOKENS), broken[0])
        raise Unavailable(f"In {cache.folder}, {', '.join(broken)} is damaged. {mend(worst, cache.folder.name)}")


def make(
    cache: Any, kind: str, site_in: str | None, site_out: str | None, d_dict: int | None, k: int, seed: int
) -> Any:
    """An untrained dictionary that fits a cache."""
    from probe.dictionaries import SAE, TopK, Transcoder

    source, target = cache.site(site_in or cache.sites[0]), cache.site(site_out or cache.sites[-1])
    width, latents = cache.width(source), d_dict or 8 * cache.width(source)
    if kind == "sae":
        site = cache.site(site_out or site_in or cache.sites[-1])
        return SAE(cache.width(site), d_dict or 8 * cache.width(site), sparsifier=TopK(k), site=site, seed=seed)
    ends = {"site_in": source, "site_out": target, "skip": kind == "skip_transcoder", "seed": seed}
    return Transcoder(width, latents, cache.width(target), sparsifier=TopK(k), **ends)


def _announce(plan: Any, json: bool) -> None:
    if json:
        print_json(plan.to_dict())
        return
    typer.echo(
        f"{plan.parameters:,} weights, {plan.steps:,} steps over {plan.tokens:,} tokens, {size(plan.memory_bytes)} of memory, "
        f"{size(plan.disk_bytes)} on disk, about {duration(plan.seconds)}"
    )


COMMANDS = (train,)
