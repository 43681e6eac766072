"""`openwork sample`: text drawn from a model, stored as a corpus."""

import math
from typing import Annotated

import typer

from app.commands.options import (
    MAX_SEED,
    AsJson,
    ConfigFile,
    Device,
    DryRun,
    Model,
    Precision,
    Resume,
    load,
    print_json,
    progress,
    reserve,
)
from probe.artifacts.folder import place
from probe.words import counted, estimate, size


def sample(
    name: Annotated[str, typer.Option("--name", help="Name of the sample; harvest reads it as --text sample:NAME.")],
    model: Model = "smollm2-135m",
    tokens: Annotated[
        int, typer.Option("--tokens", min=1, help="About this many tokens, in whole documents.")
    ] = 50_000,
    length: Annotated[int, typer.Option("--length", min=1, help="Most tokens a document.")] = 256,
    temperature: Annotated[float, typer.Option("--temperature", help="1 is the model's own distribution.")] = 1.0,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Documents drawn side by side.")] = 32,
    seed: Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Which documents.")] = 0,
    device: Device = None,
    precision: Precision = "float32",
    resume: Resume = False,
    dry_run: DryRun = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Draw documents from a model and keep them, to harvest from and to judge dictionaries on."""
    folder = place("text", name) if dry_run else reserve("text", name, resume=resume)
    documents = math.ceil(tokens / length)
    bridge = load(model, device, precision)
    from probe.text.model_samples import plan_sample, sample_text

    if dry_run:
        plan = plan_sample(bridge, documents, length=length, batch=batch)
        print_json(plan.to_dict()) if json else typer.echo(
            f"{counted(plan.documents, 'document')} of up to {length} tokens, {size(plan.memory_bytes)} of memory, "
            f"{size(plan.disk_bytes)} on disk, about {estimate(plan.seconds)}"
        )
        return
    options = {"length": length, "temperature": temperature, "seed": seed, "batch": batch, "resume": resume}
    found = sample_text(bridge, folder, documents, progress=progress(), **options)
    print_json(found.to_dict()) if json else typer.echo(
        f"{counted(found.n_tokens, 'token')} in {counted(found.n_documents, 'document')}, "
        f"{found.nats_per_token:.2f} nats each, in {found.folder}"
    )


COMMANDS = (sample,)
