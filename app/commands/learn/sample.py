"""`openwork sample`: text drawn from a model, stored as a corpus."""

import math
from typing import Annotated

import typer

from app.commands.fields import Given, Running, takes
from app.commands.options import Model, print_json, progress
from probe.methods.reading import taken_by
from probe.words import counted

CONFIG = taken_by("probe.text.model_samples", "SampleConfig")


@takes(CONFIG)
def sample(
    *,
    name: Annotated[str, typer.Option("--name", help="Name of the sample; harvest reads it as --text sample:NAME.")],
    model: Model = "smollm2-135m",
    tokens: Annotated[
        int, typer.Option("--tokens", min=1, help="About this many tokens, in whole documents.")
    ] = 50_000,
    given: Given,
    how: Running,
) -> None:
    """Draw documents from a model and keep them, to harvest from and to judge dictionaries on."""
    folder = how.reserve("text", name)
    documents = math.ceil(tokens / given["length"])
    bridge = how.load(model)
    from probe.text.model_samples import plan_sample, sample_text

    if how.dry_run:
        how.announce(plan_sample(bridge, documents, **CONFIG.only("length", "batch").some(given)))
        return
    settings = CONFIG.made(given)
    found = sample_text(bridge, folder, documents, config=settings, resume=how.resume, progress=progress())
    print_json(found.to_dict()) if how.json else typer.echo(
        f"{counted(found.n_tokens, 'token')} in {counted(found.n_documents, 'document')}, "
        f"{found.nats_per_token:.2f} nats each, in {found.folder}"
    )


COMMANDS = (sample,)
