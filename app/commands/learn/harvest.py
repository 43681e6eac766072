"""`openwork harvest`: run a model over text once and keep what chosen sites did."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.fields import Given, Running, takes
from app.commands.options import Text, print_json, progress, reserve
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest
from probe.errors import Unavailable
from probe.methods.reading import taken_by
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

DEFAULT = "smollm2-135m"
ROWS = (
    taken_by("probe.text.tokens", "tokenize")
    .only("max_tokens", "context")
    .called(max_tokens="tokens")
    .starting(tokens=300_000)
)
CONFIG = taken_by("probe.activations.harvest", "HarvestConfig").without("shard_tokens")


@takes(ROWS, CONFIG)
def harvest(
    *,
    sites: Annotated[
        str, typer.Option("--sites", help="Comma-separated, like mlp_in.4,mlp_out.4.")
    ] = "mlp_in.4,mlp_out.4",
    model: Annotated[
        str | None, typer.Option("--model", help="As elsewhere; by default smollm2-135m, to repair the cache's own.")
    ] = None,
    text: Text = "sotu",
    given: Given,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the cache; by default from model and sites.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Check the cache's files and make the damaged ones again.")
    ] = False,
    how: Running,
) -> None:
    """Write activations of several aligned sites to a cache, stopping the model after the last of them."""
    chosen = [s.strip() for s in sites.split(",") if s.strip()]
    folder = place("cache", name if name is not None else default_name(model or DEFAULT, chosen))
    if repair:
        reserve("cache", folder.name, resume=True)
        _repair(how.load(model or _made_from(folder)), folder, how.json)
        return
    how.reserve("cache", folder.name)
    bridge = how.load(model or DEFAULT)
    from probe.activations.harvest import harvest as run
    from probe.activations.plan import plan
    from probe.text.documents import corpus
    from probe.text.tokens import tokenize

    settings = CONFIG.made(given)
    rows = tokenize(bridge, corpus(text, seed=settings.seed), **ROWS.some(given))
    if how.dry_run:
        how.announce(plan(bridge, rows, chosen, folder, dtype=settings.dtype, batch=settings.batch))
        return
    cache = run(bridge, rows, chosen, folder, config=settings, resume=how.resume, progress=progress())
    report = {"folder": str(cache.folder), "name": folder.name, "tokens": cache.n_tokens}
    report |= {"sites": list(cache.sites), "dtype": settings.dtype}
    print_json(report) if how.json else typer.echo(
        f"{counted(cache.n_tokens, 'token')} at {', '.join(chosen)} in {cache.folder}"
    )


def _made_from(folder: Path) -> str:
    """The name of the model a cache was made from."""
    stamp = read_manifest(folder, "cache").model
    return stamp.name if stamp else DEFAULT


def default_name(model: str, sites: list[str]) -> str:
    """`smollm2-135m-mlp_in.4-mlp_out.4`, free of what a folder name cannot hold."""
    return "-".join([model.rstrip("/").split("/")[-1], *sites]).replace("/", "-")


def _repair(bridge: "TransformerBridge", folder: Path, json: bool) -> None:
    from probe.activations.open_for_repair import open_damaged

    cache, broken = open_damaged(folder, bridge, progress())
    exact = [cache.repair(bridge, name, progress=progress()) for name in broken]  # shards first, then what sums them up
    left = cache.verify(progress=progress()) if broken else []
    report = {"folder": str(folder), "damaged": broken, "bit_exact": exact, "still_damaged": left}
    print_json(report) if json else typer.echo(
        f"{len(broken)} damaged, {len(broken) - len(left)} made again: {', '.join(broken) or 'none'}"
    )
    if left:
        raise Unavailable(f"{', '.join(left)} could not be mended; harvest the cache again under another name.")


COMMANDS = (harvest,)
