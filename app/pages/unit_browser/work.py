"""A table of units built as a job."""

from typing import Any

from app import links
from app.components.promptbox import check_model_name
from app.jobs import table as jobs
from app.library import models
from app.library.artifacts import registered
from app.library.tables import neurons_in
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput


def start_table(model: str, what: str | int, cache: str) -> str:
    """Queue the building of a table of a dictionary's latents or a layer's neurons; its name."""
    name, named = f"{table_stem(what)}-on-{cache}", named_units(what)
    jobs.table().submit(
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


def build(model: str, what: str | int, cache: str, name: str, progress: Any) -> str:
    """Build a table on a stored cache; the page that shows it."""
    from probe.activations.cache import open_cache
    from probe.dictionaries import load_dictionary
    from probe.features import build_features

    bridge = models.model_named(model, progress)
    units = what if isinstance(what, int) else load_dictionary(registered("dictionary", what), bridge)
    source = open_cache(registered("cache", cache), bridge)
    build_features(bridge, units, source, place("features", name), resume=True, progress=progress)
    return links.table_page(name)


def start_asked(asked: dict[str, Any]) -> str:
    """Start the table that a button asks for; the page that shows its progress. BadInput for what is not stored."""
    cache = read_manifest(registered("cache", str(asked["cache"])), "cache")
    what: str | int = asked["what"]
    if isinstance(what, int):
        if what not in neurons_in(cache):
            raise BadInput(f"{asked['cache']} does not hold what the neurons of layer {what} are measured from.")
    else:
        read_manifest(registered("dictionary", what), "dictionary")
    model = cache.model.name if cache.model else ""
    check_model_name(model)
    return links.table_page(start_table(model, what, str(asked["cache"])))
