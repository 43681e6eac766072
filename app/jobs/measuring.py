"""Measuring units where no stored cache holds what they read: harvest some of the bundled text, build their table; one job.

What was harvested stays as a cache, so the next table of the same layer needs no harvest. Both steps go on where they were
stopped. The plan is known before anything is loaded, from the shape of the model.
"""

from typing import Any

from app import links
from app.commands.options import size
from app.components.promptbox import check_model_name
from app.jobs import table as jobs
from app.library import models
from app.library.artifacts import registered
from app.library.models import short_model
from app.library.sizes import model_size
from app.pages.unit_browser import work
from probe.artifacts.folder import home, place
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput
from probe.model.sites import parse_site
from probe.progress import Progress

TOKENS = 100_000
"""Tokens that are read: enough for rates of one in a thousand, minutes on two cores with the default model."""
TEXT = "sotu"
BYTES = 2  # of a number in a cache, float16


def sites_of(what: str | int) -> list[str]:
    """What units of a layer (a number) or of a dictionary (its name) are measured from."""
    if isinstance(what, int):
        return [f"mlp_in.{what}"]
    found = read_manifest(registered("dictionary", what), "dictionary").facts.get("sites_in")
    if not isinstance(found, list) or not found:
        raise BadInput(f"The manifest of {what} does not say what it reads; make it again.")
    return [parse_site(str(site)).short for site in found]


def plan_words(model: str, what: str | int) -> str:
    """What it takes, before it starts."""
    shape = model_size(model)
    room = f", about {size(TOKENS * BYTES * shape.d_model * len(sites_of(what)))} on disk" if shape else ""
    return (
        f"No stored cache holds {' and '.join(sites_of(what))}. This reads {TOKENS:,} tokens of the bundled text{room}, and "
        "measures every unit on them. It can be cancelled, and goes on where it stopped."
    )


def start(model: Any, what: Any) -> str:
    """Queue both steps; the page that shows their progress. BadInput for a layer or a dictionary there is not."""
    check_model_name(model)
    shape = model_size(model)
    if isinstance(what, bool) or not isinstance(what, int | str):
        raise BadInput("Choose a layer or a dictionary to measure.")
    if isinstance(what, int) and shape and not 0 <= what < shape.layers:
        raise BadInput(f"{short_model(model)} has layers 0 to {shape.layers - 1}; {what} was asked for.")
    sites = sites_of(what)
    cache = f"{short_model(model)}-{'-'.join(sites)}-{TOKENS // 1000}k"
    name, of = f"{work.table_stem(what)}-on-{cache}", work.named_units(what)
    jobs.table().submit(
        "features",
        f"Harvest {', '.join(sites)} and measure {of}",
        lambda p: _measure(model, what, sites, cache, name, p),
        key=f"features:{name}",
        link=links.table_page(name),
        again=["measure", {"model": model, "what": what}],
    )
    return links.table_page(name)


def _measure(model: str, what: str | int, sites: list[str], cache: str, name: str, progress: Progress) -> str:
    from probe.activations.harvest import harvest
    from probe.text.documents import corpus
    from probe.text.tokens import tokenize

    bridge = models.model_named(model, progress)
    folder = place("cache", cache)
    home().mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        tokens = tokenize(bridge, corpus(TEXT, seed=0), max_tokens=TOKENS)
        harvest(bridge, tokens, sites, folder, resume=True, progress=progress)
    return work.build(model, what, cache, name, progress)
