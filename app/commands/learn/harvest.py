"""`openwork harvest`: run a model over text once and keep what chosen sites did."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import (
    MAX_SEED,
    AsJson,
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
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput, Unavailable
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.text.tokens import TokenSet


DEFAULT = "smollm2-135m"


def harvest(
    sites: Annotated[
        str, typer.Option("--sites", help="Comma-separated, like mlp_in.4,mlp_out.4.")
    ] = "mlp_in.4,mlp_out.4",
    model: Annotated[
        str | None, typer.Option("--model", help="As elsewhere; by default smollm2-135m, to repair the cache's own.")
    ] = None,
    text: Text = "sotu",
    tokens: Annotated[int, typer.Option("--tokens", help="Token positions to read.")] = 300_000,
    context: Annotated[int, typer.Option("--context", help="Tokens a row, BOS included.")] = 128,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the cache; by default from model and sites.")
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", help="As stored: float16, bfloat16 or float32.")] = "float16",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Rows a forward pass.")] = 16,
    held_out: Annotated[float, typer.Option("--held-out", help="Share of documents kept for evaluation.")] = 0.1,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=MAX_SEED, help="Order of documents, and which are held out.")
    ] = 0,
    device: Device = None,
    precision: Precision = "float32",
    resume: Resume = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Check the cache's files and make the damaged ones again.")
    ] = False,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Write activations of several aligned sites to a cache, stopping the model after the last of them."""
    if not 0 <= held_out < 1:
        raise BadInput(f"--held-out is {held_out}; it must be a share from 0 to below 1.")
    chosen = [s.strip() for s in sites.split(",") if s.strip()]
    folder = place("cache", name if name is not None else default_name(model or DEFAULT, chosen))
    if not dry_run:
        reserve("cache", folder.name, resume=resume or repair)
    if repair:
        _repair(load(model or _made_from(folder), device, precision), folder, json)
        return
    bridge = load(model or DEFAULT, device, precision)
    from probe.activations.harvest import harvest as run
    from probe.text.documents import corpus
    from probe.text.tokens import tokenize

    rows = tokenize(bridge, corpus(text, seed=seed), context=context, max_tokens=tokens)
    if dry_run:
        _announce(bridge, rows, chosen, folder, dtype, batch, json)
        return
    cache = run(
        bridge,
        rows,
        chosen,
        folder,
        dtype=dtype,
        batch=batch,
        held_out=held_out,
        seed=seed,
        resume=resume,
        progress=progress(),
    )
    report = {
        "folder": str(cache.folder),
        "name": folder.name,
        "tokens": cache.n_tokens,
        "sites": list(cache.sites),
        "dtype": dtype,
    }
    print_json(report) if json else typer.echo(
        f"{counted(cache.n_tokens, 'token')} at {', '.join(chosen)} in {cache.folder}"
    )


def _made_from(folder: Path) -> str:
    """The name of the model a cache was made from."""
    stamp = read_manifest(folder, "cache").model
    return stamp.name if stamp else DEFAULT


def default_name(model: str, sites: list[str]) -> str:
    """`smollm2-135m-mlp_in.4-mlp_out.4`, free of what a folder name cannot hold."""
    return "-".join([model.rstrip("/").split("/")[-1], *sites]).replace("/", "-")


def _announce(
    bridge: "TransformerBridge", rows: "TokenSet", sites: list[str], folder: Path, dtype: str, batch: int, json: bool
) -> None:
    from probe.activations.plan import plan

    found = plan(bridge, rows, sites, folder, dtype=dtype, batch=batch)
    if json:
        print_json(found.to_dict())
        return
    print_rows(
        [{"site": s, "width": w} for s, w in found.sites.items()],
        f"{counted(found.tokens, 'token')} in {counted(found.shards, 'shard')}",
    )
    disk = f"{size(found.bytes)} on disk ({size(found.free_bytes)} free{'' if found.fits else ': IT DOES NOT FIT'})"
    typer.echo(f"{disk}, {size(found.memory_bytes)} of memory beside the model, about {estimate(found.seconds)}")


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
