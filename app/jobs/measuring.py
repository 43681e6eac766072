"""Measuring units where no stored cache holds what they read: harvest some of the bundled text, build their table; one job.

What was harvested stays as a cache, so the next table of the same layer needs no harvest. Both steps go on where they were
stopped. The plan is known before anything is loaded, from the shape of the model.
"""

from app import links
from app.jobs.again import Arguments, task
from app.jobs.table import job_table
from app.library import models
from app.library.artifacts import registered
from app.library.models import require_offered, short_model
from app.library.tables import neurons_in
from probe.artifacts.folder import home, place
from probe.artifacts.json import Json
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput
from probe.model.sites import parse_site
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


def start(model: object, what: object) -> str:
    """Queue both steps; the page that shows their progress. BadInput for a layer or a dictionary there is not."""
    require_offered(model)
    shape = model_size(model)
    if isinstance(what, bool) or not isinstance(what, int | str):
        raise BadInput("Choose a layer or a dictionary to measure.")
    if isinstance(what, int) and shape and not 0 <= what < shape.layers:
        raise BadInput(f"{short_model(model)} has layers 0 to {shape.layers - 1}; {what} was asked for.")
    sites = sites_of(what)
    cache = f"{short_model(model)}-{'-'.join(sites)}-{TOKENS // 1000}k"
    name, of = f"{table_stem(what)}-on-{cache}", named_units(what)
    job_table().submit(
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
    return build(model, what, cache, name, progress)


def start_table(model: str, what: str | int, cache: str) -> str:
    """Queue the building of a table of a dictionary's latents or a layer's neurons; its name."""
    name, named = f"{table_stem(what)}-on-{cache}", named_units(what)
    job_table().submit(
        "features",
        f"Measure {named} on {cache}",
        lambda p: build(model, what, cache, name, p),
        key=f"features:{name}",
        link=links.table_page(name),
        again=["table", {"model": model, "what": what, "cache": cache}],
    )
    return name


def table_stem(what: str | int) -> str:
    """How the name of a table begins: its dictionary, or `neurons-4`."""
    return what if isinstance(what, str) else f"neurons-{what}"


def named_units(what: str | int) -> str:
    """The units of a table in words."""
    return f"the latents of {what}" if isinstance(what, str) else f"the neurons of layer {what}"


def build(model: str, what: str | int, cache: str, name: str, progress: Progress) -> str:
    """Build a table on a stored cache; the page that shows it."""
    from probe.activations.cache import open_cache
    from probe.dictionaries import load_dictionary
    from probe.features import build_features

    bridge = models.model_named(model, progress)
    units = what if isinstance(what, int) else load_dictionary(registered("dictionary", what), bridge)
    source = open_cache(registered("cache", cache), bridge)
    build_features(bridge, units, source, place("features", name), resume=True, progress=progress)
    return links.table_page(name)


def start_asked(asked: Json) -> str:
    """Start the table that a button asks for; the page that shows its progress. BadInput for what is not stored."""
    cache = read_manifest(registered("cache", str(asked["cache"])), "cache")
    what: str | int = asked["what"]
    if isinstance(what, int):
        if what not in neurons_in(cache):
            raise BadInput(f"{asked['cache']} does not hold what the neurons of layer {what} are measured from.")
    else:
        read_manifest(registered("dictionary", what), "dictionary")
    model = cache.model.name if cache.model else ""
    require_offered(model)
    return links.table_page(start_table(model, what, str(asked["cache"])))


@task("measure")
def _harvest_again(arguments: Arguments) -> None:
    start(arguments["model"], arguments["what"])


@task("table")
def _build_again(arguments: Arguments) -> None:
    start_table(arguments["model"], arguments["what"], arguments["cache"])
