"""`openwork sample`: text drawn from a model, stored as a corpus."""

import math
from typing import Annotated

import typer

from app.commands.fields import Given, takes
from app.commands.options import (
    AsJson,
    ConfigFile,
    Device,
    DryRun,
    Model,
    Precision,
    Resume,
    load,
    print_json,
    print_plan,
    progress,
    reserve,
)
from probe.artifacts.folder import place
from probe.methods.reading import taken_by
from probe.words import counted

CONFIG = taken_by("probe.text.model_samples", "SampleConfig")


@takes(CONFIG)
def sample(
    name: Annotated[str, typer.Option("--name", help="Name of the sample; harvest reads it as --text sample:NAME.")],
    model: Model = "smollm2-135m",
    tokens: Annotated[
        int, typer.Option("--tokens", min=1, help="About this many tokens, in whole documents.")
    ] = 50_000,
    given: Given = {},  # noqa: B006  (filled by the decorator)
    device: Device = None,
    precision: Precision = "float32",
    resume: Resume = False,
    dry_run: DryRun = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Draw documents from a model and keep them, to harvest from and to judge dictionaries on."""
    folder = place("text", name) if dry_run else reserve("text", name, resume=resume)
    documents = math.ceil(tokens / given["length"])
    bridge = load(model, device, precision)
    from probe.text.model_samples import plan_sample, sample_text

    if dry_run:
        print_plan(plan_sample(bridge, documents, **CONFIG.only("length", "batch").some(given)), json)
        return
    settings = CONFIG.made(given)
    found = sample_text(bridge, folder, documents, config=settings, resume=resume, progress=progress())
    print_json(found.to_dict()) if json else typer.echo(
        f"{counted(found.n_tokens, 'token')} in {counted(found.n_documents, 'document')}, "
        f"{found.nats_per_token:.2f} nats each, in {found.folder}"
    )


COMMANDS = (sample,)
