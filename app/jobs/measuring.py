"""Measuring the units of a layer or a dictionary: their table, built on a stored cache that holds what they read, or, where none
does, on some of the bundled text that is harvested first; one job.

What was harvested stays as a cache, so the next table of the same layer needs no harvest. Both steps go on where they were
stopped. The plan is known before anything is loaded, from the shape of the model.
"""

from app import links
from app.jobs.again import Arguments, task
from app.jobs.table import job_table
from app.library import models
from app.library.artifacts import registered
from app.library.models import require_offered, short_model
from app.library.tables import caches_for
from app.library.units import input_sites
from probe.artifacts.folder import home, place
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput
from probe.model.sizes import model_size
from probe.progress import Progress
from probe.words import size

TOKENS = 100_000
"""Tokens that are read: enough for rates of one in a thousand, minutes on two cores with the default model."""
TEXT = "sotu"
BYTES = 2  # of a number in a cache, float16


def sites_of(what: str | int) -> list[str]:
    """What units of a layer (a number) or of a dictionary (its name) are measured from."""
    if isinstance(what, int):
        return [f"mlp_in.{what}"]
    return [site.short for site in input_sites(read_manifest(registered("dictionary", what), "dictionary"))]


def plan_words(model: str, what: str | int) -> str:
    """What it takes, before it starts."""
    shape = model_size(model)
    room = f", about {size(TOKENS * BYTES * shape.d_model * len(sites_of(what)))} on disk" if shape else ""
    return (
        f"No stored cache holds {' and '.join(sites_of(what))}. This reads {TOKENS:,} tokens of the bundled text{room}, and "
        "measures every unit on them. It can be cancelled, and goes on where it stopped."
    )


def start(model: object, what: object, cache: str = "") -> str:
    """Queue the measuring, on a stored cache or on one that is harvested first; the page that shows its progress. BadInput for a
    layer or a dictionary there is not, and for a cache that holds something else."""
    require_offered(model)
    shape = model_size(model)
    if isinstance(what, bool) or not isinstance(what, int | str):
        raise BadInput("Choose a layer or a dictionary to measure.")
    if isinstance(what, int) and shape and not 0 <= what < shape.layers:
        raise BadInput(f"{short_model(model)} has layers 0 to {shape.layers - 1}; {what} was asked for.")
    sites, of = sites_of(what), f"the latents of {what}" if isinstance(what, str) else f"the neurons of layer {what}"
    if cache and cache not in caches_for(model, what):
        raise BadInput(f"{registered('cache', cache).name} does not hold what {of} are measured from.")
    on = cache or f"{short_model(model)}-{'-'.join(sites)}-{TOKENS // 1000}k"
    name = table_name(what, on)
    job_table().submit(
        "features",
        f"Measure {of} on {on}" if cache else f"Harvest {', '.join(sites)} and measure {of}",
        lambda p: _measure(model, what, [] if cache else sites, on, name, p),
        key=f"features:{name}",
        link=links.table_page(name),
        again=["measure", {"model": model, "what": what, **({"cache": cache} if cache else {})}],
    )
    return links.table_page(name)


def table_name(what: str | int, cache: str) -> str:
    """What a table is called: its dictionary or `neurons-4`, and the cache it is measured on."""
    return f"{what if isinstance(what, str) else f'neurons-{what}'}-on-{cache}"


def _measure(model: str, what: str | int, harvested: list[str], cache: str, name: str, progress: Progress) -> str:
    from probe.activations.cache import open_cache
    from probe.activations.harvest import harvest
    from probe.dictionaries import load_dictionary
    from probe.features import build_features
    from probe.text.documents import corpus
    from probe.text.tokens import tokenize

    bridge = models.model_named(model, progress)
    folder = place("cache", cache)
    home().mkdir(parents=True, exist_ok=True)
    if harvested and not folder.exists():
        tokens = tokenize(bridge, corpus(TEXT, seed=0), max_tokens=TOKENS)
        harvest(bridge, tokens, harvested, folder, resume=True, progress=progress)
    units = what if isinstance(what, int) else load_dictionary(registered("dictionary", what), bridge)
    source = open_cache(registered("cache", cache), bridge)
    build_features(bridge, units, source, place("features", name), resume=True, progress=progress)
    return links.table_page(name)


@task("measure")
def _again(arguments: Arguments) -> None:
    start(arguments["model"], arguments["what"], arguments.get("cache", ""))


task("table")(_again)  # what rows of before call a measuring on a stored cache
